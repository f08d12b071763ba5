"""One method per command: load, decide, stage."""

from __future__ import annotations

from handlers.auth.handlers.accounts import Accounts
from handlers.auth.handlers.platform import Platform
from handlers.auth.handlers.sessions import Sessions

__all__ = ["Accounts", "Platform", "Sessions"]
