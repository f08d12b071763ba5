"""Takeover, heartbeat, parking and burying, on a real stream."""

from __future__ import annotations

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from bus import streams
from bus.broker import FIELD, ensure_group, ensure_groups
from bus.delivery import Grave
from bus.trim import trim
from tests.bus.probe import (
    COMMANDS,
    DEAD,
    DOMAIN,
    EVENT_STREAM,
    Bus,
    MakeThing,
    until,
)


async def idle(bus: Bus) -> dict[str, int]:
    """Milliseconds since each pending entry was last shown alive, by consumer."""
    return {row["consumer"].decode(): row["time_since_delivered"] for row in await bus.pending()}


async def test_what_a_dead_consumer_had_is_taken_over_with_its_attempts_counted(bus: Bus) -> None:
    await bus.send(MakeThing(name="one"))
    for number in range(3):
        consumer = bus.delivery(consumer=f"consumer {number}", claim_after=0.05)
        found = await bus.read(consumer) if number == 0 else await bus.reclaimed(consumer)
        assert [(entry.attempt, entry.again) for entry in found] == [(number + 1, number > 0)]
        assert FIELD.encode() in found[0].fields
    (row,) = await bus.pending()
    assert row["consumer"] == b"consumer 2"
    assert row["times_delivered"] == 3


async def test_what_a_living_consumer_has_is_not_taken_over(bus: Bus) -> None:
    await bus.send(MakeThing(name="one"))
    living, other = bus.delivery(claim_after=0.4), bus.delivery(consumer="two", claim_after=0.4)
    await bus.read(living)
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        await living.beat(older_than=0)
        assert await other.reclaim(10) == []
        await asyncio.sleep(0.1)
    (row,) = await bus.pending()
    assert (row["consumer"], row["times_delivered"]) == (b"one", 1), "a heartbeat is no attempt"
    await bus.reclaimed(other)


async def test_only_what_has_been_in_hand_for_a_while_needs_a_heartbeat(bus: Bus) -> None:
    delivery = bus.delivery()
    await bus.send(MakeThing(name="one"))
    await bus.read(delivery)
    await asyncio.sleep(0.05)
    await delivery.beat(older_than=60)
    assert (await idle(bus))["one"] >= 50
    await delivery.beat(older_than=0.01)
    assert (await idle(bus))["one"] < 50


async def test_a_heartbeat_does_not_bring_back_what_was_acknowledged(bus: Bus) -> None:
    delivery = bus.delivery()
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(delivery)
    await delivery.ack(entry.id)
    delivery.take(entry.id)  # as if the acknowledgement and the heartbeat crossed
    await delivery.beat(older_than=0)
    assert await bus.pending() == []


async def test_an_entry_is_taken_in_hand_once(bus: Bus) -> None:
    delivery = bus.delivery()
    assert delivery.take("1-0")
    assert not delivery.take("1-0")


async def test_a_parked_entry_comes_back_when_it_is_due_and_not_before(bus: Bus) -> None:
    delivery = bus.delivery(claim_after=2.0)
    await bus.send(MakeThing(name="soon"))
    await bus.send(MakeThing(name="now"))
    soon, now = await bus.read(delivery)
    began = time.monotonic()
    await delivery.park(soon, 0.4, counted=True)
    await delivery.park(now, 0.0, counted=True)
    other = bus.delivery(consumer="two", claim_after=2.0)
    assert [entry.id for entry in await other.reclaim(10)] == [now.id]
    (again,) = await bus.reclaimed(other)
    assert again.id == soon.id
    assert 0.39 <= time.monotonic() - began < 1.5


async def test_a_delay_longer_than_the_takeover_is_cut_to_it(bus: Bus) -> None:
    delivery = bus.delivery(claim_after=0.2)
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(delivery)
    await delivery.park(entry, 3600, counted=False)
    began = time.monotonic()
    await bus.reclaimed(delivery)
    assert time.monotonic() - began < 1


async def test_attempts_are_kept_across_parks_and_only_counted_ones_count(bus: Bus) -> None:
    delivery = bus.delivery(claim_after=0.2)
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(delivery)
    attempts = [entry.attempt]
    for counted in (True, False, False, True, False, True):
        await delivery.park(entry, 0, counted=counted)
        (entry,) = await bus.reclaimed(delivery)
        attempts.append(entry.attempt)
    assert attempts == [1, 2, 2, 2, 3, 3, 4]


async def test_a_parked_entry_is_not_in_hand_so_no_heartbeat_delays_it(bus: Bus) -> None:
    delivery = bus.delivery()
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(delivery)
    await delivery.park(entry, 0, counted=False)
    await delivery.beat(older_than=0)
    assert [each.id for each in await delivery.reclaim(10)] == [entry.id]


