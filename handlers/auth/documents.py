"""What auth stores. Sessions are in Redis (infra/sessions.py)."""

from __future__ import annotations

from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.permissions import Permission, PlatformRole
from contracts.types import Instant


class User(Aggregate):
    """An account."""

    email: str
    name: str
    password_hash: str
    verified: bool = False
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


DOCUMENTS: list[type[Aggregate]] = [User, ApiKey]
