"""What the domains need."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from infra.settings.concern import Concern, split_list


class AuthSettings(Concern):
    keys_folder: Path = Field(
        Path(".grid8/keys"),
        description="Folder of P-256 keys as PEM, <kid>.pem; the last by name signs, all verify. A <kid>.pub.pem only verifies.",
    )
    issuer: str = Field("grid8", min_length=1, description="iss of access tokens.")
    audience: str = Field("grid8", min_length=1, description="aud of access tokens.")
    access_ttl: int = Field(900, ge=30, le=86400, description="Seconds an access token lives.")
    session_idle: int = Field(
        14 * 86400, ge=60, description="Seconds a session lives without a refresh."
    )
    session_absolute: int = Field(90 * 86400, ge=60, description="Seconds a session lives at all.")
    refresh_grace: int = Field(
        30,
        ge=0,
        description="Seconds in which the previous refresh token returns the same successor.",
    )
    session_cache: float = Field(
        2.0,
        ge=0,
        le=5,
        description="Seconds a gateway may believe a session it has looked up; revocation takes this long at most.",
    )
    key_published: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="Seconds a new signing key is published before it signs, so that whoever verifies has heard of it.",
    )
    impersonation_ttl: int = Field(
        3600, ge=60, le=86400, description="Seconds a platform admin may act in a user's name."
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="bcrypt work factor.")
    verified_only: bool = Field(False, description="Refuse sign-in until the address is verified.")
    verify_ttl: int = Field(
        86400, ge=60, description="Seconds in which an address can be verified with a mailed link."
    )
    reset_ttl: int = Field(
        3600, ge=60, description="Seconds in which a password can be reset with a mailed link."
    )
    link_pause: int = Field(
        60,
        ge=0,
        description="Seconds after which an account is mailed another link; after three in a row half an hour.",
    )
    taken_pause: int = Field(
        3600,
        ge=0,
        description="Seconds after which an owner is told again that somebody tried to register their address.",
    )
    attempts_free: int = Field(
        10,
        ge=1,
        description="Failed sign-ins to one account, those under way included, before each makes the next wait.",
    )
    attempts_free_address: int = Field(
        100,
        ge=1,
        description="Failed sign-ins from one client address before the same, up to a minute: behind it may be many people.",
    )
    attempts_longest: int = Field(
        900,
        ge=1,
        description="Seconds of the longest such wait; the first is one second, each twice the one before.",
    )
    attempts_decay: int = Field(
        1800, ge=1, description="Seconds after which one failed sign-in is forgotten."
    )


class CorpSettings(Concern):
    direct_members: bool | None = Field(
        None,
        description="Whether a registered user can be made a member without an invitation, which tells whoever asks that an address is registered; unless set, not in production.",
    )
    invitation_ttl: int = Field(
        7 * 86400, ge=60, description="Seconds in which an invitation can be accepted."
    )
    invitation_resend_after: int = Field(
        60, ge=0, description="Seconds before an invitation may be mailed again."
    )


class InboxSettings(Concern):
    window: int = Field(
        600,
        ge=0,
        le=86400,
        description="Seconds in which notifications of one kind and organization are thrown together into one; 0: never.",
    )
    kept: int = Field(
        500,
        ge=10,
        le=2000,
        description="Notifications a user has at most; past it the oldest go, read ones first.",
    )
    days: int = Field(90, ge=1, le=3650, description="Days after which a notification is removed.")
    slow: float = Field(
        30.0,
        ge=0,
        description="Seconds of processing after which its uploader is notified that an asset is ready.",
    )
    digest_hour: int = Field(
        7, ge=0, le=23, description="Hour (UTC) at which the mails of the day are sent."
    )
    instant_mails: int = Field(
        10,
        ge=0,
        description="Mails of notifications that a user is sent at once in an hour; the rest waits for the mail of the day.",
    )
    link_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="What the links of mailed notifications begin with; default the gateway's own address.",
    )


class SecretsSettings(Concern):
    keys: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        description="32-byte keys in base64, comma-separated: the first seals secrets on the wire, all open them. Kept in data_folder when empty.",
    )

    _lists = field_validator("keys", mode="before")(split_list)

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            if len(base64.b64decode(key.get_secret_value(), validate=True)) != 32:
                raise ValueError("each key is 32 bytes in base64")
        return keys
