"""What auth stores. Sessions are in Redis (infra/sessions.py)."""

from __future__ import annotations

from pymongo import ASCENDING, IndexModel

from bus.documents import Aggregate
from contracts.permissions import PlatformRole
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
        indexes = [IndexModel([("email", ASCENDING)], unique=True, name="email")]


DOCUMENTS: list[type[Aggregate]] = [User]
