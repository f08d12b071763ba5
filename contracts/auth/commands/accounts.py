"""What may be asked about accounts."""

from __future__ import annotations

from contracts.auth.types import Email, NewPassword, Token
from contracts.base import Command, IfRevision
from contracts.sealed import Sealed
from contracts.types import Name


class RegisterUser(Command):
    """Make an account. Answers the same whether or not the address is taken."""

    wire = "auth.user.register"
    lane = "slow"

    email: Email
    password: Sealed[NewPassword]
    name: Name


class VerifyEmail(Command):
    """Prove that an address is one's own, with the token of the mail."""

    wire = "auth.email.verify"

    token: Sealed[Token]


class ResendVerification(Command):
    """Mail the token again. Answers the same whether or not there is such an account."""

    wire = "auth.email.resend"

    email: Email


class UpdateProfile(Command):
    """Change one's own profile."""

    wire = "auth.user.update"

    name: Name
    if_revision: IfRevision = None
