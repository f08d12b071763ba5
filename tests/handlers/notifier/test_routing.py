"""Who is told of an event."""

from __future__ import annotations

import json

import pytest
from notifier_stage import envelope, envelope_of

from bus import streams
from contracts.asset.events import AssetDeleted, AssetFailed
from contracts.auth.events import SessionOpened, SessionRevoked, UserRegistered
from contracts.base import Event
from contracts.corp.events import (
    BrandCreated,
    MemberChanged,
    MemberRemoved,
    OrganizationDeleted,
    ProjectDeleted,
)
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import now
from contracts.visibility import public_json
from handlers.routing import is_channel, route

SHARDS = 4


def addresses(made: Envelope) -> set[str]:
    return {address for push in route(made, SHARDS) for address in push.addresses}


def controls(made: Envelope) -> list[str]:
    return [push.control for push in route(made, SHARDS) if push.control]


def test_an_event_of_an_organization_goes_to_its_channel() -> None:
    assert addresses(envelope(BrandCreated(brand_id="brd_1", name="x"))) == {"org_1/org"}


def test_an_event_goes_to_the_shard_of_its_organization() -> None:
    (push,) = route(envelope(BrandCreated(brand_id="brd_1", name="x")), SHARDS)
    assert push.shard == streams.shard_of("org_1", SHARDS)


def test_an_event_of_an_asset_goes_to_asset_project_and_organization() -> None:
    failed = AssetFailed(asset_id="ast_1", project_id="prj_1", name="x", code="c", detail="d")
    assert addresses(envelope(failed)) == {"org_1/org", "org_1/project:prj_1", "org_1/asset:ast_1"}


def test_a_project_is_known_by_its_subject_where_the_data_does_not_name_it() -> None:
    made = envelope_of("corp.project.created", {}, subject="prj_9")
    assert addresses(made) == {"org_1/org", "org_1/project:prj_9"}


@pytest.mark.parametrize(
    "event",
    [
        UserRegistered(user_id="usr_1", email="a@b.c", name="n"),
        SessionRevoked(session_id="ses_1", user_id="usr_1", reason="signed_out"),
        SessionOpened(
            session_id="ses_1", user_id="usr_1", address="::1", agent="", expires_at=now()
        ),
    ],
)
@pytest.mark.parametrize("org", [None, "org_1"])
def test_a_private_event_goes_to_its_user_alone(event: Event, org: str | None) -> None:
    assert addresses(envelope(event, org=org, actor="usr_2")) == {"usr_1/me"}


def test_every_private_contract_stays_out_of_the_organization() -> None:
    for contract in Event.all():
        if contract.private:
            made = envelope_of(contract.wire, {"user_id": "usr_1", "project_id": "prj_1"})
            assert addresses(made) == {"usr_1/me"}, contract.wire


def test_a_private_event_without_a_user_in_its_data_goes_to_its_actor() -> None:
    assert addresses(envelope_of("auth.user.updated", {}, actor="usr_7")) == {"usr_7/me"}


def test_an_event_of_an_unknown_contract_is_treated_as_private() -> None:
    assert addresses(envelope_of("corp.brand.created", {}, dataversion=99, actor="usr_7")) == {
        "usr_7/me"
    }


def test_a_member_is_told_of_their_membership() -> None:
    made = envelope(MemberChanged(user_id="usr_5", role=Role.VIEWER), actor="usr_1")
    assert addresses(made) == {"org_1/org", "usr_5/me"}


def test_an_internal_producers_event_goes_to_the_organization_and_what_it_names() -> None:
    made = envelope_of("custom.render.done", {"project_id": "prj_1", "user_id": "usr_1"})
    assert addresses(made) == {"org_1/org", "org_1/project:prj_1"}


@pytest.mark.parametrize("hostile", ["prj 1", "prj_1 org_2/org", "a/b", "", "é", 7, None, ["x"]])
def test_what_producers_name_cannot_reach_another_address(hostile: object) -> None:
    made = envelope_of("custom.x.y", {"project_id": hostile, "asset_id": hostile})
    assert addresses(made) == {"org_1/org"}


def test_an_event_without_organization_and_user_reaches_nobody() -> None:
    assert route(envelope_of("custom.x.y", {}, org=None), SHARDS) == []
    assert route(envelope_of("custom.x.y", {}, org="org 1"), SHARDS) == []


@pytest.mark.parametrize(
    ("event", "control"),
    [
        (SessionRevoked(session_id="ses_1", user_id="usr_1", reason=""), "session usr_1 ses_1"),
        (MemberRemoved(user_id="usr_1"), "left usr_1 org_1"),
        (MemberChanged(user_id="usr_1", role=Role.VIEWER), "role usr_1 org_1"),
        (OrganizationDeleted(organization_id="org_1"), "organization org_1"),
        (ProjectDeleted(project_id="prj_1", brand_id="brd_1"), "channel org_1 project:prj_1"),
        (AssetDeleted(asset_id="ast_1"), "channel org_1 asset:ast_1"),
        (BrandCreated(brand_id="brd_1", name="x"), None),
    ],
)
def test_what_ends_access_carries_one_control(event: Event, control: str | None) -> None:
    assert controls(envelope(event)) == ([control] if control else [])


def test_the_control_of_a_lost_membership_follows_the_users_own_copy() -> None:
    mine = route(envelope(MemberRemoved(user_id="usr_5")), SHARDS)[-1]
    assert mine.addresses == ("usr_5/me",)
    assert mine.control == "left usr_5 org_1"


def test_clients_see_neither_reply_channels_nor_sessions_nor_roles() -> None:
    made = envelope_of(
        "custom.x.y",
        {"text": "a\nb"},
        actor="usr_1",
        session="ses_1",
        role=Role.OWNER,
        replyto="secret",
        traceparent="00-1",
        correlationid="req_1",
    )
    shown = public_json(made)
    assert b"\n" not in shown
    assert set(json.loads(shown)) == {
        *("specversion", "id", "source", "type", "time", "datacontenttype", "dataversion"),
        *("data", "org", "actor", "correlationid"),
    }


@pytest.mark.parametrize(
    ("text", "fine"), [("org", True), ("project:prj_1", True), ("", False), ("a\n", False),
                       ("x" * 129, False), ("é", False), ("\ud800", False)]
)  # fmt: skip
def test_a_channels_name_is_short_printable_ascii(text: str, fine: bool) -> None:
    assert is_channel(text) is fine
