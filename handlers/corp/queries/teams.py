"""Reads of teams."""

from __future__ import annotations

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import TeamNotFound
from contracts.corp.views import MemberView, TeamView
from handlers.corp.documents import Membership, Team
from handlers.corp.queries.members import member_view
from handlers.corp.rules import name_key


def team_view(team: Team) -> TeamView:
    return TeamView(
        id=team.id,
        name=team.name,
        role=team.role,
        members=team.members,
        created_at=team.created_at,
        revision=team.revision,
    )


async def list_teams(actor: Actor, cursor: Cursor, name: str | None = None) -> Page[TeamView]:
    """Teams, optionally the one with this name."""
    wanted: dict[str, object] = {"organization_id": actor.tenant}
    if name is not None:
        wanted["name_key"] = name_key(name)
    return await page_of(Team, wanted, cursor, team_view)


async def get_team(actor: Actor, team: str) -> TeamView:
    """One team. Raises TeamNotFound, also for another organization's."""
    found = await Team.find_one({"_id": team, "organization_id": actor.tenant})
    if found is None:
        raise TeamNotFound()
    return team_view(found)


async def list_team_members(actor: Actor, cursor: Cursor, team: str) -> Page[MemberView]:
    """Who is in a team. Raises TeamNotFound."""
    await get_team(actor, team)
    wanted = {"organization_id": actor.tenant, "teams": team}
    return await page_of(Membership, wanted, cursor, member_view)
