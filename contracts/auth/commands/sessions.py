"""What may be asked about sessions."""

from __future__ import annotations

from contracts.auth.types import Address, Agent, AnyPassword, Email, Otp, Token
from contracts.base import Command
from contracts.sealed import Sealed
from contracts.types import Id


class OpenSession(Command):
    """Sign in with address and password, and with the second factor where there is one."""

    wire = "auth.session.open"
    lane = "slow"

    email: Email
    password: Sealed[AnyPassword]
    otp: Sealed[Otp] | None = None
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


class EndSessions(Command):
    """End the sessions that were opened with a password that is not the account's any more.

    Of a suspended account all are ended. Auth sends it to itself after the change, for the
    sign-ins that were under way meanwhile.
    """

    wire = "auth.session.end_all"

    user: Id
    reason: str
    keep: Id | None = None
