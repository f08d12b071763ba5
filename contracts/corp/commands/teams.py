"""What may be asked about teams."""

from __future__ import annotations

from contracts.base import Command, IfRevision, absent
from contracts.corp.types import GivenRole
from contracts.types import Id, Name


class CreateTeam(Command):
    """Make a team. Its name is unique in the organization."""

    wire = "corp.team.create"

    name: Name
    role: GivenRole | None = None


class UpdateTeam(Command):
    """Rename a team, or give it another role, or (null) none."""

    wire = "corp.team.update"

    team: Id
    name: Name = absent()
    role: GivenRole | None = None
    if_revision: IfRevision = None


class DeleteTeam(Command):
    """Remove a team; its members lose what they had by it."""

    wire = "corp.team.delete"

    team: Id
    if_revision: IfRevision = None


class AddTeamMember(Command):
    """Put a member of the organization into a team."""

    wire = "corp.team_member.add"

    team: Id
    user_id: Id


class RemoveTeamMember(Command):
    """Take somebody out of a team."""

    wire = "corp.team_member.remove"

    team: Id
    user: Id
