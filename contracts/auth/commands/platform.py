"""What platform admins may ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.auth.types import Address, Agent, Email, NewPassword
from contracts.base import Command, IfRevision, absent
from contracts.permissions import PlatformRole
from contracts.sealed import Sealed
from contracts.types import Id, Name, Text

Reason = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"\S")
]


class ChangeUser(Command):
    """Suspend or reinstate a user, or change their role on the platform."""

    wire = "auth.user.change"

    user: Id
    status: Literal["active", "suspended"] = absent()
    platform_role: PlatformRole | None = None
    reason: Reason = absent()
    if_revision: IfRevision = None


class EndUserSessions(Command):
    """Sign a user out everywhere."""

    wire = "auth.user.end_sessions"

    user: Id


class EndImpersonations(Command):
    """End every session in which an admin acts in somebody's name."""

    wire = "auth.user.end_impersonations"

    admin: Id


class Impersonate(Command):
    """Act in a user's name for a while. Every event then says so."""

    wire = "auth.user.impersonate"

    user: Id
    reason: Reason
    address: Address = ""
    agent: Agent = ""


class AppointAdmin(Command):
    """Make somebody a platform admin: who runs the servers does, by ``grid8 admin create``."""

    wire = "auth.admin.appoint"

    email: Email
    name: Name | None = Field(None, description="Of a new account.")
    password: Sealed[NewPassword] | None = Field(None, description="Of a new account.")
    promote: bool = Field(False, description="Take an account that is there already.")
