"""Organizations, members, brands and projects: what is allowed, also when all do it at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.paging import Cursor
from contracts.actor import Actor
from contracts.auth.events import UserUpdated
from contracts.corp.commands import (
    AddMember,
    ChangeMember,
    CreateBrand,
    CreateOrganization,
    CreateProject,
    DeleteBrand,
    DeleteOrganization,
    DeleteProject,
    RemoveMember,
    UpdateBrand,
    UpdateOrganization,
    UpdateProject,
)
from contracts.corp.errors import LastOwner, RoleTooHigh
from contracts.permissions import Role
from contracts.types import Slug
from handlers.corp.documents import Brand, Membership, Organization, Person, Project
from handlers.corp.queries import (
    find_standing,
    get_brand,
    get_member,
    get_organization,
    get_project,
    list_brands,
    list_members,
    list_memberships,
    list_organizations,
    list_projects,
)
from handlers.corp.rules import check_gives, check_owner_remains, name_key, slug_from
from tests.bus.desk import Desk, Refused
from tests.handlers.corp.tenants import at_once, brand, member, organization, person

# organizations


async def test_who_makes_an_organization_owns_it(corp: Desk) -> None:
    owner = await organization(corp)
    view = await get_organization(owner)
    assert (view.name, view.slug, view.role) == ("Acme", "acme", Role.OWNER)
    standing = await find_standing(owner, owner.tenant)
    assert standing is not None
    assert (standing.role, standing.brand_roles) == (Role.OWNER, {})
    assert [each.organization_id for each in await list_memberships(owner)] == [owner.org]
    events = await corp.events()
    assert [event["type"] for event in events] == [
        "corp.organization.created",
        "corp.member.added",
    ] or {event["type"] for event in events} == {
        "corp.organization.created",
        "corp.member.added",
    }
    assert {event["org"] for event in events} == {owner.org}
    assert {event["revision"] for event in events} == {1}, "each event says which revision it is"


async def test_an_organization_is_made_once_however_often_its_command_arrives(
    corp: Desk,
) -> None:
    actor = await person(corp, "olga")
    from contracts.envelope import Envelope

    message = Envelope.of_command(CreateOrganization(name="Acme"), source="/t", actor=actor)
    results = await asyncio.gather(*(corp.carry_out(message) for _ in range(5)))
    assert len({result["id"] for result in results}) == 1
    assert await Organization.count() == 1
    assert await Membership.count() == 1


async def test_two_organizations_of_one_name_have_two_slugs_also_when_made_at_once(
    corp: Desk,
) -> None:
    actor = await person(corp, "olga")
    await asyncio.gather(*(corp.do(CreateOrganization(name="Acme"), actor) for _ in range(6)))
    slugs = {organization.slug for organization in await Organization.find().to_list()}
    assert len(slugs) == 6
    assert "acme" in slugs
    assert all(slug.startswith("acme") for slug in slugs)


async def test_a_slug_that_was_asked_for_is_taken_once(corp: Desk) -> None:
    actor = await person(corp, "olga")
    ends = await at_once(corp, *((CreateOrganization(name="A", slug="wanted"), actor),) * 5)
    assert ends == {"done": 1, "corp.slug_taken": 4}
    mine = await organization(corp, "olga")
    assert await corp.code_of(UpdateOrganization(slug="wanted"), mine) == "corp.slug_taken"
    assert await corp.code_of(UpdateOrganization(slug="free"), mine) == "done"
    assert await corp.code_of(UpdateOrganization(slug="free"), mine) == "done", "its own"


async def test_an_organization_goes_when_its_brands_are_gone_and_takes_its_members_along(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    await member(corp, owner, "vera", Role.VIEWER)
    made = await brand(corp, owner)
    assert await corp.code_of(DeleteOrganization(), owner) == "corp.organization_not_empty"
    await corp.do(DeleteBrand(brand=made), owner)
    await corp.do(DeleteOrganization(), owner)
    assert await Organization.count() == await Membership.count() == 0
    assert len(await corp.events("corp.member.removed")) == 2
    assert await corp.code_of(CreateBrand(name="late"), owner) == "corp.organization_not_found"
    assert await corp.code_of(UpdateOrganization(name="x"), owner) == "corp.organization_not_found"


async def test_nothing_is_made_in_an_organization_while_it_goes(corp: Desk) -> None:
    for attempt in range(8):
        owner = await organization(corp, f"olga{attempt}", f"Acme {attempt}")
        await person(corp, f"nina{attempt}")
        ends = await asyncio.gather(
            corp.code_of(CreateBrand(name="b"), owner),
            corp.code_of(AddMember(email=f"nina{attempt}@example.com"), owner),
            corp.code_of(DeleteOrganization(), owner),
        )
        gone = await Organization.get(owner.tenant) is None
        orphans = await Brand.find({"organization_id": owner.org}).count()
        members = await Membership.find({"organization_id": owner.org}).count()
        if gone:
            assert (orphans, members) == (0, 0), f"left without an organization: {ends}"
        else:
            assert ends[2] == "corp.organization_not_empty"


# members


async def test_a_user_is_added_by_address_once(corp: Desk) -> None:
    owner = await organization(corp)
    await person(corp, "vera")
    ends = await at_once(corp, *((AddMember(email="VERA@example.com"), owner),) * 5)
    assert ends == {"done": 1, "corp.already_member": 4}
    view = await get_member(owner, "usr_vera")
    assert (view.email, view.name, view.role) == ("vera@example.com", "vera", Role.VIEWER)
    late = AddMember(email="nobody@example.com")
    assert await corp.code_of(late, owner) == "corp.user_unknown", "after waiting for the event"


async def test_somebody_who_has_just_registered_is_waited_for(corp: Desk) -> None:
    owner = await organization(corp)
    adding = asyncio.create_task(corp.code_of(AddMember(email="nina@example.com"), owner))
    await asyncio.sleep(0.2)
    assert not adding.done()
    await person(corp, "nina")
    assert await adding == "done"


@pytest.mark.parametrize("actor", list(Role))
@pytest.mark.parametrize("before", list(Role))
@pytest.mark.parametrize("after", list(Role))
def test_nobody_gives_or_takes_a_role_above_their_own(
    actor: Role, before: Role, after: Role
) -> None:
    allowed = min(before.rank, after.rank) >= actor.rank
    try:
        check_gives(Actor(user="usr_a", role=actor), before, after)
        assert allowed
    except RoleTooHigh:
        assert not allowed


async def test_an_admin_neither_makes_nor_touches_an_owner(corp: Desk) -> None:
    owner = await organization(corp)
    admin = await member(corp, owner, "adam", Role.ADMIN)
    await person(corp, "nina")
    await member(corp, owner, "vera", Role.VIEWER)
    too_high = "corp.role_too_high"
    refused = [
        AddMember(email="nina@example.com", role=Role.OWNER),
        ChangeMember(user=owner.user, role=Role.VIEWER),
        ChangeMember(user=admin.user, role=Role.OWNER),
        ChangeMember(user="usr_vera", role=Role.OWNER),
        RemoveMember(user=owner.user),
    ]
    for command in refused:
        assert await corp.code_of(command, admin) == too_high, command
    allowed = [
        ChangeMember(user="usr_vera", role=Role.ADMIN),
        AddMember(email="nina@example.com", role=Role.ADMIN),
        RemoveMember(user="usr_nina"),
    ]
    for command in allowed:
        assert await corp.code_of(command, admin) == "done", command


async def test_everybody_may_leave_and_only_some_may_remove_another(corp: Desk) -> None:
    owner = await organization(corp)
    viewer = await member(corp, owner, "vera", Role.VIEWER)
    await member(corp, owner, "nina", Role.VIEWER)
    removing = RemoveMember(user="usr_nina")
    assert await corp.code_of(removing, viewer) == "permission_missing"
    assert await corp.code_of(RemoveMember(user=viewer.user), viewer) == "done"
    assert await corp.code_of(removing, owner) == "done"
    assert await corp.code_of(removing, owner) == "corp.member_not_found"


async def test_the_last_owner_stays(corp: Desk) -> None:
    owner = await organization(corp)
    for command in (
        RemoveMember(user=owner.user),
        ChangeMember(user=owner.user, role=Role.ADMIN),
    ):
        assert await corp.code_of(command, owner) == "corp.last_owner"
    assert await corp.code_of(ChangeMember(user=owner.user, role=Role.OWNER), owner) == "done"
    with pytest.raises(LastOwner):
        check_owner_remains(Role.OWNER, 1)
    check_owner_remains(Role.OWNER, 2)
    check_owner_remains(Role.EDITOR, 1)


@pytest.mark.parametrize("how", ["leave", "step down", "remove each other", "one of each"])
async def test_of_owners_who_go_at_once_one_stays(corp: Desk, how: str) -> None:
    for attempt in range(4):
        first = await organization(corp, f"olga{attempt}", f"Acme {attempt}")
        second = await member(corp, first, f"otto{attempt}", Role.OWNER)

        def going(actor: Actor, other: Actor, number: int) -> Any:
            leave, down = (
                RemoveMember(user=actor.user),
                ChangeMember(user=actor.user, role=Role.VIEWER),
            )
            if how == "remove each other":
                return RemoveMember(user=other.user)
            return leave if how == "leave" or (how == "one of each" and number) else down

        ends = await at_once(
            corp, (going(first, second, 0), first), (going(second, first, 1), second)
        )
        owners = await Membership.find({"organization_id": first.org, "role": Role.OWNER}).count()
        assert owners == 1, f"{owners} owners are left: {ends}"
        assert ends == {"done": 1, "corp.last_owner": 1}


async def test_a_change_is_refused_when_the_caller_had_seen_another_revision(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", Role.VIEWER)
    made = await brand(corp, owner)
    project = await corp.do(CreateProject(brand_id=made, name="p"), owner)
    for command in (
        UpdateOrganization(name="x", if_revision=9),
        DeleteOrganization(if_revision=9),
        ChangeMember(user=vera.user, role=Role.EDITOR, if_revision=9),
        RemoveMember(user=vera.user, if_revision=9),
        UpdateBrand(brand=made, name="x", if_revision=9),
        DeleteBrand(brand=made, if_revision=9),
        UpdateProject(project=project["id"], name="x", if_revision=9),
        DeleteProject(project=project["id"], if_revision=9),
    ):
        assert await corp.code_of(command, owner) == "revision_mismatch", command
    updating = UpdateBrand(brand=made, name="x", if_revision=1)
    ends = await at_once(corp, *((updating, owner),) * 4)
    assert ends == {"done": 1, "revision_mismatch": 3}


# people


async def test_a_new_name_reaches_the_memberships(corp: Desk) -> None:
    owner = await organization(corp)
    await corp.react(UserUpdated(user_id=owner.user, name="Olga II"), revision=2)
    assert (await get_member(owner, owner.user)).name == "Olga II"


async def test_of_two_renamings_that_arrive_out_of_order_the_later_one_stays(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    await corp.react(UserUpdated(user_id=owner.user, name="third"), revision=3)
    await corp.react(UserUpdated(user_id=owner.user, name="second"), revision=2)
    assert (await get_member(owner, owner.user)).name == "third"
    found = await Person.get(owner.user)
    assert found is not None
    assert found.name == "third"


async def test_a_registration_is_remembered_once(corp: Desk) -> None:
    await asyncio.gather(*(person(corp, "olga") for _ in range(4)))
    assert await Person.count() == 1


# brands


async def test_of_many_who_want_one_brand_name_one_gets_it(corp: Desk) -> None:
    owner = await organization(corp)
    names = ["Nike", "NIKE", "nike", " Nike ", "Ｎｉｋｅ", "NiKe"] * 8
    ends = await at_once(corp, *((CreateBrand(name=name), owner) for name in names))
    assert ends == {"done": 1, "corp.brand_name_taken": len(names) - 1}
    assert await Brand.count() == 1
    assert len(await corp.events("corp.brand.created")) == 1
    assert await corp.dead() == []


async def test_the_same_brand_name_in_two_organizations_is_two_brands(corp: Desk) -> None:
    one, two = await organization(corp, "olga"), await organization(corp, "otto")
    ends = await at_once(corp, (CreateBrand(name="Nike"), one), (CreateBrand(name="Nike"), two))
    assert ends == {"done": 2}


async def test_a_brand_is_renamed_but_not_to_anothers_name(corp: Desk) -> None:
    owner = await organization(corp)
    first, _ = await brand(corp, owner, "First"), await brand(corp, owner, "Second")
    assert await corp.code_of(UpdateBrand(brand=first, name="FIRST"), owner) == "done"
    taken = await corp.code_of(UpdateBrand(brand=first, name="second"), owner)
    assert taken == "corp.brand_name_taken"
    ends = await at_once(
        corp,
        (UpdateBrand(brand=first, name="third"), owner),
        (CreateBrand(name="third"), owner),
    )
    assert ends == {"done": 1, "corp.brand_name_taken": 1}
    revisions = [
        event["revision"] for event in await corp.events() if event.get("subject") == first
    ]
    assert sorted(revisions) == list(range(1, len(revisions) + 1)), "a gap or a repetition"


async def test_a_brand_with_projects_stays_also_when_one_is_made_at_that_moment(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    full = await brand(corp, owner, "full")
    await corp.do(CreateProject(brand_id=full, name="p"), owner)
    assert await corp.code_of(DeleteBrand(brand=full), owner) == "corp.brand_not_empty"
    for attempt in range(8):
        made = await brand(corp, owner, f"brand {attempt}")
        ends = await asyncio.gather(
            corp.code_of(CreateProject(brand_id=made, name="p"), owner),
            corp.code_of(DeleteBrand(brand=made), owner),
        )
        there = await Brand.get(made) is not None
        projects = await Project.find({"brand_id": made}).count()
        assert projects == (1 if there else 0), f"a project without its brand: {ends}"


async def test_another_organizations_things_do_not_exist(corp: Desk) -> None:
    mine, theirs = await organization(corp, "olga"), await organization(corp, "otto")
    their_brand = await brand(corp, theirs)
    project = await corp.do(CreateProject(brand_id=their_brand, name="p"), theirs)
    for command, code in (
        (UpdateBrand(brand=their_brand, name="x"), "corp.brand_not_found"),
        (DeleteBrand(brand=their_brand), "corp.brand_not_found"),
        (CreateProject(brand_id=their_brand, name="x"), "corp.brand_not_found"),
        (UpdateProject(project=project["id"], name="x"), "corp.project_not_found"),
        (DeleteProject(project=project["id"]), "corp.project_not_found"),
        (ChangeMember(user=theirs.user, role=Role.VIEWER), "corp.member_not_found"),
        (RemoveMember(user=theirs.user), "corp.member_not_found"),
    ):
        assert await corp.code_of(command, mine) == code, command
    for query, id in ((get_brand, their_brand), (get_project, project["id"])):
        with pytest.raises(Exception, match="There is no such"):
            await query(mine, id)
    with pytest.raises(Exception, match="There is no such"):
        await get_member(mine, theirs.user)
    assert await find_standing(mine, theirs.tenant) is None
    for page in (
        await list_brands(mine, Cursor()),
        await list_projects(mine, Cursor()),
    ):
        assert page.items == ()
    assert [each.user_id for each in (await list_members(mine, Cursor())).items] == [mine.user]
    assert [each.id for each in (await list_organizations(mine, Cursor())).items] == [mine.org]


# projects


async def test_a_project_is_archived_renamed_and_removed(corp: Desk) -> None:
    owner = await organization(corp)
    made = await brand(corp, owner)
    project = await corp.do(CreateProject(brand_id=made, name="Spring"), owner)
    ends = await at_once(
        corp, *((CreateProject(brand_id=made, name=name), owner) for name in ("SPRING", "fall"))
    )
    assert ends == {"done": 1, "corp.project_name_taken": 1}
    view = await corp.do(UpdateProject(project=project["id"], status="archived"), owner)
    assert (view["status"], view["name"], view["revision"]) == ("archived", "Spring", 2)
    archived = await list_projects(owner, Cursor(), status="archived")
    assert [each.id for each in archived.items] == [project["id"]]
    await corp.do(DeleteProject(project=project["id"]), owner)
    assert await corp.code_of(DeleteProject(project=project["id"]), owner) == (
        "corp.project_not_found"
    )


# rules


@given(st.text(max_size=200))
def test_any_name_makes_a_slug_that_the_contract_takes(name: str) -> None:
    from pydantic import TypeAdapter

    TypeAdapter(Slug).validate_python(slug_from(name))


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme", "acme"),
        ("  Ünïcode & Söhne GmbH ", "unicode-sohne-gmbh"),
        ("日本", "organization"),
        ("---", "organization"),
        ("a" * 200, "a" * 50),
    ],
)
def test_a_slug_reads_like_its_name(name: str, slug: str) -> None:
    assert slug_from(name) == slug


@given(st.text(max_size=60))
def test_a_key_of_a_name_is_its_own_key(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nike", "NIKE"),
        ("Nike", "Ni\u200bke"),
        ("Nike", "\u2060Nike\ufeff"),
        ("Straße", "STRASSE"),
        ("a  b", "a\u00a0b"),
        ("ΰ", "Ϋ́"),
        ("ﬁne", "FINE"),
        ("caf\u00e9", "cafe\u200b\u0301"),
    ],
)
def test_names_that_look_the_same_are_the_same(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


async def test_a_refusal_tells_its_reason(corp: Desk) -> None:
    owner = await organization(corp)
    await brand(corp, owner, "Nike")
    with pytest.raises(Refused, match="Another brand of this organization has this name"):
        await corp.do(CreateBrand(name="nike"), owner)


async def test_what_many_rename_alike_at_once_is_not_in_its_own_way(corp: Desk) -> None:
    owner = await organization(corp)
    made = await brand(corp, owner)
    project = (await corp.do(CreateProject(name="Spring", brand_id=made), owner))["id"]

    async def after(turns: int, command: Any) -> str:
        # Not all at the same point: one looks for the name while another is given it.
        for _ in range(turns):
            await corp.redis.ping()
        return await corp.code_of(command, owner)

    for number in range(8):
        commands = (
            UpdateBrand(brand=made, name=f"Name {number}"),
            UpdateProject(project=project, name=f"Name {number}"),
            UpdateOrganization(slug=f"slug-{number}"),
        )
        ends = Counter(
            await asyncio.gather(*(after(turns, each) for turns in range(12) for each in commands))
        )
        assert ends == {"done": 36}
