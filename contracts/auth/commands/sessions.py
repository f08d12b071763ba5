"""What may be asked about sessions."""

from __future__ import annotations

from contracts.auth.types import Address, Agent, AnyPassword, Email, Token
from contracts.base import Command
from contracts.sealed import Sealed
from contracts.types import Id


class OpenSession(Command):
    """Sign in with address and password."""

    wire = "auth.session.open"

    email: Email
    password: Sealed[AnyPassword]
    address: Address = ""
    agent: Agent = ""


class RefreshSession(Command):
    """Exchange a refresh token for the next pair of tokens."""

    wire = "auth.session.refresh"

    refresh_token: Sealed[Token]
    address: Address = ""
    agent: Agent = ""


class RevokeSession(Command):
    """Sign one of one's own sessions out."""

    wire = "auth.session.revoke"

    session: Id


class RevokeSessions(Command):
    """Sign all of one's sessions out, this one too."""

    wire = "auth.session.revoke_all"
