"""What has happened to members and invitations."""

from __future__ import annotations

from pydantic import Field

from contracts.base import Event
from contracts.permissions import Role
from contracts.types import Id


class MemberAdded(Event):
    """A user became a member."""

    wire = "corp.member.added"
    subject = "user_id"

    user_id: Id
    role: Role


class MemberChanged(Event):
    """A member has another role, of their own or by a team, in the organization or in a brand."""

    wire = "corp.member.changed"
    subject = "user_id"

    user_id: Id
    role: Role
    effective_role: Role | None = Field(None, description="With what their teams give them.")
    brand_roles: dict[str, Role] | None = Field(
        None, description="The brands where they have another role."
    )
    teams: tuple[Id, ...] | None = None


class MemberRemoved(Event):
    """A membership ended."""

    wire = "corp.member.removed"
    subject = "user_id"

    user_id: Id


class InvitationCreated(Event):
    """Somebody was invited; whom, is for those to see who may invite."""

    wire = "corp.invitation.created"
    subject = "invitation_id"

    invitation_id: Id
    role: Role


class InvitationResent(Event):
    """An invitation was mailed again."""

    wire = "corp.invitation.resent"
    subject = "invitation_id"

    invitation_id: Id


class InvitationRevoked(Event):
    """An invitation was taken back."""

    wire = "corp.invitation.revoked"
    subject = "invitation_id"

    invitation_id: Id


class InvitationAccepted(Event):
    """Somebody accepted an invitation."""

    wire = "corp.invitation.accepted"
    subject = "invitation_id"

    invitation_id: Id
    member_id: Id
    invited_by: Id | None = None
