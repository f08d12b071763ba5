"""What has happened to teams."""

from __future__ import annotations

from contracts.base import Event
from contracts.permissions import Role
from contracts.types import Id


class TeamCreated(Event):
    """A team was made."""

    wire = "corp.team.created"
    subject = "team_id"

    team_id: Id
    name: str
    role: Role | None = None


class TeamUpdated(Event):
    """A team has another name or role."""

    wire = "corp.team.updated"
    subject = "team_id"

    team_id: Id
    name: str
    role: Role | None = None


class TeamDeleted(Event):
    """A team is gone."""

    wire = "corp.team.deleted"
    subject = "team_id"

    team_id: Id


class TeamMemberAdded(Event):
    """A member is in a team."""

    wire = "corp.team_member.added"
    subject = "team_id"

    team_id: Id
    member_id: Id


class TeamMemberRemoved(Event):
    """A member is no longer in a team."""

    wire = "corp.team_member.removed"
    subject = "team_id"

    team_id: Id
    member_id: Id
