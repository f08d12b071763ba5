"""The schema of everything that crosses a wire, as it was last agreed to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import contracts.catalog  # noqa: F401 - every contract must be declared
from contracts.base import Event, Message, View

SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS"


def all_views() -> list[type[View]]:
    found: list[type[View]] = []
    waiting = [View]
    while waiting:
        for view in waiting.pop().__subclasses__():
            waiting.append(view)
            if view.__module__.startswith("contracts."):
                found.append(view)
    return sorted(set(found), key=lambda view: view.__name__)


CONTRACTS: dict[str, type[Any]] = {
    **{f"{each.wire}.v{each.wire_version}": each for each in Message.all()},
    **{f"view.{view.__module__.split('.')[1]}.{view.__name__}": view for view in all_views()},
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_is_as_it_was_agreed_to(name: str) -> None:
    path = SNAPSHOTS / f"{name}.json"
    mode: Any = "serialization" if name.startswith("view.") else "validation"
    schema = CONTRACTS[name].model_json_schema(mode=mode)
    now = json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(now)
    assert path.exists(), f"{name} is new: run pytest with {UPDATE}=1 and commit its snapshot"
    assert now == path.read_text(), (
        f"the schema of {name} has changed; if that is meant, run pytest with {UPDATE}=1, "
        "and look at the diff: a contract only ever gains optional fields"
    )


def test_no_snapshot_is_left_of_a_contract_that_is_gone() -> None:
    left = {path.stem for path in SNAPSHOTS.glob("*.json") if path.stem != "asyncapi"} - set(
        CONTRACTS
    )
    assert not left, f"these went without a new version and an upcaster: {sorted(left)}"


@pytest.mark.parametrize("name", [name for name in CONTRACTS if not name.startswith("view.")])
def test_a_message_written_before_can_still_be_read(name: str) -> None:
    """What the snapshot allowed must be allowed now: nothing removed, nothing newly required."""
    old = json.loads((SNAPSHOTS / f"{name}.json").read_text())
    new = CONTRACTS[name].model_json_schema(mode="validation")
    gone = set(old.get("properties", {})) - set(new.get("properties", {}))
    assert not gone, f"{name} lost {sorted(gone)}"
    demanded = set(new.get("required", [])) - set(old.get("required", []))
    assert not demanded, f"{name} now requires {sorted(demanded)}"


@pytest.mark.parametrize("event", list(Event.all()), ids=lambda event: event.wire)
def test_an_event_names_the_field_that_says_what_it_is_about(event: type[Event]) -> None:
    assert event.subject in event.model_fields


@pytest.mark.parametrize("message", list(Message.all()), ids=lambda message: message.wire)
def test_a_wire_name_is_written_out_as_domain_noun_and_verb(message: type[Message]) -> None:
    assert "wire" in message.__dict__
    domain, noun, verb = message.wire.split(".")
    assert message.__module__.split(".")[1] == domain
    assert all(part.replace("_", "").isalpha() and part.islower() for part in (noun, verb))
    assert message.__doc__, "the docstring is the summary in /docs and AsyncAPI"
