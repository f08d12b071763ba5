"""Corp's decisions, each without I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.actor import Actor
from contracts.corp.errors import (
    BrandArchived,
    InvitationExpired,
    InvitationForAnother,
    InvitationSpent,
    InvitationVoid,
    KitNameTwice,
    ProjectArchived,
    RoleTooHigh,
)
from contracts.corp.types import KitColor, KitFont, KitLogo
from contracts.permissions import GRANTS, Permission, Role
from handlers.corp.rules import (
    Held,
    archived_with,
    check_brand_changes,
    check_gives,
    check_invitation_lives,
    check_invited,
    check_kit,
    check_project_changes,
    effective_brand_roles,
    effective_role,
    invitation_status,
    strongest,
)

OWNER, ADMIN, EDITOR, REVIEWER, VIEWER = Role
GIVEN = [ADMIN, EDITOR, REVIEWER, VIEWER]

roles = st.sampled_from(list(Role))
given_roles = st.sampled_from(GIVEN)
brand_roles = st.dictionaries(st.sampled_from(["brd_1", "brd_2", "brd_3"]), given_roles)
held = st.builds(Held, st.none() | given_roles, brand_roles)
teams_of = st.lists(held, max_size=5)


@pytest.mark.parametrize("own", list(Role))
@pytest.mark.parametrize("team", [None, *GIVEN])
def test_of_a_members_own_role_and_their_teams_the_stronger_counts(
    own: Role, team: Role | None
) -> None:
    wanted = own if team is None or own.rank <= team.rank else team
    assert effective_role(own, [Held(team)]) is wanted


@given(roles, teams_of)
def test_a_team_never_weakens_and_never_makes_an_owner(own: Role, teams: list[Held]) -> None:
    effective = effective_role(own, teams)
    assert effective.rank <= own.rank
    assert (effective is OWNER) == (own is OWNER)
    assert effective is effective_role(own, reversed(teams)), "in whatever order"
    assert effective in (own, *(team.role for team in teams))


@given(roles, held, teams_of)
def test_what_is_said_of_the_member_beats_what_is_said_of_their_teams(
    effective: Role, own: Held, teams: list[Held]
) -> None:
    found = effective_brand_roles(effective, own, teams)
    if effective in (OWNER, ADMIN):
        assert found == {}
        return
    for brand in ("brd_1", "brd_2", "brd_3"):
        of_teams = strongest(team.brands[brand] for team in teams if brand in team.brands)
        wanted = own.brands.get(brand) or of_teams or effective
        assert found.get(brand, effective) is wanted
    assert effective not in found.values(), "what makes no difference is not kept"
    assert found == effective_brand_roles(effective, own, list(reversed(teams)))


@pytest.mark.parametrize("effective", list(Role))
@pytest.mark.parametrize("override", GIVEN)
def test_a_role_in_a_brand_raises_and_lowers_but_for_who_administers_it_all(
    effective: Role, override: Role
) -> None:
    found = effective_brand_roles(effective, Held(None, {"brd_1": override}), [])
    if effective.rank <= ADMIN.rank or override is effective:
        assert found == {}
    else:
        assert found == {"brd_1": override}


def test_the_strongest_of_no_roles_is_none() -> None:
    assert strongest([]) is None
    assert strongest([VIEWER, ADMIN, EDITOR]) is ADMIN


@pytest.mark.parametrize("role", list(Role))
def test_an_api_key_gives_what_it_may_itself_and_no_more(role: Role) -> None:
    key = Actor(user="key_1", scopes=GRANTS[role])
    for wanted in Role:
        allowed = GRANTS[wanted] <= GRANTS[role]
        try:
            check_gives(key, wanted)
            assert allowed
        except RoleTooHigh:
            assert not allowed


def test_a_key_that_may_only_change_members_makes_nobody_anything() -> None:
    key = Actor(user="key_1", scopes=frozenset({Permission.MEMBER_WRITE, Permission.TEAM_WRITE}))
    for role in Role:
        with pytest.raises(RoleTooHigh):
            check_gives(key, role)
    check_gives(key, None)


def test_who_has_no_role_gives_none() -> None:
    with pytest.raises(RoleTooHigh):
        check_gives(Actor(user="usr_1"), VIEWER)


# archives


@pytest.mark.parametrize(
    ("brand", "project", "wanted"),
    [
        ("active", "active", ("active", None)),
        ("active", "archived", ("archived", None)),
        ("archived", "active", ("archived", "brand")),
        ("archived", "archived", ("archived", "brand")),
    ],
)
def test_a_project_is_archived_with_its_brand(brand: Any, project: Any, wanted: Any) -> None:
    assert archived_with(brand, project) == wanted


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("wanted", [None, "active", "archived"])
@pytest.mark.parametrize("stored", ["active", "archived"])
@pytest.mark.parametrize("brand", ["active", "archived"])
def test_what_is_archived_can_be_restored_and_changed_only_then(
    brand: Any, stored: Any, wanted: Any, more: bool
) -> None:
    frozen = stored == "archived" and wanted != "active" and more
    for check, error in (
        (lambda: check_brand_changes(stored, wanted, more=more), BrandArchived if frozen else None),
        (
            lambda: check_project_changes(brand, stored, wanted, more=more),
            BrandArchived if brand == "archived" else ProjectArchived if frozen else None,
        ),
    ):
        if error is None:
            check()
        else:
            with pytest.raises(error):
                check()


# invitations

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "left", "wanted"),
    [
        ("pending", 1, "pending"),
        ("pending", 0, "expired"),
        ("pending", -1, "expired"),
        ("accepted", -1, "accepted"),
        ("revoked", -1, "revoked"),
        ("expired", 1, "expired"),
    ],
)
def test_a_pending_invitation_expires_by_itself(stored: Any, left: int, wanted: str) -> None:
    assert invitation_status(stored, NOW + timedelta(seconds=left), NOW) == wanted


@pytest.mark.parametrize(
    ("status", "error"),
    [("accepted", InvitationSpent), ("revoked", InvitationVoid), ("expired", InvitationExpired)],
)
def test_what_became_of_an_invitation_is_said(status: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_invitation_lives(status)
    check_invitation_lives("pending")


def test_an_invitation_is_for_its_address_and_does_not_say_which() -> None:
    check_invited("ann@example.org", "Ann@Example.org")
    with pytest.raises(InvitationForAnother) as refused:
        check_invited("ann@example.org", "bob@example.org")
    assert "ann" not in str(refused.value)


# kits


@pytest.mark.parametrize(
    ("kit", "pointer"),
    [
        (([KitColor(name="Red", value="#ff0000"), KitColor(name="ＲＥＤ", value="#f00000")], [], []),
         "/colors/1"),
        (([], [KitFont(family="Inter"), KitFont(family="inter")], []), "/fonts/1"),
        (([], [], [KitLogo(name="a", asset_id="ast_1"), KitLogo(name="b", asset_id="ast_1"),
                   KitLogo(name="A\u200b", asset_id="ast_2")]), "/logos/2"),
    ],
)  # fmt: skip
def test_a_name_is_in_a_list_of_the_kit_once(kit: Any, pointer: str) -> None:
    with pytest.raises(KitNameTwice) as refused:
        check_kit(*kit)
    assert refused.value.errors[0].pointer == pointer


def test_a_family_may_have_several_fonts() -> None:
    fonts = [KitFont(family="Inter", weight=w, style=s) for w in (400, 700) for s in STYLES]
    check_kit([KitColor(name="Inter", value="#00000080")], fonts, [])


STYLES: tuple[Any, ...] = ("normal", "italic")
