"""What auth stores. Sessions are in Redis (infra/sessions.py)."""

from __future__ import annotations

from typing import Literal

from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.permissions import Permission, PlatformRole
from contracts.types import Instant

LinkPurpose = Literal["verify", "reset"]

DEVICE_DAYS = 400


class User(Aggregate):
    """An account."""

    email: str
    name: str
    password_hash: str
    verified: bool = False
    mfa: bool = False
    """Whether signing in takes the SecondFactor; kept here, so that a sign-in which has not
    seen it turned on conflicts with that."""
    suspended_at: Instant | None = None
    platform_role: PlatformRole | None = None

    class Settings:
        name = "users"
        indexes = [
            IndexModel([("email", ASCENDING)], unique=True, name="email"),
            IndexModel(
                [("platform_role", ASCENDING)],
                partialFilterExpression={"platform_role": {"$type": "string"}},
                name="platform_role",
            ),
            IndexModel(
                [("suspended_at", ASCENDING)],
                partialFilterExpression={"suspended_at": {"$type": "date"}},
                name="suspended",
            ),
        ]


class Link(Aggregate):
    """The link that a user was mailed last for some purpose; older ones are worth nothing."""

    user_id: str
    purpose: LinkPurpose
    digest: str
    """SHA-256 of the token, which is in the mail alone."""
    issued_at: Instant
    expires_at: Instant
    mailed: int = 1
    """How many there were in a row with this one, each in place of one that was still good."""

    class Settings:
        name = "links"
        indexes = [
            IndexModel([("digest", ASCENDING)], unique=True, name="digest"),
            IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0, name="expiry"),
        ]


class Notice(Aggregate):
    """Something its owner has been told of, and is not told of again before it expires."""

    expires_at: Instant

    class Settings:
        name = "notices"
        indexes = [IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0, name="expiry")]


class Device(Aggregate):
    """A place and a program from which a user has signed in."""

    user_id: str
    agent: str
    network: str
    seen_at: Instant
    """To the day."""

    class Settings:
        name = "devices"
        indexes = [
            IndexModel([("user_id", ASCENDING)], name="user"),
            IndexModel(
                [("seen_at", ASCENDING)], expireAfterSeconds=DEVICE_DAYS * 86400, name="expiry"
            ),
        ]


class SecondFactor(Aggregate):
    """A user's authenticator app; its id is the user's."""

    secret: str
    """Sealed."""
    confirmed: bool = False
    step: int = 0
    """The last time step whose code was taken: no code is taken twice (RFC 6238, 5.2)."""
    recovery: list[str] = []
    """SHA-256 of each recovery code that has not been used."""

    class Settings:
        name = "second_factors"


class ApiKey(Aggregate):
    """An organization's API key: what its secret hashes to, and what it may."""

    organization_id: str
    name: str
    scopes: list[Permission]
    created_by: str
    digest: str
    expires_at: Instant | None = None
    previous_digest: str | None = None
    previous_until: Instant | None = None

    class Settings:
        name = "api_keys"
        indexes = [
            IndexModel([("organization_id", ASCENDING), ("_id", ASCENDING)], name="organization")
        ]


DOCUMENTS: list[type[Aggregate]] = [User, Link, Notice, Device, SecondFactor, ApiKey]
