"""The table of permissions is the whole truth, so it must make sense by itself."""

from __future__ import annotations

from itertools import pairwise

import pytest

from contracts.actor import Actor, PermissionMissing
from contracts.errors import DomainError, ErrorKind
from contracts.permissions import GRANTS, Permission, Role


def test_every_role_has_its_grants() -> None:
    assert set(GRANTS) == set(Role)


def test_a_stronger_role_may_all_that_a_weaker_one_may() -> None:
    ranked = sorted(Role, key=lambda role: role.rank)
    for stronger, weaker in pairwise(ranked):
        assert GRANTS[stronger] >= GRANTS[weaker]


def test_an_owner_may_everything() -> None:
    assert GRANTS[Role.OWNER] == set(Permission)


def test_a_viewer_changes_nothing() -> None:
    assert not {each for each in GRANTS[Role.VIEWER] if each.value.endswith((":write", ":delete"))}


@pytest.mark.parametrize("permission", Permission)
def test_a_permission_is_resource_and_action(permission: Permission) -> None:
    resource, action = permission.value.split(":")
    assert resource.isalpha()
    assert action.isalpha()


def test_an_actor_without_a_role_may_nothing() -> None:
    actor = Actor(user="usr_1")
    for permission in Permission:
        with pytest.raises(PermissionMissing):
            actor.require(permission)


def test_every_error_has_a_code_of_its_own_a_kind_and_a_title() -> None:
    import gateway.errors

    assert gateway.errors
    for code, error in DomainError.all().items():
        assert code == error.code
        assert code.replace(".", "").replace("_", "").isalpha(), code
        assert isinstance(error.kind, ErrorKind)
        assert error.title
        assert not error.title.endswith(".")


def test_everybody_reads_events_and_only_who_administers_sends_them() -> None:
    assert {role for role in Role if Permission.EVENTS_READ in GRANTS[role]} == set(Role)
    senders = {role for role in Role if Permission.EVENTS_WRITE in GRANTS[role]}
    assert senders == {Role.OWNER, Role.ADMIN}
