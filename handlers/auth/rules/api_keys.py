"""What API keys may be, decided without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts.auth.errors import KeyEnded, KeyExpiryRefused, KeyScopeRefused
from contracts.errors import FieldError
from contracts.permissions import BY_PEOPLE_ALONE, Permission

KEYS_LIMIT = 200
"""API keys of one organization."""
LONGEST = timedelta(days=5 * 366)


def check_scopes(scopes: Sequence[Permission]) -> None:
    """Raise KeyScopeRefused for what only people do."""
    refused = [scope.value for scope in scopes if scope in BY_PEOPLE_ALONE]
    if refused:
        raise KeyScopeRefused(
            f"Only people may have {', '.join(refused)}.",
            errors=[
                FieldError(
                    pointer="/scopes",
                    code=KeyScopeRefused.code,
                    detail=f"{scope} is for people alone",
                )
                for scope in refused
            ],
        )


def check_expiry(expires_at: datetime | None, at: datetime) -> None:
    """Raise KeyExpiryRefused unless it is ahead, and not too far."""
    if expires_at is None or at < expires_at <= at + LONGEST:
        return
    detail = "it is not ahead" if expires_at <= at else "it is more than five years ahead"
    raise KeyExpiryRefused(
        f"expires_at: {detail}.",
        errors=[FieldError(pointer="/expires_at", code=KeyExpiryRefused.code, detail=detail)],
    )


def check_unexpired(expires_at: datetime | None, at: datetime) -> None:
    """Raise KeyEnded where the time of a key is over."""
    if expires_at is not None and expires_at <= at:
        raise KeyEnded()