async def test_what_is_handed_back_is_another_ones_at_once_and_counts_as_never_had(
    bus: Bus,
) -> None:
    delivery = bus.delivery(claim_after=60)
    for number in range(5):
        await bus.send(MakeThing(name=f"thing {number}"))
    await delivery.hand_back(await bus.read(delivery))
    assert delivery.in_hand == {}
    found = await bus.delivery(consumer="two", claim_after=60).reclaim(10)
    assert [entry.attempt for entry in found] == [1] * 5


async def test_of_entries_that_went_down_with_their_process_repeatedly_one_is_in_hand_at_a_time(
    bus: Bus,
) -> None:
    for number in range(5):
        await bus.send(MakeThing(name=f"thing {number}"))
    await bus.read(bus.delivery(consumer="died first", claim_after=0.01))
    await bus.reclaimed(bus.delivery(consumer="died second", claim_after=0.01), 5)
    await asyncio.sleep(0.05)
    living = bus.delivery(consumer="living", claim_after=0.02)
    for _ in range(5):
        (entry,) = await bus.reclaimed(living)
        assert entry.attempt == 3
        assert await living.reclaim(10) == [], "the others are neither in hand nor counted"
        counts = [row["times_delivered"] for row in await bus.pending()]
        assert counts.count(2) == len(counts) - 1
        await living.ack(entry.id)
    assert await bus.pending() == []


async def test_what_its_handler_failed_repeatedly_is_no_suspect(bus: Bus) -> None:
    for number in range(5):
        await bus.send(MakeThing(name=f"thing {number}"))
    delivery = bus.delivery(claim_after=0.2)
    entries = await bus.read(delivery)
    for _ in range(3):
        await asyncio.gather(*(delivery.park(each, 0, counted=True) for each in entries))
        entries = await delivery.reclaim(10)
        assert len(entries) == 5
    assert [entry.attempt for entry in entries] == [4] * 5


async def test_what_this_process_has_in_hand_is_not_claimed_from_itself(bus: Bus) -> None:
    """As when its event loop stood still for longer than a heartbeat."""
    await bus.send(MakeThing(name="one"))
    delivery = bus.delivery(claim_after=0.01)
    await bus.read(delivery)
    await asyncio.sleep(0.05)
    assert await delivery.reclaim(10) == []
    assert [row["times_delivered"] for row in await bus.pending()] == [1]


async def test_many_pending_entries_are_reclaimed_some_at_a_time(bus: Bus) -> None:
    for number in range(25):
        await bus.send(MakeThing(name=f"thing {number}"))
    dead = bus.delivery(claim_after=0.01)
    await bus.read(dead)
    await asyncio.sleep(0.05)
    living = bus.delivery(consumer="two", claim_after=0.01)
    ids: set[str] = set()
    for _ in range(3):
        found = await living.reclaim(10)
        assert len(found) <= 10
        ids |= {entry.id for entry in found}
    assert len(ids) == 25
    assert await living.reclaim(0) == []


async def test_a_burial_moves_the_entry_in_one_step(bus: Bus) -> None:
    envelope = await bus.send(MakeThing(name="one"))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    grave = Grave("no reason", "make_thing", 3, "x" * 20_000)
    await delivery.bury(entry, grave)
    (letter,) = await bus.dead()
    assert letter["reason"] == "no reason"
    assert letter["handler"] == "make_thing"
    assert letter["attempts"] == "3"
    assert letter["stream"] == COMMANDS
    assert letter["entry"] == entry.id
    assert len(letter["traceback"]) == 8000
    assert letter["at"].endswith("Z")
    ((_, fields),) = await bus.redis.xrange(DEAD)
    assert fields[FIELD.encode()] == entry.fields[FIELD.encode()]
    assert envelope.id.encode() in fields[FIELD.encode()]
    assert await bus.pending() == []
    assert delivery.in_hand == {}


async def test_a_burial_whose_reply_was_lost_is_not_done_twice(bus: Bus) -> None:
    await bus.send(MakeThing(name="one"))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    for _ in range(2):
        await delivery.bury(entry, Grave("no reason", "", 1))
    assert len(await bus.dead()) == 1
    assert await bus.pending() == []


async def test_a_burial_that_fails_neither_acknowledges_nor_forgets(bus: Bus) -> None:
    await bus.redis.set(DEAD, "not a stream")
    await bus.send(MakeThing(name="one"))
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    with pytest.raises(Exception, match="WRONGTYPE"):
        await delivery.bury(entry, Grave("no reason", "", 1))
    assert len(await bus.pending()) == 1


async def test_another_domains_dead_letter_lies_with_the_domain_that_could_not_handle_it(
    bus: Bus,
) -> None:
    await bus.redis.xadd(EVENT_STREAM, {FIELD: b"x"})
    delivery = bus.delivery(EVENT_STREAM, group="mail")
    (entry,) = await bus.read(delivery)
    await delivery.bury(entry, Grave("no reason", "", 1))
    assert len(await bus.dead("mail")) == 1
    assert await bus.dead() == []
    assert await bus.pending(EVENT_STREAM, "mail") == []


