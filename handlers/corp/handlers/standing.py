"""What members may count on, kept true in the transaction that changes what it follows from.

Two such changes at once must not each miss the other. So whatever changes what a user or a
team holds saves their document, and whoever computes from a document holds it as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.corp.events import BrandRoleRemoved, MemberChanged, TeamMemberRemoved
from handlers.corp.documents import BrandRole, Membership, Team
from handlers.corp.rules import Held, effective_brand_roles, effective_role


@dataclass(frozen=True, slots=True)
class Standings:
    """What some members and their teams hold."""

    teams: dict[str, Team]
    brands: dict[str, dict[str, BrandRole]]
    """Holder → brand → role."""

    def held(self, holder: str) -> Held:
        """What a user or a team holds; of a user, but for the role in their membership."""
        team = self.teams.get(holder)
        roles = self.brands.get(holder, {})
        return Held(team.role if team else None, {id: each.role for id, each in roles.items()})

    def put(self, member: Membership) -> bool:
        """Write into the membership what follows; whether that is something else than before."""
        before = (member.effective_role, member.brand_roles)
        standing = member.standing
        teams = [self.held(team) for team in member.teams]
        effective = effective_role(member.role, teams)
        member.effective_role = effective
        member.brand_roles = effective_brand_roles(effective, self.held(member.user_id), teams)
        return (standing, before[1]) != (effective, member.brand_roles)


async def standings_of(
    members: Sequence[Membership],
    uow: UnitOfWork,
    *,
    teams: Iterable[Team] = (),
    roles: Iterable[BrandRole] = (),
    without: Iterable[BrandRole] = (),
) -> Standings:
    """What members of one organization and their teams hold.

    ``teams`` and ``roles`` are as this unit stages them, ``without`` it removes.
    """
    staged = {team.id: team for team in teams}
    named = {id for member in members for id in member.teams}
    loaded = await Team.find({"_id": {"$in": sorted(named - staged.keys())}}).to_list()
    for team in loaded:
        uow.hold(team)
    holders = sorted(named | {member.user_id for member in members})
    organization = members[0].organization_id if members else ""
    wanted = {"organization_id": organization, "holder": {"$in": holders}}
    gone = {role.id for role in without}
    brands: dict[str, dict[str, BrandRole]] = {}
    for role in [*await BrandRole.find(wanted).to_list(), *roles]:
        if role.id not in gone:
            brands.setdefault(role.holder, {})[role.brand_id] = role
    return Standings({**{team.id: team for team in loaded}, **staged}, brands)


def settle(
    members: Iterable[Membership], standings: Standings, uow: UnitOfWork, *, changed: bool = False
) -> None:
    """Stage the members whose standing is another now; with ``changed``, all of them."""
    for member in members:
        if not standings.put(member) and not changed:
            uow.hold(member)
            continue
        uow.save(member)
        uow.emit(
            MemberChanged(
                user_id=member.user_id,
                role=member.role,
                effective_role=member.standing,
                brand_roles=member.brand_roles,
                teams=tuple(member.teams),
            ),
            member,
            org=member.organization_id,
        )


async def members_of(team: str, uow: UnitOfWork) -> list[Membership]:
    """Who is in a team."""
    return await Membership.find({"organization_id": uow.org, "teams": team}).to_list()


async def brand_roles_of(holder: str, uow: UnitOfWork) -> list[BrandRole]:
    """The roles in brands of a user or a team."""
    return await BrandRole.find({"organization_id": uow.org, "holder": holder}).to_list()


async def leave_everything(member: Membership, uow: UnitOfWork) -> None:
    """Stage that somebody who goes leaves the teams and loses the roles in brands."""
    for team in await Team.find({"_id": {"$in": member.teams}}).to_list():
        team.members -= 1
        uow.save(team)
        uow.emit(TeamMemberRemoved(team_id=team.id, member_id=member.user_id), team)
    for role in await brand_roles_of(member.user_id, uow):
        uow.remove(role)
        uow.emit(BrandRoleRemoved(brand_id=role.brand_id, holder=role.holder), role)
