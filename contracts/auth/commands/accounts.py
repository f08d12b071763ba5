"""What may be asked about accounts."""

from __future__ import annotations

from contracts.auth.types import Email, NewPassword
from contracts.base import Command, IfRevision
from contracts.sealed import Sealed
from contracts.types import Name


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
