"""What may be asked about members and invitations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.auth.types import Email, Token
from contracts.base import Command, IfRevision
from contracts.permissions import Role
from contracts.sealed import Sealed
from contracts.types import Id


class AddMember(Command):
    """Make a registered user a member."""

    wire = "corp.member.add"

    email: Email
    role: Role = Role.VIEWER


class ChangeMember(Command):
    """Give a member another role."""

    wire = "corp.member.change"

    user: Id
    role: Role
    if_revision: IfRevision = None


class RemoveMember(Command):
    """End a membership: another's, or one's own."""

    wire = "corp.member.remove"

    user: Id
    if_revision: IfRevision = None


class CreateInvitation(Command):
    """Invite an address, by mail; whoever has it becomes a member by accepting."""

    wire = "corp.invitation.create"

    email: Email
    role: Role = Role.VIEWER
    team_ids: Annotated[
        tuple[Id, ...], Field(max_length=20, description="Teams to be in from the start.")
    ] = ()


class ResendInvitation(Command):
    """Mail an invitation again, with a new link; the one before is void."""

    wire = "corp.invitation.resend"

    invitation: Id


class RevokeInvitation(Command):
    """Void an invitation."""

    wire = "corp.invitation.revoke"

    invitation: Id
    if_revision: IfRevision = None


class AcceptInvitation(Command):
    """Become a member by the token of an invitation to one's own address."""

    wire = "corp.invitation.accept"

    token: Sealed[Token]
