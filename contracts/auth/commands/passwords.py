"""What may be asked about passwords."""

from __future__ import annotations

from contracts.auth.types import AnyPassword, Email, NewPassword, Token
from contracts.base import Command
from contracts.sealed import Sealed


class ForgetPassword(Command):
    """Mail a link that sets a new password. Answers the same whether or not there is an account."""

    wire = "auth.password.forget"

    email: Email


class ResetPassword(Command):
    """Set a new password with the token of the mail; signs out everywhere."""

    wire = "auth.password.reset"
    lane = "slow"

    token: Sealed[Token]
    password: Sealed[NewPassword]


class ChangePassword(Command):
    """Change one's own password; signs out everywhere else."""

    wire = "auth.password.change"
    lane = "slow"

    current_password: Sealed[AnyPassword]
    password: Sealed[NewPassword]
