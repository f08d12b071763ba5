"""Servers that others run: Redis, MongoDB, the object store, SMTP, and how to treat them."""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from infra.settings.concern import MIB, Concern, split_list

SMTP_SCHEMES = ("smtp", "smtps", "smtp+starttls")


class RedisSettings(Concern):
    url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis 7.2+ or Valkey; streams, sessions and short-lived state. Must run with appendonly yes.",
    )
    max_connections: int = Field(512, ge=8, description="Connections per process.")
    socket_timeout: float = Field(
        10.0, gt=0, description="Seconds a reply may take; longer than the longest blocking read."
    )
    durable: Literal["auto", "always", "waitaof", "off"] = Field(
        "auto",
        description="How a 202 waits for the append-only file: auto asks the server (appendfsync always needs nothing more, everysec is followed by WAITAOF).",
    )


class MongoSettings(Concern):
    url: str = Field(
        "mongodb://127.0.0.1:27017/?replicaSet=grid8",
        description="A replica set or sharded cluster: transactions need one.",
    )
    database: str = Field(
        "grid8",
        min_length=1,
        max_length=38,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Database name.",
    )
    timeout: float = Field(
        10.0, gt=0, description="Seconds to find a usable server before an operation fails."
    )


class StoreSettings(Concern):
    backend: Literal["local", "s3"] = Field(
        "local", description="Where originals and renditions live."
    )
    folder: Path = Field(Path(".grid8/objects"), description="Folder of the local store.")
    bucket: str = Field("grid8", min_length=3, description="S3 bucket; it must exist.")
    endpoint_url: str | None = Field(None, description="S3 endpoint when it is not Amazon's.")
    public_endpoint_url: str | None = Field(
        None,
        description="S3 endpoint as clients reach it, for presigned uploads; default the other.",
    )
    region: str = Field("us-east-1", description="S3 region.")
    access_key: SecretStr | None = Field(
        None, description="S3 access key; the usual AWS chain when empty."
    )
    secret_key: SecretStr | None = Field(None, description="S3 secret key.")
    sse: Literal["AES256", "aws:kms", "none"] = Field(
        "AES256", description="Server-side encryption asked of S3."
    )
    sse_kms_key: str | None = Field(None, description="KMS key id with aws:kms.")
    part_bytes: int = Field(
        8 * MIB,
        ge=5 * MIB,
        description="Bytes of one multipart part (S3: at least 5 MiB, at most 10,000 parts).",
    )
    parts_at_once: int = Field(
        2,
        ge=1,
        le=16,
        description="Parts of one upload that travel at a time; it holds one more in memory.",
    )
    attempts: int = Field(
        4, ge=1, le=10, description="Tries of one S3 call, with exponential backoff and jitter."
    )
    timeout: float = Field(30.0, gt=0, description="Seconds one S3 call may take.")
    url_ttl: int = Field(
        3600,
        ge=60,
        le=7 * 86400,
        description="Seconds a signed file URL is good for, at least; it is rounded up so that caches hit.",
    )
    url_keys: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        max_length=8,
        description="Keys of signed file URLs, comma-separated, of 16 characters or more: the first signs, all verify. Derived from the sealing keys when empty.",
    )

    _lists = field_validator("url_keys", mode="before")(split_list)

    @field_validator("url_keys")
    @classmethod
    def _hard_to_guess(cls, keys: list[SecretStr]) -> list[SecretStr]:
        if any(len(key.get_secret_value()) < 16 for key in keys):
            raise ValueError("a key has at least 16 characters: openssl rand -hex 32 makes one")
        return keys


class MailSettings(Concern):
    smtp_url: str = Field(
        "smtp://127.0.0.1:1025",
        description="SMTP server; smtps:// and smtp+starttls:// too, with user:password@.",
    )
    sender: str = Field("Grid8 <no-reply@grid8.localhost>", description="From of system mails.")
    link_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s?#]+$",
        description="Where the links of mails lead: pages verify-email, reset-password and accept-invitation below it; default the gateway's own, /account.",
    )
    attempts: int = Field(
        3, ge=1, le=10, description="Tries to hand over a mail before it is put off."
    )
    timeout: float = Field(10.0, gt=0, description="Seconds the SMTP server may take to reply.")
    answer_timeout: float = Field(
        60.0,
        gt=0,
        description="Seconds it may take to say that it has a mail. Who stops waiting sooner sends twice what it was slow to take.",
    )
    invitations: int = Field(
        10,
        ge=1,
        description="Invitations an address is mailed in an hour, whoever invites it; more are not sent.",
    )
    link_age: int = Field(
        86400, ge=60, description="Seconds after which a mail with a link is not sent any more."
    )
    retention_days: int = Field(
        90, ge=1, description="Days that the log of mails keeps address, values and fate of each."
    )

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, url: str) -> str:
        # Its value is not quoted: the password is in it.
        parts = urlsplit(url)
        if parts.scheme not in SMTP_SCHEMES or not parts.hostname:
            raise ValueError(f"it begins with {', '.join(f'{each}://' for each in SMTP_SCHEMES)}")
        if parts.username and not parts.password:
            raise ValueError("a user has a password: user:password@")
        if parts.port == 0:  # the look alone raises where it is no number
            raise ValueError("the port is wrong")
        return url

    @field_validator("sender")
    @classmethod
    def _has_address(cls, sender: str) -> str:
        address = parseaddr(sender)[1]
        if not sender.isprintable() or not re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9.-]+", address):
            raise ValueError("it is Name <user@domain>")
        return sender


class BreakerSettings(Concern):
    threshold: int = Field(5, ge=1, description="Failures in a row that open a circuit.")
    ttl: float = Field(
        10.0, gt=0, description="Seconds a circuit stays open before one call is let through."
    )
