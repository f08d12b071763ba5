"""Reactions to ``custom.*``: events of any type of that domain, of which some are of use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bus import streams
from bus.handling import Handler
from bus.replay.lane import Again, ReplayHandling, feed
from bus.unit_of_work import UnitOfWork
from contracts.base import Event, Message
from contracts.envelope import Envelope
from contracts.types import new_id, now
from tests.bus.probe import POLICY, Bus, Thing

CUSTOM = streams.events("custom")


class AnyCustom(Event):
    """Whatever a producer sends that names something."""

    model_config = {**Event.model_config, "extra": "ignore"}

    wire = "custom.*"

    @classmethod
    def takes(cls, data: Mapping[str, Any]) -> bool:
        return "name" in data


async def keep_the_name(event: AnyCustom, uow: UnitOfWork) -> None:
    if "name" in uow.message.data:
        uow.add(Thing(id=uow.new_id("thg"), name=uow.message.data["name"]))


TABLE: dict[type[Message], Handler] = {AnyCustom: keep_the_name}


def sent(data: dict[str, Any], **more: Any) -> Envelope:
    given = {"id": new_id("evt"), "source": "/shop", "type": "custom.shop.changed", "time": now()}
    return Envelope(**{**given, "data": data, **more})


def test_a_domains_pattern_is_nobodys_contract() -> None:
    assert Event.of_wire("custom.*", 1) is None
    assert AnyCustom not in set(Event.all())
    assert AnyCustom.domain() == "custom"


async def test_what_is_of_use_is_handled_once_and_the_rest_is_not_even_noted(bus: Bus) -> None:
    delivery, handling = bus.delivery(CUSTOM), bus.handling(TABLE)
    useful = [
        sent({"name": "a", "extra": [1]}),
        sent({"name": "b"}, type="custom.other.kind", dataversion=7),
    ]
    useless = [sent({"price": 1}), sent({}, type="customary.thing.changed")]
    for envelope in (*useful, *useful, *useless):
        await bus.put(envelope, CUSTOM)
    for entry in await bus.read(delivery):
        await handling.handle(entry, delivery, POLICY)
    names = {each.name for each in await Thing.find().to_list()}
    assert names == {"a", "b"}
    assert [bool(await bus.inbox(each.id)) for each in (*useful, *useless)] == [True] * 2 + [
        False
    ] * 2
    await delivery.settle()
    assert await bus.pending(CUSTOM) == []
    assert await bus.dead() == []


async def test_a_replay_notes_those_too_that_are_of_no_use(bus: Bus) -> None:
    """Else whoever replays would wait for them without end."""
    lane = streams.replay("probe")
    handling = ReplayHandling(
        "probe",
        TABLE,
        committer=bus.committer,
        publisher=bus.publisher,
        database=bus.database,
    )
    events = [sent({"name": "again"}), sent({"price": 1})]
    delivery = bus.delivery(lane)
    await feed(bus.pipeline, "probe", events, Again("rpl_1"))
    for entry in await bus.read(delivery):
        await handling.handle(entry, delivery, POLICY)
    assert [each.name for each in await Thing.find().to_list()] == ["again"]
    assert all([await bus.inbox(f"replay:rpl_1:{each.id}") for each in events])
