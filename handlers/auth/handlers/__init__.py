"""One method per command: load, decide, stage."""

from __future__ import annotations

from handlers.auth.handlers.accounts import Accounts
from handlers.auth.handlers.linking import Linking
from handlers.auth.handlers.mfa import SecondFactors
from handlers.auth.handlers.passwords import PasswordChanges
from handlers.auth.handlers.platform import Platform
from handlers.auth.handlers.proving import Proving
from handlers.auth.handlers.sessions import Sessions

__all__ = [
    "Accounts",
    "Linking",
    "PasswordChanges",
    "Platform",
    "Proving",
    "SecondFactors",
    "Sessions",
]
