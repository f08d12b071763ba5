"""API keys at the desk: whose scopes they have, and what becomes of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bus.paging import Cursor
from contracts.actor import Actor, PermissionMissing
from contracts.auth.commands import CreateApiKey, RevokeApiKey, RotateApiKey
from contracts.auth.errors import KeyExpiryRefused, KeyNotFound, KeyScopeRefused
from contracts.corp.events import OrganizationDeleted
from contracts.permissions import BY_PEOPLE_ALONE, GRANTS, Permission, Role
from contracts.sealed import unseal
from contracts.types import now
from handlers.auth.documents import ApiKey
from handlers.auth.queries import find_key, get_api_key, list_api_keys
from handlers.auth.rules.api_keys import KEYS_LIMIT, check_expiry, check_scopes
from infra.random_tokens import digest_of
from tests.handlers.auth.conftest import Auth

OWNER = Actor(user="usr_1", session="ses_1", org="org_1", role=Role.OWNER)
EDITOR = replace(OWNER, user="usr_2", role=Role.EDITOR)


def creating(*scopes: Permission, **more: Any) -> CreateApiKey:
    return CreateApiKey(name="shop", scopes=scopes or (Permission.ASSET_READ,), **more)


async def test_a_key_is_stored_as_a_digest(auth: Auth) -> None:
    made = await auth.do(creating(), OWNER)
    text = unseal(made["key"])
    key = await ApiKey.get(made["id"])
    assert key is not None
    assert key.digest == digest_of(text)
    (event,) = await auth.events("auth.api_key.created")
    assert (event["org"], event["subject"]) == ("org_1", key.id)
    for document in (key.model_dump_json(), str(event), str(made)):
        assert text not in document
        assert text[-49:] not in document


async def test_a_key_has_no_more_than_whoever_makes_it_may(auth: Auth) -> None:
    assert await auth.code_of(creating(Permission.EVENTS_WRITE), EDITOR) == PermissionMissing.code
    assert await auth.code_of(creating(Permission.ASSET_WRITE), EDITOR) == "done"
    wide = await auth.do(creating(Permission.EVENTS_WRITE), OWNER)
    assert await auth.code_of(RotateApiKey(key_id=wide["id"]), EDITOR) == PermissionMissing.code


async def test_a_key_makes_no_keys_whatever_its_scopes_say(auth: Auth) -> None:
    key = Actor(user="key_1", org="org_1", scopes=frozenset(Permission))
    assert not any(key.may(each) for each in BY_PEOPLE_ALONE)
    assert key.may(Permission.ASSET_READ)
    for scope in BY_PEOPLE_ALONE:
        assert await auth.code_of(creating(scope), OWNER) == KeyScopeRefused.code


def test_whoever_impersonates_may_what_the_role_says_but_for_what_only_people_do() -> None:
    acting = replace(OWNER, impersonator="usr_9")
    assert {each for each in Permission if acting.may(each)} == (
        GRANTS[Role.OWNER] - BY_PEOPLE_ALONE
    )


async def test_a_scope_named_twice_counts_once(auth: Auth) -> None:
    made = await auth.do(creating(Permission.ASSET_READ, Permission.ASSET_READ), OWNER)
    assert made["scopes"] == ["asset:read"]


async def test_rotating_keeps_the_old_secret_for_the_grace_and_tells_nobody_a_secret(
    auth: Auth,
) -> None:
    made = await auth.do(creating(), OWNER)
    first = unseal(made["key"])
    rotated = await auth.do(RotateApiKey(key_id=made["id"], grace=60), OWNER)
    second = unseal(rotated["key"])
    assert first != second
    key = await find_key(Actor(user=made["id"]))
    assert key is not None
    assert (key.digest, key.previous_digest) == (digest_of(second), digest_of(first))
    assert key.previous_until is not None
    assert timedelta(seconds=50) < key.previous_until - now() <= timedelta(seconds=60)
    (event,) = await auth.events("auth.api_key.rotated")
    assert second not in str(event)
    assert rotated["revision"] == 2
    stale = RotateApiKey(key_id=made["id"], if_revision=1)
    assert await auth.code_of(stale, OWNER) == "revision_mismatch"


async def test_a_key_whose_time_is_over_is_given_no_secret_that_would_be_refused(
    auth: Auth,
) -> None:
    made = await auth.do(creating(expires_at=now() + timedelta(days=1)), OWNER)
    rotated = await auth.do(RotateApiKey(key_id=made["id"]), OWNER)
    key = await ApiKey.get(made["id"])
    assert key is not None
    await key.set({"expires_at": now() - timedelta(seconds=1)})
    assert await auth.code_of(RotateApiKey(key_id=made["id"]), OWNER) == "auth.key_ended"
    known = await find_key(Actor(user=made["id"]))
    assert known is not None
    assert known.digest == digest_of(unseal(rotated["key"]))


async def test_a_revoked_key_is_gone(auth: Auth) -> None:
    made = await auth.do(creating(), OWNER)
    elsewhere = replace(OWNER, org="org_2")
    assert await auth.code_of(RevokeApiKey(key_id=made["id"]), elsewhere) == KeyNotFound.code
    assert await find_key(Actor(user=made["id"])) is not None
    assert await auth.code_of(RevokeApiKey(key_id=made["id"]), OWNER) == "done"
    assert await find_key(Actor(user=made["id"])) is None
    assert await auth.code_of(RevokeApiKey(key_id=made["id"]), OWNER) == KeyNotFound.code
    (event,) = await auth.events("auth.api_key.revoked")
    assert event["data"] == {"key_id": made["id"]}


async def test_rotating_and_revoking_at_once_leaves_no_key(auth: Auth) -> None:
    made = await auth.do(creating(), OWNER)
    codes = await asyncio.gather(
        auth.code_of(RevokeApiKey(key_id=made["id"]), OWNER),
        *(auth.code_of(RotateApiKey(key_id=made["id"]), OWNER) for _ in range(5)),
    )
    assert codes[0] == "done"
    assert set(codes[1:]) <= {"done", KeyNotFound.code}
    assert await ApiKey.count() == 0


async def test_the_keys_of_a_deleted_organization_are_removed(auth: Auth) -> None:
    mine = await auth.do(creating(), OWNER)
    other = await auth.do(creating(), replace(OWNER, org="org_2"))
    await auth.react(OrganizationDeleted(organization_id="org_1"), org="org_1")
    assert await find_key(Actor(user=mine["id"])) is None
    assert await find_key(Actor(user=other["id"])) is not None
    (event,) = await auth.events("auth.api_key.revoked")
    assert (event["org"], event["subject"]) == ("org_1", mine["id"])


async def test_keys_are_listed_in_pages_and_in_their_organization_alone(auth: Auth) -> None:
    made = [(await auth.do(creating(), OWNER))["id"] for _ in range(3)]
    await auth.do(creating(), replace(OWNER, org="org_2"))
    first = await list_api_keys(OWNER, Cursor(limit=2))
    rest = await list_api_keys(OWNER, Cursor(limit=2, cursor=first.next_cursor))
    assert [key.id for key in (*first.items, *rest.items)] == sorted(made)
    with pytest.raises(KeyNotFound):
        await get_api_key(replace(OWNER, org="org_2"), made[0])


async def test_an_organization_has_a_limit_of_keys(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KEYS_LIMIT >= 100
    monkeypatch.setattr("handlers.auth.handlers.api_keys.KEYS_LIMIT", 2)
    codes = [await auth.code_of(creating(), OWNER) for _ in range(3)]
    assert codes == ["done", "done", "auth.too_many_keys"]


def test_an_expiry_is_ahead_and_not_too_far() -> None:
    at = now()
    check_expiry(None, at)
    check_expiry(at + timedelta(seconds=1), at)
    check_expiry(at + timedelta(days=5 * 365), at)
    for wrong in (at, at - timedelta(days=1), at + timedelta(days=5 * 367)):
        with pytest.raises(KeyExpiryRefused):
            check_expiry(wrong, at)
    check_scopes([each for each in Permission if each not in BY_PEOPLE_ALONE])
