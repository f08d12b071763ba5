"""Every message is a CloudEvent 1.0."""

from __future__ import annotations

import json
import re

from contracts.actor import Actor
from contracts.base import Message
from contracts.corp.commands import CreateBrand
from contracts.corp.events import BrandCreated
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import derived_id, new_id

ACTOR = Actor(user="usr_1", session="ses_1", org="org_1", role=Role.ADMIN)


def envelope() -> Envelope:
    return Envelope.of_command(CreateBrand(name="Sunrise"), source="/grid8/test", actor=ACTOR)


def test_it_has_the_required_attributes_of_cloudevents() -> None:
    wire = json.loads(envelope().wire())
    assert wire["specversion"] == "1.0"
    assert wire["id"]
    assert wire["source"] == "/grid8/test"
    assert wire["type"] == "corp.brand.create"
    assert wire["datacontenttype"] == "application/json"


def test_attribute_names_are_lower_case_letters_and_digits() -> None:
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in Envelope.model_fields)


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    wire = json.loads(envelope().wire())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", wire["time"])


def test_absent_attributes_are_left_out() -> None:
    assert b"null" not in envelope().wire()


def test_it_survives_the_wire() -> None:
    sent = envelope()
    assert Envelope.model_validate_json(sent.wire()) == sent


def test_an_event_belongs_to_the_chain_of_its_command() -> None:
    command = envelope()
    event = command.caused_event(
        BrandCreated(brand_id="brd_1", name="Sunrise"), salt="corp/0", revision=1, org="org_1"
    )
    assert event.causationid == command.id
    assert event.correlationid == command.id
    assert event.subject == "brd_1"
    assert event.actor == "usr_1"
    assert event.replyto is None


def test_handling_a_command_again_causes_the_same_event_and_another_consumer_another() -> None:
    command, event = envelope(), BrandCreated(brand_id="brd_1", name="Sunrise")
    first = command.caused_event(event, salt="corp/0", revision=1, org="org_1")
    again = command.caused_event(event, salt="corp/0", revision=1, org="org_1")
    other = command.caused_event(event, salt="dpa/0", revision=1, org="org_1")
    assert first.id == again.id != other.id


def test_ids_are_ordered_by_time_and_derived_ids_keep_it() -> None:
    ids = [new_id("brd") for _ in range(100)]
    assert len(set(ids)) == 100
    assert [id[:14] for id in ids] == sorted(id[:14] for id in ids)
    assert derived_id("evt", ids[0], "a")[4:14] == ids[0][4:14]


def test_a_derived_id_of_a_foreign_id_is_still_an_id() -> None:
    for foreign in ("", "x", "ÄÖÜ_" + "é" * 50, "a_b_c" * 30):
        assert re.fullmatch(r"evt_[0-9a-z]{26}", derived_id("evt", foreign))


def test_no_wire_name_is_declared_twice() -> None:
    wires = [(each.wire, each.wire_version) for each in Message.all()]
    assert len(wires) == len(set(wires))
