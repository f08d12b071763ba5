"""Archives with what is in them, the brand kit, and who owns an organization."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bus.paging import Cursor
from contracts.actor import Actor
from contracts.corp.commands import (
    ChangeMember,
    CreateProject,
    DeleteBrand,
    DeleteProject,
    RemoveMember,
    TransferOrganization,
    UpdateBrand,
    UpdateBrandKit,
    UpdateProject,
)
from contracts.corp.types import KitColor, KitFont, KitLogo
from contracts.permissions import Role
from handlers.corp.documents import Brand, Membership, Project
from handlers.corp.queries import (
    get_brand,
    get_brand_kit,
    get_open_project,
    get_project,
    list_brands,
    list_projects,
)
from tests.bus.desk import Desk
from tests.handlers.corp.tenants import at_once, brand, member, organization, standing

ARCHIVED, ACTIVE = {"status": "archived"}, {"status": "active"}


async def shelf(corp: Desk) -> tuple[Actor, str, str, str]:
    """An owner, and a brand with a project that is active and one that is archived."""
    owner = await organization(corp)
    made = await brand(corp, owner)
    projects = [
        (await corp.do(CreateProject(brand_id=made, name=name), owner))["id"]
        for name in ("live", "old")
    ]
    await corp.do(UpdateProject(project=projects[1], status="archived"), owner)
    return owner, made, projects[0], projects[1]


async def test_a_brand_is_archived_with_its_projects_and_gives_back_what_they_were(
    corp: Desk,
) -> None:
    owner, made, live, old = await shelf(corp)
    revisions = [each.revision for each in await Project.find().to_list()]
    view = await corp.do(UpdateBrand(brand=made, status="archived"), owner)
    assert view["status"] == "archived"
    for project in (live, old):
        shown = await get_project(owner, project)
        assert (shown.status, shown.archived_with) == ("archived", "brand")
    await corp.do(UpdateBrand(brand=made, status="active"), owner)
    found = [await get_project(owner, project) for project in (live, old)]
    assert [(each.status, each.archived_with) for each in found] == [
        ("active", None), ("archived", None),
    ]  # fmt: skip
    assert [each.revision for each in await Project.find().to_list()] == revisions, "no fan-out"
    told = [event["data"]["status"] for event in await corp.events("corp.brand.updated")]
    assert told == ["archived", "active"]


async def test_lists_tell_archived_from_active(corp: Desk) -> None:
    owner, made, live, old = await shelf(corp)
    other = await brand(corp, owner, "other")
    third = (await corp.do(CreateProject(brand_id=other, name="third"), owner))["id"]
    await Brand.get_pymongo_collection().update_one({"_id": other}, {"$unset": {"status": ""}})

    async def ids(status: Any, **more: Any) -> set[str]:
        page = await list_projects(owner, Cursor(), status=status, **more)
        assert all(status in (None, each.status) for each in page.items)
        return {each.id for each in page.items}

    assert await ids("active") == {live, third}
    assert await ids("archived") == {old}
    await corp.do(UpdateBrand(brand=made, status="archived"), owner)
    assert await ids("active") == {third}
    assert await ids("archived") == {live, old}
    assert await ids(None) == {live, old, third}
    assert await ids("archived", brand_id=other) == set()
    assert await ids("active", brand_id=made) == set()
    pages = [
        {each.id for each in (await list_brands(owner, Cursor(), status=status)).items}
        for status in ("active", "archived")
    ]
    assert pages == [{other}, {made}]
    assert (await get_brand(owner, other)).status == "active", "from before there were archives"


async def test_what_is_archived_takes_no_changes_until_it_is_restored(corp: Desk) -> None:
    owner, made, live, old = await shelf(corp)
    renamed = UpdateProject(project=old, name="new")
    assert await corp.code_of(renamed, owner) == "corp.project_archived"
    assert await corp.code_of(UpdateProject(project=old, **ARCHIVED), owner) == "done"
    both = UpdateProject(project=old, name="new", **ACTIVE)
    assert await corp.code_of(both, owner) == "done"
    await corp.do(UpdateBrand(brand=made, status="archived"), owner)
    for command in (
        UpdateProject(project=live, name="x"),
        UpdateProject(project=live, **ARCHIVED),
        UpdateProject(project=old, **ACTIVE),
        CreateProject(brand_id=made, name="late"),
        UpdateBrand(brand=made, name="x"),
        UpdateBrandKit(brand=made, colors=()),
    ):
        assert await corp.code_of(command, owner) == "corp.brand_archived", command
    assert await corp.code_of(UpdateBrand(brand=made, name="y", **ACTIVE), owner) == "done"
    assert await corp.code_of(UpdateBrand(brand=made, **ARCHIVED), owner) == "done"
    for project in (live, old):
        assert await corp.code_of(DeleteProject(project=project), owner) == "done", "it may go"
    assert await corp.code_of(DeleteBrand(brand=made), owner) == "done"


async def test_what_is_archived_takes_no_assets(corp: Desk) -> None:
    owner, made, live, old = await shelf(corp)
    assert (await get_open_project(owner, live)).id == live
    with pytest.raises(Exception, match="project is archived"):
        await get_open_project(owner, old)
    await corp.do(UpdateBrand(brand=made, status="archived"), owner)
    for project in (live, old):
        with pytest.raises(Exception, match="brand is archived"):
            await get_open_project(owner, project)


async def test_no_project_is_made_or_changed_in_a_brand_while_it_is_archived(corp: Desk) -> None:
    owner, made, live, _ = await shelf(corp)
    for attempt in range(8):
        await corp.do(UpdateBrand(brand=made, status="active"), owner)
        archive, make, rename = await asyncio.gather(
            corp.do(UpdateBrand(brand=made, status="archived"), owner),
            corp.code_of(CreateProject(brand_id=made, name=f"p{attempt}"), owner),
            corp.code_of(UpdateProject(project=live, name=f"n{attempt}"), owner),
        )
        at = (await get_brand(owner, made)).revision
        assert archive["revision"] == at
        assert {make, rename} <= {"done", "corp.brand_archived"}
        archived = (await corp.events("corp.brand.updated"))[-1]
        for type, end in (("corp.project.created", make), ("corp.project.updated", rename)):
            last = (await corp.events(type))[-1]
            if end == "done":
                assert last["logged"] < archived["logged"], "it came before"


# kits


async def test_a_kit_is_part_of_its_brand(corp: Desk) -> None:
    owner = await organization(corp)
    made = await brand(corp, owner)
    empty = await get_brand_kit(owner, made)
    assert (empty.colors, empty.fonts, empty.logos, empty.revision) == ((), (), (), 1)
    colors = (KitColor(name="Red", value="#FF0000"),)
    logos = (KitLogo(name="Mark", asset_id="ast_1"),)
    fonts = (KitFont(family="Inter", weight=700, asset_id="ast_2"),)
    change = UpdateBrandKit(brand=made, colors=colors, logos=logos, fonts=fonts, if_revision=1)
    assert (await corp.do(change, owner))["revision"] == 2
    assert await corp.code_of(change, owner) == "revision_mismatch"
    await corp.do(UpdateBrandKit(brand=made, logos=()), owner)
    kit = await get_brand_kit(owner, made)
    assert (kit.colors, kit.fonts, kit.logos) == (colors, fonts, ()), "what is not named stays"
    twice = UpdateBrandKit(brand=made, colors=colors * 2)
    assert await corp.code_of(twice, owner) == "corp.kit_name_twice"
    await corp.do(UpdateBrand(brand=made, name="Renamed"), owner)
    assert (await get_brand_kit(owner, made)).colors == colors
    assert [event["revision"] for event in await corp.events("corp.brand_kit.updated")] == [2, 3]
    other = await organization(corp, "otto")
    assert await corp.code_of(change, other) == "corp.brand_not_found"
    with pytest.raises(Exception, match="no such brand"):
        await get_brand_kit(other, made)


# owners


async def test_an_organization_is_handed_over(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", Role.VIEWER)
    view = await corp.do(TransferOrganization(user_id=vera.user), owner)
    assert (view["id"], view["role"]) == (owner.org, "admin")
    assert [(await standing(each))[0] for each in (owner, vera)] == [Role.ADMIN, Role.OWNER]
    [event] = await corp.events("corp.organization.transferred")
    assert event["data"]["to_user_id"] == vera.user
    assert len(await corp.events("corp.member.changed")) == 2
    again = TransferOrganization(user_id=vera.user)
    assert await corp.code_of(again, owner) == "permission_missing", "no longer the owner"
    for target, code in (
        (vera.user, "corp.owner_already"),
        ("usr_nobody", "corp.member_not_found"),
        (owner.user, "done"),
    ):
        assert await corp.code_of(TransferOrganization(user_id=target), vera) == code
    key = Actor(user="key_1", org=owner.org, scopes=frozenset())
    assert await corp.code_of(again, key) == "permission_missing"


async def test_of_many_transfers_at_once_one_is_made(corp: Desk) -> None:
    owner = await organization(corp)
    people = [await member(corp, owner, f"vera{n}", Role.VIEWER) for n in range(10)]
    commands = [TransferOrganization(user_id=each.user) for each in people] * 5
    ends = await at_once(corp, *((command, owner) for command in commands))
    assert ends == {"done": 1, "permission_missing": 49}
    assert await Membership.find({"role": Role.OWNER}).count() == 1


@pytest.mark.parametrize("attempt", range(3))
async def test_whatever_fifty_do_at_once_an_owner_remains(corp: Desk, attempt: int) -> None:
    first = await organization(corp)
    owners = [first, *[await member(corp, first, f"otto{n}", Role.OWNER) for n in range(9)]]
    heirs = [await member(corp, first, f"vera{n}", Role.VIEWER) for n in range(3)]

    def going(number: int) -> tuple[Any, Actor]:
        actor, other = owners[number % 10], owners[(number * 3 + attempt + 1) % 10]
        match number % 5:
            case 0:
                return RemoveMember(user=actor.user), actor
            case 1:
                return ChangeMember(user=actor.user, role=Role.VIEWER), actor
            case 2:
                return RemoveMember(user=other.user), actor
            case 3:
                return ChangeMember(user=other.user, role=Role.ADMIN), actor
        return TransferOrganization(user_id=heirs[number % 3].user), actor

    ends = await at_once(corp, *(going(number) for number in range(50)))
    assert await Membership.find({"role": Role.OWNER}).count() >= 1, ends
    assert ends["done"] >= 5, ends
    assert set(ends) <= {
        "done", "corp.last_owner", "corp.member_not_found", "permission_missing",
        "corp.owner_already",
    }, ends  # fmt: skip
