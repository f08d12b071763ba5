"""Units of work and the committer: what is written together, and what is refused."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect, PyMongoError

from bus import committer
from bus.committer import Committer
from bus.documents import EVENTS, INBOX, OUTBOX
from bus.logged import event_document, logged_event
from bus.outages import is_outage
from bus.unit_of_work import AlreadyHandled, Conflict, UnitOfWork, check_revision
from contracts.errors import RevisionMismatch
from tests.bus.probe import ACTOR, Bus, MakeThing, Thing, ThingMade, ThingView, unit_of, until


def making(name: str, **fields: Any) -> UnitOfWork:
    unit = unit_of(name)
    thing = Thing(id=unit.new_id("thg"), name=name, **fields)
    unit.add(thing)
    unit.emit(ThingMade(thing_id=thing.id, name=name), thing)
    unit.succeed(ThingView(id=thing.id, name=name))
    return unit


async def stored(bus: Bus, name: str) -> Thing:
    unit = making(name)
    await bus.committer.commit(unit)
    found = await Thing.find_one({"name": name})
    assert found is not None
    return found


def transactions() -> tuple[float, float]:
    """How many there were, and of how many units."""
    return (
        REGISTRY.get_sample_value("grid8_commit_units_count") or 0.0,
        REGISTRY.get_sample_value("grid8_commit_units_sum") or 0.0,
    )


async def test_a_unit_writes_its_document_event_inbox_and_outbox_together(bus: Bus) -> None:
    unit = making("one")
    publication = await bus.committer.commit(unit)
    assert publication is not None
    thing = await Thing.find_one({"name": "one"})
    assert thing is not None
    assert (thing.revision, thing.id) == (1, unit.new_id("thg"))
    event = await bus.database[EVENTS].find_one()
    assert event is not None
    assert event["_id"] == unit.events[0].id
    assert event["type"] == "probe.thing.made"
    assert event["subject"] == thing.id
    assert event["revision"] == 1
    assert event["org"] == ACTOR.org
    assert event["actor"] == ACTOR.user
    assert event["causationid"] == unit.message.id
    assert logged_event(event) == unit.events[0]
    outcome = await bus.outcome(unit.message.id)
    assert outcome.status == "succeeded"
    assert outcome.result == {"id": thing.id, "name": "one"}
    assert outcome.actor == ACTOR.user
    outbox = await bus.database[OUTBOX].find_one()
    assert outbox is not None
    assert outbox["_id"] == publication.outbox
    assert outbox["events"] == [unit.events[0].id]


async def test_what_took_too_long_for_the_feed_is_written_anew(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MongoDB stands still during the first two transactions: nothing of them is committed."""
    times = iter([0.0, 60.0, 60.0, 120.0, 120.0, 120.1])
    logged: list[int] = []

    def monotonic() -> float:
        logged.append(time.time_ns() // 1000)
        return next(times)

    with monkeypatch.context() as patched:
        patched.setattr(
            committer, "time", SimpleNamespace(time_ns=time.time_ns, monotonic=monotonic)
        )
        await bus.committer.commit(making("late"))
    assert next(times, None) is None
    (event,) = await bus.database[EVENTS].find().to_list()
    assert logged[4] <= event["logged"] <= logged[5]


async def test_units_that_are_ready_together_share_one_transaction(bus: Bus) -> None:
    units = [making(f"thing {number}") for number in range(40)]
    before = transactions()
    await asyncio.gather(*(bus.committer.commit(unit) for unit in units))
    count, of_units = (after - was for after, was in zip(transactions(), before, strict=True))
    assert (count, of_units) == (1, 40)
    assert await bus.counts() == {"inbox": 40, "events": 40, "outbox": 1, "things": 40}


async def test_no_transaction_has_more_units_than_the_limit(bus: Bus) -> None:
    committer = Committer(bus.database.client, bus.database, limit=8)
    before = transactions()
    await asyncio.gather(*(committer.commit(making(f"thing {n}")) for n in range(20)))
    assert transactions()[0] - before[0] == 3
    await committer.close()


async def test_a_saved_document_has_the_next_revision_once_however_often_it_was_staged(
    bus: Bus,
) -> None:
    thing = await stored(bus, "thing")
    unit = unit_of()
    thing.size = 1
    unit.save(thing)
    thing.size = 2
    unit.save(thing)
    assert await bus.committer.commit(unit) is None, "nothing is published, so no outbox"
    found = await Thing.find_one({"name": "thing"})
    assert found is not None
    assert (found.revision, found.size) == (2, 2)
    assert found.updated_at >= found.created_at


async def test_of_many_that_change_one_document_the_first_is_written_and_the_rest_run_again(
    bus: Bus,
) -> None:
    await stored(bus, "thing")
    units = []
    for size in range(1, 31):
        thing = await Thing.find_one({"name": "thing"})
        assert thing is not None
        unit = unit_of()
        thing.size = size
        unit.save(thing)
        units.append(unit)
    others = [making(f"other {number}") for number in range(10)]
    before = transactions()
    ends = await asyncio.gather(
        *(bus.committer.commit(unit) for unit in (*units, *others)), return_exceptions=True
    )
    assert [type(end).__name__ for end in ends[:30]] == ["NoneType"] + ["Conflict"] * 29
    assert not any(isinstance(end, BaseException) for end in ends[30:])
    assert transactions()[0] - before[0] == 1
    found = await Thing.find_one({"name": "thing"})
    assert found is not None
    assert (found.revision, found.size) == (2, 1)


async def test_what_another_unit_of_the_batch_removes_is_not_held_any_more(bus: Bus) -> None:
    thing = await stored(bus, "thing")
    removing, holding, removing_held = unit_of(), unit_of(), unit_of()
    removing.remove(thing)
    holding.hold_id(Thing, thing.id)
    other = await stored(bus, "other")
    holding_other = unit_of()
    holding_other.hold_id(Thing, other.id)
    removing_held.remove(other)
    before = transactions()
    ends = await asyncio.gather(
        *(bus.committer.commit(each) for each in (removing, holding, holding_other, removing_held)),
        return_exceptions=True,
    )
    assert [isinstance(end, Conflict) for end in ends] == [False, True, False, True]
    assert transactions()[0] - before[0] == 1


async def test_a_document_changed_since_it_was_read_is_a_conflict_and_stays(bus: Bus) -> None:
    mine, theirs = await stored(bus, "thing"), await Thing.find_one({"name": "thing"})
    assert theirs is not None
    first, second = unit_of(), unit_of()
    mine.size, theirs.size = 1, 2
    first.save(mine)
    second.save(theirs)
    second.emit(ThingMade(thing_id=theirs.id, name="never"), theirs)
    await bus.committer.commit(first)
    with pytest.raises(Conflict):
        await bus.committer.commit(second)
    found = await Thing.find_one({"name": "thing"})
    assert found is not None
    assert found.size == 1
    assert await bus.inbox(second.message.id) is None
    assert await bus.database[EVENTS].count_documents({"data.name": "never"}) == 0


async def test_of_two_units_of_one_batch_that_change_one_document_one_wins(bus: Bus) -> None:
    thing = await stored(bus, "thing")
    units = []
    for size in range(1, 6):
        copy = await Thing.get(thing.id)
        assert copy is not None
        unit = unit_of()
        copy.size = size
        unit.save(copy)
        units.append(unit)
    results = await asyncio.gather(
        *(bus.committer.commit(unit) for unit in units), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 4 + ["NoneType"]
    found = await Thing.get(thing.id)
    assert found is not None
    assert (found.revision, found.size) == (2, 1)


async def test_a_removed_document_cannot_be_held(bus: Bus) -> None:
    thing = await stored(bus, "thing")
    copy = await Thing.get(thing.id)
    assert copy is not None
    removing, holding = unit_of(), unit_of()
    removing.remove(thing)
    holding.hold(copy)
    await bus.committer.commit(removing)
    with pytest.raises(Conflict):
        await bus.committer.commit(holding)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
async def test_a_document_held_by_another_since_it_was_read_cannot_be_removed(
    bus: Bus, together: bool
) -> None:
    """A project is made in a brand while somebody removes the brand, having seen it empty."""
    parent = await stored(bus, "parent")
    seen_empty = await Thing.get(parent.id)
    assert seen_empty is not None
    child = making("child")
    child.hold(parent)
    removing = unit_of()
    removing.remove(seen_empty)
    if together:
        results = await asyncio.gather(
            bus.committer.commit(child), bus.committer.commit(removing), return_exceptions=True
        )
    else:
        results = [await bus.committer.commit(child)]
        results += await asyncio.gather(bus.committer.commit(removing), return_exceptions=True)
    assert isinstance(results[1], Conflict), f"the parent was removed under its child: {results}"
    assert await Thing.get(parent.id) is not None


async def test_holding_alone_conflicts_with_nobody(bus: Bus) -> None:
    parent = await stored(bus, "parent")
    units = [making(f"child {number}") for number in range(10)]
    for unit in units:
        unit.hold(parent)
    await asyncio.gather(*(bus.committer.commit(unit) for unit in units))
    other = making("later child")
    other.hold(parent)
    await bus.committer.commit(other)
    found = await Thing.get(parent.id)
    assert found is not None
    assert found.revision == 1


async def test_a_document_that_was_held_can_be_saved_and_removed_by_who_read_it_then(
    bus: Bus,
) -> None:
    parent = await stored(bus, "parent")
    child = making("child")
    child.hold(parent)
    await bus.committer.commit(child)
    for stage in ("save", "remove"):
        found = await Thing.get(parent.id)
        assert found is not None
        unit = unit_of()
        getattr(unit, stage)(found)
        await bus.committer.commit(unit)
    assert await Thing.get(parent.id) is None


async def test_the_event_of_a_removal_comes_after_every_other_of_its_document(bus: Bus) -> None:
    thing = await stored(bus, "thing")
    unit = unit_of()
    unit.remove(thing)
    unit.emit(ThingMade(thing_id=thing.id, name="gone"), thing)
    await bus.committer.commit(unit)
    revisions = [event["revision"] async for event in bus.database[EVENTS].find().sort("time")]
    assert revisions == [1, 2]


async def test_a_duplicate_of_a_unique_index_is_a_conflict(bus: Bus) -> None:
    await stored(bus, "thing")
    with pytest.raises(Conflict):
        await bus.committer.commit(making("thing"))


async def test_one_bad_unit_harms_nobody_else_in_its_batch(bus: Bus) -> None:
    await stored(bus, "taken")
    handled = making("handled before")
    await bus.committer.commit(handled)
    units = {
        "good 1": making("good 1"),
        "duplicate": making("taken"),
        "good 2": making("good 2"),
        "too large an integer": making("unfit", size=2**70),
        "again": UnitOfWork(handled.message, handled.group),
        "good 3": making("good 3"),
    }
    results = dict(
        zip(
            units,
            await asyncio.gather(
                *(bus.committer.commit(unit) for unit in units.values()), return_exceptions=True
            ),
            strict=True,
        )
    )
    assert isinstance(results["duplicate"], Conflict)
    assert isinstance(results["too large an integer"], OverflowError)
    assert isinstance(results["again"], AlreadyHandled)
    for name in ("good 1", "good 2", "good 3"):
        assert not isinstance(results[name], Exception), results[name]
        assert await Thing.find_one({"name": name}) is not None
        assert await bus.inbox(units[name].message.id) is not None
    assert await bus.counts() == {"inbox": 5, "events": 5, "outbox": 5, "things": 5}


async def test_a_message_in_the_inbox_is_not_handled_twice_not_even_at_once(bus: Bus) -> None:
    first = making("thing")
    second = UnitOfWork(first.message, first.group)
    second.add(Thing(id=first.new_id("thg", "other"), name="other"))
    results = await asyncio.gather(
        bus.committer.commit(first), bus.committer.commit(second), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == ["Publication", "AlreadyHandled"]
    assert await Thing.find_one({"name": "other"}) is None


async def test_two_groups_handle_the_same_message(bus: Bus) -> None:
    mine = making("thing")
    theirs = UnitOfWork(mine.message, "elsewhere")
    await asyncio.gather(bus.committer.commit(mine), bus.committer.commit(theirs))
    assert await bus.inbox(mine.message.id, "elsewhere") is not None


async def test_the_outbox_is_swept_when_every_unit_of_the_transaction_has_published(
    bus: Bus,
) -> None:
    publications = await asyncio.gather(
        *(bus.committer.commit(making(f"thing {number}")) for number in range(3))
    )
    assert len({publication.outbox for publication in publications if publication}) == 1
    for publication in publications[:2]:
        assert publication is not None
        bus.committer.published(publication)
    await bus.committer.close()
    assert (await bus.counts())["outbox"] == 1, "one of three has not published yet"
    assert publications[2] is not None
    bus.committer.published(publications[2])

    async def swept() -> bool:
        return (await bus.counts())["outbox"] == 0

    await until(swept, "the outbox to be swept")


async def test_a_waiter_that_gave_up_neither_loses_its_unit_nor_disturbs_the_batch(
    bus: Bus,
) -> None:
    units = [making(f"thing {number}") for number in range(3)]
    tasks = [asyncio.create_task(bus.committer.commit(unit)) for unit in units]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert not isinstance(results[0], BaseException)
    assert not isinstance(results[2], BaseException)
    assert (await bus.counts())["things"] == 3


async def test_the_same_message_makes_the_same_ids_on_each_delivery() -> None:
    message = making("thing").message
    units = [UnitOfWork(message, "probe") for _ in range(2)]
    for unit in units:
        for name in ("a", "b"):
            unit.emit(ThingMade(thing_id=unit.new_id("thg", name), name=name))
            unit.send(MakeThing(name=name))
    ids = [[each.id for each in unit.outbound()] for unit in units]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4
    other = UnitOfWork(message, "elsewhere")
    other.emit(ThingMade(thing_id="thg_1", name="a"))
    assert other.events[0].id not in ids[0], "another group's event is another event"


async def test_a_refusal_drops_what_was_staged_and_a_kept_one_does_not() -> None:
    from tests.bus.probe import ThingRefused

    dropped, kept = making("thing"), making("thing")
    for unit in (dropped, kept):
        unit.save(Thing(id="thg_2", name="other"))
        unit.remove(Thing(id="thg_3", name="another"))
        unit.hold(Thing(id="thg_4", name="held"))
        unit.send(MakeThing(name="next"))
        unit.effect(lambda: asyncio.sleep(0))
    dropped.refuse(ThingRefused("because"))
    kept.refuse_and_keep(ThingRefused("because"))
    staged = ("adds", "saves", "removes", "holds", "events", "commands", "effects")
    assert [len(getattr(dropped, name)) for name in staged] == [0] * 7
    assert [len(getattr(kept, name)) for name in staged] == [1] * 7
    for unit in (dropped, kept):
        assert unit.outcome is not None
        assert unit.outcome.failure is not None
        assert unit.outcome.failure.code == "probe.thing_refused"
        assert unit.outcome.failure.detail == "because"


def test_an_actor_or_organization_that_is_not_there_is_a_wiring_mistake() -> None:
    message = unit_of().message.model_copy(update={"actor": None, "org": None})
    unit = UnitOfWork(message, "probe")
    with pytest.raises(LookupError, match="actor"):
        _ = unit.actor
    with pytest.raises(LookupError, match="organization"):
        _ = unit.org


def test_if_match_names_the_stored_revision_or_nothing() -> None:
    thing = Thing.model_construct(id="thg_1", name="thing", revision=3)
    check_revision(thing, None)
    check_revision(thing, 3)
    with pytest.raises(RevisionMismatch, match="revision 2; the stored revision is 3"):
        check_revision(thing, 2)


def test_an_event_comes_back_from_the_log_as_it_went_in() -> None:
    unit = making_with_everything()
    envelope = unit.events[0]
    assert logged_event(event_document(envelope)) == envelope
    assert event_document(envelope)["_id"] == envelope.id


def making_with_everything() -> UnitOfWork:
    message = unit_of().message.model_copy(
        update={"correlationid": "req_1", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    )
    unit = UnitOfWork(message, "probe")
    unit.emit(ThingMade(thing_id="thg_1", name="ünïcode ✓"))
    return unit


async def test_the_inbox_is_what_decides_and_not_memory(bus: Bus) -> None:
    unit = making("thing")
    await bus.committer.commit(unit)
    fresh = Committer(bus.database.client, bus.database)
    with pytest.raises(AlreadyHandled):
        await fresh.commit(UnitOfWork(unit.message, unit.group))
    assert await bus.database[INBOX].count_documents({}) == 1
    await fresh.close()


async def test_a_document_that_a_dead_process_left_locked_holds_up_nobody_else(bus: Bus) -> None:
    """MongoDB keeps the transaction of a killed client open, for a minute unless told otherwise."""
    locked = await stored(bus, "locked")
    async with bus.database.client.start_session() as session:
        await session.start_transaction()
        await bus.database["things"].update_one(
            {"_id": locked.id}, {"$inc": {"held": 1}}, session=session
        )
        waiting = unit_of()
        waiting.save(locked)
        others = [making(f"other {number}") for number in range(20)]
        began = time.monotonic()
        results = await asyncio.wait_for(
            asyncio.gather(
                *(bus.committer.commit(unit) for unit in [*others[:10], waiting, *others[10:]]),
                return_exceptions=True,
            ),
            15,
        )
        took = time.monotonic() - began
        failed = [each for each in results if isinstance(each, Exception)]
        assert len(failed) == 1, f"of {len(results)} units these failed: {failed}"
        assert isinstance(results[10], PyMongoError)
        assert is_outage(results[10]), "it is waited for, and no attempt is counted"
        assert took < 5
        await session.abort_transaction()
    again = unit_of()
    found = await Thing.get(locked.id)
    assert found is not None
    again.save(found)
    await bus.committer.commit(again)


async def test_while_mongodb_is_away_a_batch_is_not_tried_piece_by_piece(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece would wait as long as the whole did."""
    tries = []

    async def away(units: Any, **_: Any) -> None:
        tries.append(len(units))
        raise AutoReconnect("gone")

    monkeypatch.setattr(bus.committer, "_transact", away)
    results = await asyncio.gather(
        *(bus.committer.commit(making(f"thing {n}")) for n in range(32)), return_exceptions=True
    )
    assert {type(each) for each in results} == {AutoReconnect}
    assert tries == [32]
