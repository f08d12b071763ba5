"""What somebody may see is comparable: it changes with role and membership, and with nothing else."""

from __future__ import annotations

from contracts.actor import Actor
from contracts.corp.commands import AddBrandRole, ChangeMember, RemoveMember, UpdateOrganization
from contracts.permissions import Role
from handlers.channels import find_rights
from handlers.runtime import init_documents
from tests.bus.desk import Desk
from tests.handlers.corp.tenants import brand, member, organization


async def test_rights_change_with_role_and_membership_and_with_nothing_else(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", Role.VIEWER)
    made = await brand(corp, owner)
    await init_documents(corp.database, ["auth", "corp"])  # keys are auth's
    asking = Actor(user=vera.user, session="ses_1", org=owner.org)
    seen = [await find_rights(asking)]
    await corp.do(UpdateOrganization(name="Other"), owner)
    assert await find_rights(asking) == seen[0]
    for change in (
        ChangeMember(user=vera.user, role=Role.EDITOR),
        AddBrandRole(brand=made, holder=vera.user, role=Role.REVIEWER),
    ):
        await corp.do(change, owner)
        seen.append(await find_rights(asking))
    assert None not in seen
    assert len(set(seen)) == len(seen) == 3
    await corp.do(RemoveMember(user=vera.user), owner)
    assert await find_rights(asking) is None
    assert await find_rights(Actor(user="key_none", org=owner.org)) is None
