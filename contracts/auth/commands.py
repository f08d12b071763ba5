"""What may be asked of auth."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from contracts.auth.types import Email
from contracts.base import Command, FromRequest, IfRevision
from contracts.sealed import Sealed
from contracts.types import Id, Name

# NIST SP 800-63B-4, 3.1.1.2: at least 8 characters with a second factor, 15 without one are
# advised and at least 64 must be allowed; 10 is this product's floor.
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=256)]
AnyPassword = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=512)]

Address = Annotated[str, FromRequest("address"), Field(max_length=64)]
Agent = Annotated[str, FromRequest("agent"), Field(max_length=512)]


class RegisterUser(Command):
    """Make an account. Answers the same whether or not the address is taken."""

    wire = "auth.user.register"

    email: Email
    password: Sealed[NewPassword]
    name: Name


class UpdateProfile(Command):
    """Change one's own profile."""

    wire = "auth.user.update"

    name: Name
    if_revision: IfRevision = None


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
