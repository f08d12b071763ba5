"""Organizations, people in them, and what they have, made at a desk."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from contracts.actor import Actor
from contracts.auth.events import UserRegistered
from contracts.corp.commands import (
    AddMember,
    AddTeamMember,
    CreateBrand,
    CreateOrganization,
    CreateTeam,
)
from contracts.permissions import Role
from handlers.corp.queries import find_standing
from tests.bus.desk import Desk


async def person(corp: Desk, name: str) -> Actor:
    """Somebody who has registered."""
    user = f"usr_{name}"
    await corp.react(UserRegistered(user_id=user, email=f"{name}@example.com", name=name))
    return Actor(user=user)


async def organization(corp: Desk, owner: str = "olga", name: str = "Acme") -> Actor:
    """A new organization's owner, acting in it."""
    actor = await person(corp, owner)
    made = await corp.do(CreateOrganization(name=name), actor)
    return Actor(user=actor.user, org=made["id"], role=Role.OWNER)


async def member(corp: Desk, owner: Actor, name: str, role: Role) -> Actor:
    actor = await person(corp, name)
    await corp.do(AddMember(email=f"{name}@example.com", role=role), owner)
    return Actor(user=actor.user, org=owner.org, role=role)


async def brand(corp: Desk, actor: Actor, name: str = "Brand") -> str:
    made: dict[str, Any] = await corp.do(CreateBrand(name=name), actor)
    return str(made["id"])


async def at_once(corp: Desk, *each: tuple[Any, Actor]) -> Counter[str]:
    """How commands end that are all on their way at the same time."""
    return Counter(await asyncio.gather(*(corp.code_of(*one) for one in each)))


async def team(
    corp: Desk, actor: Actor, *members: Actor, role: Role | None = None, name: str = "Team"
) -> str:
    made = await corp.do(CreateTeam(name=name, role=role), actor)  # type: ignore[arg-type]
    for each in members:
        await corp.do(AddTeamMember(team=made["id"], user_id=each.user), actor)
    return str(made["id"])


async def standing(actor: Actor) -> tuple[Role, dict[str, Role]]:
    """What a member may count on now."""
    found = await find_standing(actor, actor.tenant)
    assert found is not None
    return found.role, dict(found.brand_roles)
