"""Teams: one function per command."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.corp.commands import (
    AddTeamMember,
    CreateTeam,
    DeleteTeam,
    RemoveTeamMember,
    UpdateTeam,
)
from contracts.corp.errors import AlreadyInTeam, NotInTeam, TeamFull, TeamNameTaken, TooManyTeams
from contracts.corp.events import (
    BrandRoleRemoved,
    TeamCreated,
    TeamDeleted,
    TeamMemberAdded,
    TeamMemberRemoved,
    TeamUpdated,
)
from contracts.corp.views import MemberView, TeamView
from handlers.corp.documents import Organization, Team
from handlers.corp.handlers.loading import load_member, load_organization, load_team
from handlers.corp.handlers.standing import brand_roles_of, members_of, settle, standings_of
from handlers.corp.queries import member_view, team_view
from handlers.corp.rules import check_gives, name_key

MEMBERS = 1000
"""A team may have: whatever the team holds is written into each membership at once."""
TEAMS = 100
"""A member may be in."""


async def create_team(command: CreateTeam, uow: UnitOfWork) -> TeamView:
    check_gives(uow.actor, command.role)
    if uow.rerun:  # the unique index or the hold has found something
        await _check_team_name(command.name, uow)
        await load_organization(uow)
    uow.hold_id(Organization, uow.org)
    team = Team(
        id=uow.new_id("team"),
        organization_id=uow.org,
        name=command.name,
        name_key=name_key(command.name),
        role=command.role,
    )
    uow.add(team)
    uow.emit(TeamCreated(team_id=team.id, name=team.name, role=team.role), team)
    return team_view(team)


async def update_team(command: UpdateTeam, uow: UnitOfWork) -> TeamView:
    team = await load_team(command.team, uow)
    check_revision(team, command.if_revision)
    if command.name is not None:
        if name_key(command.name) != team.name_key:
            await _check_team_name(command.name, uow, but=team.id)
        team.name, team.name_key = command.name, name_key(command.name)
    if "role" in command.model_fields_set and command.role != team.role:
        check_gives(uow.actor, team.role, command.role)
        team.role = command.role
        members = await members_of(team.id, uow)
        settle(members, await standings_of(members, uow, teams=[team]), uow)
    uow.save(team)
    uow.emit(TeamUpdated(team_id=team.id, name=team.name, role=team.role), team)
    return team_view(team)


async def delete_team(command: DeleteTeam, uow: UnitOfWork) -> None:
    team = await load_team(command.team, uow)
    check_revision(team, command.if_revision)
    roles = await brand_roles_of(team.id, uow)
    check_gives(uow.actor, team.role, *(role.role for role in roles))
    for role in roles:
        uow.remove(role)
        uow.emit(BrandRoleRemoved(brand_id=role.brand_id, holder=role.holder), role)
    members = await members_of(team.id, uow)
    for member in members:
        member.teams = [each for each in member.teams if each != team.id]
    settle(members, await standings_of(members, uow), uow, changed=True)
    uow.remove(team)
    uow.emit(TeamDeleted(team_id=team.id), team)


async def add_team_member(command: AddTeamMember, uow: UnitOfWork) -> MemberView:
    team = await load_team(command.team, uow)
    member = await load_member(command.user_id, uow)
    if team.id in member.teams:
        raise AlreadyInTeam()
    if team.members >= MEMBERS:
        raise TeamFull(f"A team has at most {MEMBERS} members.")
    if len(member.teams) >= TEAMS:
        raise TooManyTeams(f"A member is in at most {TEAMS} teams.")
    roles = await brand_roles_of(team.id, uow)
    check_gives(uow.actor, team.role, *(role.role for role in roles))
    team.members += 1
    uow.save(team)
    uow.emit(TeamMemberAdded(team_id=team.id, member_id=member.user_id), team)
    member.teams = [*member.teams, team.id]
    settle([member], await standings_of([member], uow, teams=[team]), uow, changed=True)
    return member_view(member)


async def remove_team_member(command: RemoveTeamMember, uow: UnitOfWork) -> None:
    team = await load_team(command.team, uow)
    member = await load_member(command.user, uow)
    if team.id not in member.teams:
        raise NotInTeam()
    roles = await brand_roles_of(team.id, uow)
    check_gives(uow.actor, team.role, *(role.role for role in roles))
    team.members -= 1
    uow.save(team)
    uow.emit(TeamMemberRemoved(team_id=team.id, member_id=member.user_id), team)
    member.teams = [each for each in member.teams if each != team.id]
    settle([member], await standings_of([member], uow), uow, changed=True)


async def _check_team_name(name: str, uow: UnitOfWork, *, but: str = "") -> None:
    # But the team itself, which may have been given the name since it was loaded.
    taken = {"organization_id": uow.org, "name_key": name_key(name), "_id": {"$ne": but}}
    if await Team.find_one(taken) is not None:
        raise TeamNameTaken()
