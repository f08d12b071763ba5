"""Reads of auth. Every one takes the actor first."""

from __future__ import annotations

from handlers.auth.queries.accounts import get_profile, list_sessions, profile_view
from handlers.auth.queries.api_keys import (
    KnownKey,
    find_key,
    get_api_key,
    key_view,
    list_api_keys,
    use_uses,
)
from handlers.auth.queries.platform import (
    account_view,
    find_platform_role,
    get_user,
    list_users,
)

__all__ = [
    "KnownKey",
    "account_view",
    "find_key",
    "find_platform_role",
    "get_api_key",
    "get_profile",
    "get_user",
    "key_view",
    "list_api_keys",
    "list_sessions",
    "list_users",
    "profile_view",
    "use_uses",
]
