"""Reads of members."""

from __future__ import annotations

from typing import Any

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import MemberNotFound
from contracts.corp.views import MemberView
from contracts.permissions import Role
from contracts.types import Id
from handlers.corp.documents import Membership
from handlers.corp.queries.organizations import membership_id


def member_view(member: Membership) -> MemberView:
    return MemberView(
        user_id=member.user_id,
        email=member.email,
        name=member.name,
        role=member.role,
        effective_role=member.standing,
        brand_roles=member.brand_roles,
        teams=tuple(member.teams),
        created_at=member.created_at,
        revision=member.revision,
    )


async def list_members(
    actor: Actor, cursor: Cursor, role: Role | None = None, team: Id | None = None
) -> Page[MemberView]:
    """Members, optionally of one role of their own, or of one team."""
    wanted: dict[str, Any] = {"organization_id": actor.tenant}
    if role is not None:
        wanted["role"] = role
    if team is not None:
        wanted["teams"] = team
    return await page_of(Membership, wanted, cursor, member_view)


async def get_member(actor: Actor, user: str) -> MemberView:
    """One member. Raises MemberNotFound."""
    member = await Membership.get(membership_id(actor.tenant, user))
    if member is None:
        raise MemberNotFound()
    return member_view(member)
