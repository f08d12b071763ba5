"""Reads of people, for who tells them things."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.actor import Actor
from contracts.corp.views import MemberView
from contracts.permissions import Role
from handlers.corp.documents import Membership, Person
from handlers.corp.queries.members import member_view
from handlers.corp.queries.organizations import membership_id

STAFF = 200
_ROLES = [Role.OWNER, Role.ADMIN]


async def list_named_members(actor: Actor, users: Sequence[str]) -> list[MemberView]:
    """Those of ``users`` who are members of the organization acted in."""
    ids = [membership_id(actor.tenant, user) for user in users]
    return [member_view(each) for each in await Membership.find({"_id": {"$in": ids}}).to_list()]


async def list_staff(actor: Actor) -> list[MemberView]:
    """Owners and admins of the organization acted in, by themselves or by a team; at most 200."""
    wanted = {
        "organization_id": actor.tenant,
        "$or": [
            {"effective_role": {"$in": _ROLES}},
            {"effective_role": None, "role": {"$in": _ROLES}},
        ],
    }
    return [member_view(each) for each in await Membership.find(wanted).sort("_id").to_list(STAFF)]


async def find_person(actor: Actor, email: str) -> str | None:
    """The user who has registered with an address."""
    person = await Person.find_one({"email": email})
    return person.id if person is not None else None
