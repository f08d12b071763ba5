"""Teams and roles in brands: what they give, to whom, and what all at once leave behind."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from bus.paging import Cursor
from contracts.actor import Actor
from contracts.corp.commands import (
    AddBrandRole,
    AddTeamMember,
    ChangeBrandRole,
    ChangeMember,
    CreateTeam,
    DeleteBrand,
    DeleteOrganization,
    DeleteTeam,
    RemoveBrandRole,
    RemoveMember,
    RemoveTeamMember,
    UpdateTeam,
)
from contracts.permissions import GRANTS, Permission, Role
from handlers.authority import find_authority
from handlers.corp.documents import BrandRole, Membership, Team
from handlers.corp.queries import (
    find_standing,
    get_brand_role,
    get_holder,
    get_member,
    get_team,
    list_brand_roles,
    list_members,
    list_team_members,
    list_teams,
)
from handlers.corp.rules import Held, effective_brand_roles, effective_role
from tests.bus.desk import Desk
from tests.handlers.corp.tenants import at_once, brand, member, organization, standing, team

ADMIN, EDITOR, REVIEWER, VIEWER = Role.ADMIN, Role.EDITOR, Role.REVIEWER, Role.VIEWER


async def test_a_team_gives_its_role_to_who_is_in_it_and_takes_it_back(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    made = await team(corp, owner, role=EDITOR)
    view = await corp.do(AddTeamMember(team=made, user_id=vera.user), owner)
    assert (view["role"], view["effective_role"], view["teams"]) == ("viewer", "editor", [made])
    assert (await get_team(owner, made)).members == 1
    assert await standing(vera) == (EDITOR, {})
    actor = await find_authority(Actor(user=vera.user), vera.tenant)
    assert actor is not None
    assert actor.may(Permission.ASSET_WRITE)
    for change, role in (
        (UpdateTeam(team=made, role=ADMIN), ADMIN),
        (UpdateTeam(team=made, name="Others"), ADMIN),
        (UpdateTeam(team=made, role=None), VIEWER),
        (UpdateTeam(team=made, role=REVIEWER), REVIEWER),
        (RemoveTeamMember(team=made, user=vera.user), VIEWER),
    ):
        await corp.do(change, owner)
        assert await standing(vera) == (role, {}), change
    assert (await get_team(owner, made)).members == 0
    assert await corp.code_of(RemoveTeamMember(team=made, user=vera.user), owner) == (
        "corp.not_in_team"
    )


async def test_everybody_whose_role_changes_is_told_of_and_nobody_else(corp: Desk) -> None:
    owner = await organization(corp)
    people = [await member(corp, owner, f"vera{n}", role) for n, role in enumerate(Role)]
    made = await team(corp, owner, *people)
    before = len(await corp.events("corp.member.changed"))
    await corp.do(UpdateTeam(team=made, role=EDITOR), owner)
    events = (await corp.events("corp.member.changed"))[before:]
    told = {event["data"]["user_id"]: event["data"] for event in events}
    assert set(told) == {"usr_vera3", "usr_vera4"}, "reviewer and viewer"
    assert told["usr_vera3"]["role"] == "reviewer"
    assert told["usr_vera3"]["effective_role"] == "editor"
    await corp.do(DeleteTeam(team=made), owner)
    assert await Team.count() == 0
    assert [(await standing(each))[0] for each in people] == list(Role)
    assert [each.teams for each in await Membership.find().to_list()] == [[]] * 6


async def test_a_membership_from_before_there_were_teams_is_as_it_was(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", EDITOR)
    fields = {"effective_role": "", "brand_roles": "", "teams": ""}
    await Membership.get_pymongo_collection().update_many({}, {"$unset": fields})
    assert await standing(vera) == (EDITOR, {})
    view = await get_member(owner, vera.user)
    assert (view.effective_role, view.brand_roles, view.teams) == (EDITOR, {}, ())
    await corp.do(ChangeMember(user=vera.user, role=VIEWER), owner)
    assert await standing(vera) == (VIEWER, {})
    await team(corp, owner, vera, role=EDITOR)
    assert await standing(vera) == (EDITOR, {})


async def test_a_role_in_a_brand_is_given_changed_and_taken_away(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", EDITOR)
    made = await brand(corp, owner)
    view = await corp.do(AddBrandRole(brand=made, holder=vera.user, role=VIEWER), owner)
    assert (view["kind"], view["name"], view["role"], view["revision"]) == (
        "user", "vera", "viewer", 1,
    )  # fmt: skip
    assert await standing(vera) == (EDITOR, {made: VIEWER})
    again = AddBrandRole(brand=made, holder=vera.user, role=ADMIN)
    assert await corp.code_of(again, owner) == "corp.brand_role_taken"
    change = ChangeBrandRole(brand=made, holder=vera.user, role=ADMIN, if_revision=1)
    assert (await corp.do(change, owner))["revision"] == 2
    assert await corp.code_of(change, owner) == "revision_mismatch"
    assert await standing(vera) == (EDITOR, {made: ADMIN})
    await corp.do(RemoveBrandRole(brand=made, holder=vera.user), owner)
    assert await standing(vera) == (EDITOR, {})
    for gone in (RemoveBrandRole(brand=made, holder=vera.user), change):
        assert await corp.code_of(gone, owner) == "corp.brand_role_not_found"
    told = [event["data"]["brand_roles"] for event in await corp.events("corp.member.changed")]
    assert told == [{made: "viewer"}, {made: "admin"}, {}]


async def test_a_teams_role_in_a_brand_is_its_members_unless_they_have_their_own(
    corp: Desk,
) -> None:
    owner = await organization(corp)
    vera, nina = [await member(corp, owner, name, VIEWER) for name in ("vera", "nina")]
    made = await brand(corp, owner)
    first = await team(corp, owner, vera, nina, name="first")
    second = await team(corp, owner, vera, name="second")
    await corp.do(AddBrandRole(brand=made, holder=first, role=EDITOR), owner)
    await corp.do(AddBrandRole(brand=made, holder=second, role=ADMIN), owner)
    assert await standing(vera) == (VIEWER, {made: ADMIN})
    assert await standing(nina) == (VIEWER, {made: EDITOR})
    await corp.do(AddBrandRole(brand=made, holder=vera.user, role=REVIEWER), owner)
    assert await standing(vera) == (VIEWER, {made: REVIEWER})
    page = await list_brand_roles(owner, Cursor(limit=2), made)
    rest = await list_brand_roles(owner, Cursor(limit=2, cursor=page.next_cursor), made)
    assert {(each.holder, each.name) for each in (*page.items, *rest.items)} == {
        (first, "first"), (second, "second"), (vera.user, "vera"),
    }  # fmt: skip
    assert (await get_brand_role(owner, made, first)).kind == "team"
    await corp.do(DeleteTeam(team=first), owner)
    assert await standing(nina) == (VIEWER, {})
    await corp.do(DeleteBrand(brand=made), owner)
    assert await BrandRole.count() == 0
    assert await standing(vera) == (VIEWER, {})


async def test_who_administers_the_organization_does_so_in_every_brand(corp: Desk) -> None:
    owner = await organization(corp)
    adam = await member(corp, owner, "adam", ADMIN)
    made = await brand(corp, owner)
    for each in (owner, adam):
        await corp.do(AddBrandRole(brand=made, holder=each.user, role=VIEWER), owner)
    assert await standing(owner) == (Role.OWNER, {})
    assert await standing(adam) == (ADMIN, {})
    await corp.do(ChangeMember(user=adam.user, role=EDITOR), owner)
    assert await standing(adam) == (EDITOR, {made: VIEWER}), "it counts from then on"


async def test_who_administers_a_brand_gives_in_it_what_they_have_there(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    nina = await member(corp, owner, "nina", VIEWER)
    made = await brand(corp, owner)
    for role in (EDITOR, ADMIN):
        acting = Actor(user=vera.user, org=owner.org, role=role)
        give = AddBrandRole(brand=made, holder=nina.user, role=ADMIN)
        wanted = "done" if role is ADMIN else "corp.role_too_high"
        assert await corp.code_of(give, acting) == wanted
    weak = Actor(user=vera.user, org=owner.org, role=EDITOR)
    for command in (
        ChangeBrandRole(brand=made, holder=nina.user, role=VIEWER),
        RemoveBrandRole(brand=made, holder=nina.user),
    ):
        assert await corp.code_of(command, weak) == "corp.role_too_high", "nor takes more"


async def test_nobody_gives_a_team_more_than_they_have(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    strong = await team(corp, owner, role=ADMIN, name="strong")
    plain = await team(corp, owner, name="plain")
    made = await brand(corp, owner)
    await corp.do(AddBrandRole(brand=made, holder=plain, role=ADMIN), owner)
    scopes = GRANTS[EDITOR] | {Permission.TEAM_WRITE}
    key = Actor(user="key_1", org=owner.org, scopes=scopes)
    for command in (
        CreateTeam(name="x", role=ADMIN),
        UpdateTeam(team=plain, role=ADMIN),
        UpdateTeam(team=strong, role=None),
        AddTeamMember(team=strong, user_id=vera.user),
        AddTeamMember(team=plain, user_id=vera.user),
        DeleteTeam(team=strong),
    ):
        assert await corp.code_of(command, key) == "corp.role_too_high", command
    assert await corp.code_of(CreateTeam(name="x", role=EDITOR), key) == "done"
    with pytest.raises(ValidationError):
        CreateTeam(name="y", role=Role.OWNER)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        AddBrandRole(brand=made, holder=plain, role=Role.OWNER)  # type: ignore[arg-type]


async def test_an_api_key_gives_no_roles_in_brands(corp: Desk) -> None:
    """They would outlive it."""
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    made = await brand(corp, owner)
    key = Actor(user="key_1", org=owner.org, scopes=frozenset({Permission.BRAND_WRITE}))
    adding = AddBrandRole(brand=made, holder=vera.user, role=VIEWER)
    assert await corp.code_of(adding, key) == "permission_missing"
    assert await corp.code_of(adding, owner) == "done"
    for command in (
        ChangeBrandRole(brand=made, holder=vera.user, role=VIEWER),
        RemoveBrandRole(brand=made, holder=vera.user),
    ):
        assert await corp.code_of(command, key) == "permission_missing"


async def test_who_leaves_the_organization_leaves_its_teams_and_brands(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    made = await team(corp, owner, vera, owner, role=EDITOR)
    it = await brand(corp, owner)
    await corp.do(AddBrandRole(brand=it, holder=vera.user, role=ADMIN), owner)
    await corp.do(RemoveMember(user=vera.user), owner)
    assert await BrandRole.count() == 0
    assert (await get_team(owner, made)).members == 1
    assert [each.user_id for each in (await list_team_members(owner, Cursor(), made)).items] == [
        owner.user
    ]
    again = await member(corp, owner, "vera", VIEWER)
    assert await standing(again) == (VIEWER, {}), "who comes back begins anew"


async def test_lists_show_teams_and_who_is_in_them(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    made = await team(corp, owner, vera, name="Größe")
    assert [each.id for each in (await list_teams(owner, Cursor(), name="GRÖSSE")).items] == [made]
    found = await list_members(owner, Cursor(), team=made)
    assert [each.user_id for each in found.items] == [vera.user]
    assert (await list_members(owner, Cursor(), role=ADMIN, team=made)).items == ()
    for holder in (made, vera.user):
        await get_holder(owner, holder)


async def test_another_organizations_teams_and_members_do_not_exist(corp: Desk) -> None:
    mine, theirs = await organization(corp, "olga"), await organization(corp, "otto")
    vera = await member(corp, mine, "vera", VIEWER)
    other = await team(corp, theirs)
    own, their_brand, my_brand = (
        await team(corp, mine), await brand(corp, theirs), await brand(corp, mine),
    )  # fmt: skip
    for command, code in (
        (UpdateTeam(team=other, name="x"), "corp.team_not_found"),
        (DeleteTeam(team=other), "corp.team_not_found"),
        (AddTeamMember(team=other, user_id=vera.user), "corp.team_not_found"),
        (AddTeamMember(team=own, user_id=theirs.user), "corp.member_not_found"),
        (RemoveTeamMember(team=other, user=theirs.user), "corp.team_not_found"),
        (AddBrandRole(brand=their_brand, holder=vera.user, role=VIEWER), "corp.brand_not_found"),
        (AddBrandRole(brand=my_brand, holder=other, role=VIEWER), "corp.team_not_found"),
        (AddBrandRole(brand=my_brand, holder=theirs.user, role=VIEWER), "corp.member_not_found"),
    ):
        assert await corp.code_of(command, mine) == code, command
    for query in (get_team(mine, other), get_holder(mine, other), get_holder(mine, theirs.user)):
        with pytest.raises(Exception, match="There is no such"):
            await query


async def test_of_many_who_want_one_name_for_a_team_one_gets_it(corp: Desk) -> None:
    owner = await organization(corp)
    names = ["Crew", "CREW", "cre\u200bw", "Ｃｒｅｗ", " crew "] * 20
    ends = await at_once(corp, *((CreateTeam(name=name), owner) for name in names))
    assert ends == {"done": 1, "corp.team_name_taken": 99}
    made = await team(corp, owner, name="other")
    assert await corp.code_of(UpdateTeam(team=made, name="crew"), owner) == "corp.team_name_taken"
    assert await corp.code_of(UpdateTeam(team=made, name="OTHER"), owner) == "done", "its own"


async def test_of_many_who_put_somebody_into_a_team_one_does(corp: Desk) -> None:
    owner = await organization(corp)
    vera = await member(corp, owner, "vera", VIEWER)
    made = await team(corp, owner, role=EDITOR)
    joining = AddTeamMember(team=made, user_id=vera.user)
    assert await at_once(corp, *((joining, owner),) * 30) == {
        "done": 1, "corp.already_in_team": 29,
    }  # fmt: skip
    assert (await get_team(owner, made)).members == 1


async def test_a_team_made_while_the_organization_goes_goes_with_it(corp: Desk) -> None:
    for attempt in range(8):
        owner = await organization(corp, f"olga{attempt}", f"Acme {attempt}")
        await asyncio.gather(
            corp.code_of(CreateTeam(name="t"), owner), corp.code_of(DeleteOrganization(), owner)
        )
        assert await find_standing(owner, owner.tenant) is None
        assert await Team.find({"organization_id": owner.org}).count() == 0


async def assert_every_standing_follows_from_what_is_held() -> None:
    teams = {each.id: each for each in await Team.find().to_list()}
    held: dict[str, dict[str, Role]] = {}
    for role in await BrandRole.find().to_list():
        held.setdefault(role.holder, {})[role.brand_id] = role.role
    counted: Counter[str] = Counter()
    for one in await Membership.find().to_list():
        assert set(one.teams) <= set(teams)
        counted.update(one.teams)
        of_teams = [Held(teams[id].role, held.get(id, {})) for id in one.teams]
        effective = effective_role(one.role, of_teams)
        assert one.standing is effective, one
        own = Held(None, held.get(one.user_id, {}))
        assert one.brand_roles == effective_brand_roles(effective, own, of_teams), one
    assert {id: each.members for id, each in teams.items()} == {id: counted[id] for id in teams}


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_all_do_at_once_every_standing_follows_from_what_is_held(
    corp: Desk, seed: int
) -> None:
    chance = random.Random(seed)
    owner = await organization(corp)
    people = [await member(corp, owner, f"p{n}", chance.choice([EDITOR, VIEWER])) for n in range(4)]
    teams = [await team(corp, owner, name=f"t{n}") for n in range(3)]
    brands = [await brand(corp, owner, f"b{n}") for n in range(2)]
    given = [ADMIN, EDITOR, REVIEWER, VIEWER]

    def something() -> Any:
        who, which, where = chance.choice(people), chance.choice(teams), chance.choice(brands)
        role: Any = chance.choice(given)
        holder = chance.choice([who.user, which])
        return chance.choice(
            [
                AddTeamMember(team=which, user_id=who.user),
                AddTeamMember(team=which, user_id=who.user),
                RemoveTeamMember(team=which, user=who.user),
                UpdateTeam(team=which, role=role),
                UpdateTeam(team=which, role=None),
                ChangeMember(user=who.user, role=role),
                AddBrandRole(brand=where, holder=holder, role=role),
                AddBrandRole(brand=where, holder=holder, role=role),
                ChangeBrandRole(brand=where, holder=holder, role=role),
                RemoveBrandRole(brand=where, holder=holder),
            ]
        )

    ends: Counter[str] = Counter()
    for _ in range(6):
        ends += await at_once(corp, *((something(), owner) for _ in range(12)))
        await assert_every_standing_follows_from_what_is_held()
    assert ends["done"] > 15, ends
    assert not await corp.dead()


async def test_a_team_may_have_a_thousand_members_and_no_more(corp: Desk) -> None:
    owner = await organization(corp)
    late = await member(corp, owner, "late", VIEWER)
    made = await team(corp, owner)
    it = await brand(corp, owner)
    await Membership.insert_many(
        [
            Membership(
                id=f"{owner.org}:usr_{n}", organization_id=owner.tenant, user_id=f"usr_{n}",
                email=f"{n}@example.com", name=str(n), role=VIEWER, teams=[made],
            )
            for n in range(1000)
        ]
    )  # fmt: skip
    await Team.get_pymongo_collection().update_one({"_id": made}, {"$set": {"members": 1000}})
    joining = AddTeamMember(team=made, user_id=late.user)
    assert await corp.code_of(joining, owner) == "corp.team_full"
    await corp.do(AddBrandRole(brand=it, holder=made, role=EDITOR), owner)
    wanted = {"effective_role": "viewer", f"brand_roles.{it}": "editor"}
    assert await Membership.find(wanted).count() == 1000
    await corp.do(UpdateTeam(team=made, role=EDITOR), owner)
    assert await Membership.find({"effective_role": "editor", "brand_roles": {}}).count() == 1000
    await corp.do(DeleteTeam(team=made), owner)
    wanted = {"teams": [], "effective_role": "viewer", "brand_roles": {}}
    assert await Membership.find(wanted).count() == 1000
    assert len(await corp.events("corp.member.changed")) == 3000