# groups


async def test_a_group_starts_at_the_beginning_of_what_is_there_already(bus: Bus) -> None:
    await bus.send(MakeThing(name="before"))
    assert await ensure_group(bus.redis, COMMANDS, DOMAIN) is True
    assert await ensure_group(bus.redis, COMMANDS, DOMAIN) is False
    assert len(await bus.read(bus.delivery())) == 1
    pairs = [(COMMANDS, DOMAIN), (COMMANDS, "other"), (EVENT_STREAM, "other")]
    assert await ensure_groups(bus.redis, pairs) == 2


# trimming


async def filled(bus: Bus, count: int, *groups: str, stream: str = EVENT_STREAM) -> list[str]:
    # Trimming takes whole nodes of 100 entries, so there must be some.
    pipe = bus.redis.pipeline(transaction=False)
    for number in range(count):
        pipe.xadd(stream, {FIELD: str(number)})
    ids = [id.decode() for id in await pipe.execute()]
    for group in groups:
        await ensure_group(bus.redis, stream, group)
    return ids


async def test_trimming_drops_what_every_group_has_acknowledged_and_nothing_else(
    bus: Bus,
) -> None:
    ids = await filled(bus, 1000, "quick", "slow", "asleep")
    quick, slow = (bus.delivery(EVENT_STREAM, group=name) for name in ("quick", "slow"))
    for entry in await bus.read(quick, 1000):
        await quick.ack(entry.id)
    assert await trim(bus.redis, EVENT_STREAM) == 0, "two groups have read nothing"
    entries = await bus.read(slow, 900)
    await asyncio.gather(*(slow.ack(each.id) for each in entries if each.id != ids[500]))
    assert await trim(bus.redis, EVENT_STREAM) == 0, "one group has read nothing"
    await bus.redis.xgroup_setid(EVENT_STREAM, "asleep", ids[700])
    assert 300 <= await trim(bus.redis, EVENT_STREAM) <= 500
    left = {id.decode() for id, _ in await bus.redis.xrange(EVENT_STREAM)}
    assert left >= set(ids[500:]), "the oldest that somebody needs is number 500"
    await slow.ack(ids[500])
    assert await trim(bus.redis, EVENT_STREAM) > 0
    left = {id.decode() for id, _ in await bus.redis.xrange(EVENT_STREAM)}
    assert left >= set(ids[700:])


async def test_a_stream_without_groups_or_that_is_not_there_is_left_alone(bus: Bus) -> None:
    await filled(bus, 300)
    assert await trim(bus.redis, EVENT_STREAM) == 0
    assert await trim(bus.redis, streams.events("nobody")) == 0
    assert await bus.redis.xlen(EVENT_STREAM) == 300


async def test_trimming_survives_a_group_that_acknowledges_its_last_entry_meanwhile(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(bus, 300, "quick")
    quick = bus.delivery(EVENT_STREAM, group="quick")
    entries = await bus.read(quick, 300)
    real = bus.redis.xinfo_groups

    async def then_acknowledge(stream: str) -> object:
        groups = await real(stream)
        await asyncio.gather(*(quick.ack(entry.id) for entry in entries))
        return groups

    monkeypatch.setattr(bus.redis, "xinfo_groups", then_acknowledge)
    assert await trim(bus.redis, EVENT_STREAM) >= 0


async def test_a_stream_stays_bounded_while_it_is_written_and_read(bus: Bus) -> None:
    delivery = bus.delivery(EVENT_STREAM)
    longest = 0
    for _ in range(10):
        await filled(bus, 300, DOMAIN)
        await asyncio.gather(*(delivery.ack(e.id) for e in await bus.read(delivery, 300)))
        await trim(bus.redis, EVENT_STREAM)
        longest = max(longest, await bus.redis.xlen(EVENT_STREAM))
    assert longest < 600


async def test_entries_that_somebody_deleted_while_pending_are_reported_and_forgotten(
    bus: Bus,
) -> None:
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(bus.delivery(consumer="dead"))
    await bus.redis.xdel(COMMANDS, entry.id)
    delivery = bus.delivery(claim_after=0.01)
    with capture_logs() as logged:

        async def gone() -> bool:
            assert await delivery.reclaim(10) == []
            return await bus.pending() == []

        await until(gone, "the deleted entry to be forgotten")
    assert [each["event"] for each in logged] == ["entries_trimmed_while_pending"]


async def test_names_of_streams_share_a_slot_within_a_domain() -> None:
    names = [streams.commands("corp"), streams.commands("corp", "slow"), streams.events("corp")]
    names.append(streams.dead("corp"))
    assert len(set(names)) == 4
    assert {name[name.index("{") : name.index("}")] for name in names} == {"{corp"}
    assert {streams.domain_of(name) for name in names} == {"corp"}
    assert len({streams.consumer_name() for _ in range(100)}) == 100
