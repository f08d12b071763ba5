"""Dead letters: found, shown, sent again by a real worker, edited, dropped; and who did it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from bus import streams
from bus.accepted import Accepted
from bus.broker import FIELD, decode, make_broker
from bus.dead_letters.letter import DeadLetter, EditRefused, NotRedrivable, Wanted
from bus.dead_letters.store import KEPT, OPERATOR_LOG, DeadLetters, LetterGone
from bus.delivery import Grave
from bus.documents import INBOX
from bus.handling import GAVE_UP, Handling, Policy
from bus.replay.lane import ReplayHandling
from bus.unit_of_work import UnitOfWork
from bus.worker import Lane, Worker
from contracts.base import Message, View
from contracts.envelope import Envelope
from contracts.sealed import Sealed
from tests.bus.probe import (
    COMMANDS,
    DEAD,
    DOMAIN,
    EVENT_STREAM,
    BroodOverThing,
    Bus,
    MakeThing,
    Thing,
    ThingMade,
    ThingView,
    envelope_of,
    make_thing,
    until,
)

QUICK = Policy(max_deliveries=2, backoff_base=0.01, claim_after=0.5, timeout=5.0)
ANY = Wanted()
OTHER, THIRD = "other", "third"


class Station:
    """A real worker whose handlers fail until they are mended."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.broken = True
        self.seen: list[tuple[str, str]] = []

    async def make(self, command: MakeThing, uow: UnitOfWork) -> ThingView:
        self.fail_if_broken()
        return await make_thing(command, uow)

    async def brood(self, command: BroodOverThing, uow: UnitOfWork) -> View | None:
        self.fail_if_broken()
        uow.add(Thing(id=uow.new_id("thg"), name=command.name))
        return None

    async def react(self, event: ThingMade, uow: UnitOfWork) -> None:
        if uow.group == OTHER:
            self.fail_if_broken()
        self.seen.append((uow.group, event.name))

    def fail_if_broken(self) -> None:
        if self.broken:
            raise RuntimeError("the handler is broken")

    def worker(self, redis_url: str) -> Worker:
        commands: dict[type[Message], Any] = {MakeThing: self.make, BroodOverThing: self.brood}
        reactions: dict[type[Message], Any] = {ThingMade: self.react}
        lanes = [
            self.lane(COMMANDS, self.bus.handling(commands)),
            self.lane(streams.commands(DOMAIN, "slow"), self.bus.handling(commands)),
        ]
        for group in (OTHER, THIRD):
            lanes.append(self.lane(EVENT_STREAM, self.bus.handling(reactions, group=group)))
            again = ReplayHandling(
                group,
                reactions,
                committer=self.bus.committer,
                publisher=self.bus.publisher,
                database=self.bus.database,
            )
            lanes.append(self.lane(streams.replay(group), again))
        return Worker(
            make_broker(redis_url),
            self.bus.redis,
            self.bus.pipeline,
            lanes,
            heartbeat=0.1,
            drain_grace=5.0,
        )

    def lane(self, stream: str, handling: Handling) -> Lane:
        return Lane(stream, handling, QUICK, 8)


@pytest.fixture
async def station(bus: Bus, bus_redis_url: str) -> AsyncIterator[Station]:
    station = Station(bus)
    worker = station.worker(bus_redis_url)
    await worker.start()
    yield station
    await worker.stop()


@pytest.fixture
def letters(bus: Bus) -> DeadLetters:
    return DeadLetters(bus.redis, bus.database, by="ann")


async def all_of(letters: DeadLetters, *domains: str, wanted: Wanted = ANY) -> list[DeadLetter]:
    return [each async for each in letters.find(domains or (DOMAIN, OTHER, THIRD), wanted)]


async def the_letter(letters: DeadLetters, *domains: str) -> DeadLetter:
    async def one() -> list[DeadLetter]:
        return await all_of(letters, *domains)

    found = await until(one, "a dead letter")
    assert len(found) == 1
    letter: DeadLetter = found[0]
    return letter


async def bury(bus: Bus, envelope: Envelope, reason: str, stream: str = COMMANDS) -> None:
    """A letter without a worker."""
    await bus.put(envelope, stream)
    delivery = bus.delivery(stream)
    (entry,) = await bus.read(delivery)
    await delivery.bury(entry, Grave(reason, "make_thing", 3, "Traceback: here"))


async def log_of(bus: Bus) -> list[dict[str, Any]]:
    return await bus.database[OPERATOR_LOG].find().sort("_id", 1).to_list(None)


async def test_a_redriven_command_is_carried_out_though_the_inbox_says_it_failed(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    envelope = await bus.send(MakeThing(name="one"))
    letter = await the_letter(letters)
    assert (await bus.outcome(envelope.id)).failure == GAVE_UP

    station.broken = False
    entry = await letters.redrive(letter)

    async def succeeded() -> bool:
        found = await bus.inbox(envelope.id)
        return bool(found) and found["outcome"]["status"] == "succeeded"

    await until(succeeded, "the command to be carried out")
    assert await Thing.count() == 1
    assert await all_of(letters) == []
    found = await bus.redis.xrange(COMMANDS, entry, entry)
    assert found[0][1] == {FIELD.encode(): letter.body}, "the original bytes"


async def test_a_redriven_command_counts_as_waiting_until_it_has_ended(
    bus: Bus, letters: DeadLetters
) -> None:
    envelope = envelope_of(MakeThing(name="one"))
    await bury(bus, envelope, "RuntimeError: no")
    (letter,) = await all_of(letters)
    accepted = Accepted(bus.publisher, bus.database, kept=KEPT)
    entry = await letters.redrive(letter)
    waiting = await accepted.find(envelope.id, DOMAIN)
    assert waiting is not None
    assert (waiting.user, waiting.stream, waiting.entry) == ("usr_probe", COMMANDS, entry)
    outcome = await accepted.outcome(envelope.id, DOMAIN, waiting, user="usr_probe", lost=GAVE_UP)
    assert outcome is None


async def test_a_command_of_the_slow_lane_goes_back_to_the_slow_lane(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    await bus.send(BroodOverThing(name="egg"))
    letter = await the_letter(letters)
    assert letter.target() == streams.commands(DOMAIN, "slow")
    station.broken = False
    await letters.redrive(letter)
    await until(Thing.count, "the egg")


async def test_a_redriven_event_reaches_only_the_group_that_failed(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    event = ThingMade(thing_id="thg_1", name="one")
    cause = envelope_of(MakeThing(name="one"))
    await bus.put(cause.caused_event(event, salt="0", revision=1, org="org_probe"), EVENT_STREAM)
    letter = await the_letter(letters)
    assert (letter.domain, letter.text("group")) == (OTHER, OTHER)
    await until(lambda: station.seen, "the third group to have seen it")
    assert station.seen == [(THIRD, "one")]

    station.broken = False
    await letters.redrive(letter)

    await until(lambda: len(station.seen) == 2, "the failed group to see it")
    assert station.seen == [(THIRD, "one"), (OTHER, "one")]
    assert await bus.redis.xlen(EVENT_STREAM) == 1
    assert not await bus.redis.exists(streams.replay(THIRD)) or not await bus.redis.xlen(
        streams.replay(THIRD)
    )


async def test_an_event_that_fails_again_is_a_letter_again_and_goes_back_once_more(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    event = ThingMade(thing_id="thg_1", name="one")
    cause = envelope_of(MakeThing(name="one"))
    await bus.put(cause.caused_event(event, salt="0", revision=1, org="org_probe"), EVENT_STREAM)
    first = await the_letter(letters)
    await letters.redrive(first)
    second = await the_letter(letters)
    assert second.text("stream") == streams.replay(OTHER)
    station.broken = False
    await letters.redrive(second)
    await until(lambda: (OTHER, "one") in station.seen, "the failed group to see it")
    assert await all_of(letters) == []


async def test_a_letter_is_redriven_once_however_often_it_is_tried(
    bus: Bus, letters: DeadLetters
) -> None:
    await bury(bus, envelope_of(MakeThing(name="one")), "RuntimeError: no")
    (letter,) = await all_of(letters)
    before = await bus.redis.xlen(COMMANDS)
    tries = await asyncio.gather(
        *(letters.redrive(letter) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, str) for each in tries) == 1
    assert sum(isinstance(each, LetterGone) for each in tries) == 4
    assert await bus.redis.xlen(COMMANDS) == before + 1


async def test_a_crash_before_the_entry_is_back_leaves_the_letter(
    bus: Bus, station: Station, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = await bus.send(MakeThing(name="one"))
    letter = await the_letter(letters)
    station.broken = False
    with monkeypatch.context() as patched:

        async def dies(*_: Any) -> None:
            raise ConnectionError("killed")

        patched.setattr(bus.redis, "eval", dies)
        with pytest.raises(ConnectionError):
            await letters.redrive(letter)
    assert await bus.inbox(envelope.id) is None, "the failure was forgotten already"
    assert [each.id for each in await all_of(letters)] == [letter.id]
    await letters.redrive(letter)
    await until(Thing.count, "the thing, by the second try")


async def test_an_outcome_that_is_no_give_up_stays_and_the_repetition_is_skipped(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    envelope = await bus.send(MakeThing(name="one"))
    letter = await the_letter(letters)
    succeeded = {"command_id": envelope.id, "status": "succeeded", "result": {"id": "x"}}
    await bus.database[INBOX].update_one(
        {"_id": f"{DOMAIN}:{envelope.id}"}, {"$set": {"outcome": succeeded}}
    )
    station.broken = False
    await letters.redrive(letter)

    async def acknowledged() -> bool:
        groups = await bus.redis.xinfo_groups(COMMANDS)
        return all(not group["pending"] and not group["lag"] for group in groups)

    await until(acknowledged, "the repetition to be acknowledged")
    assert (await bus.outcome(envelope.id)).result == {"id": "x"}
    assert await Thing.count() == 0


async def test_what_holds_no_message_cannot_be_redriven_but_shown_and_dropped(
    bus: Bus, letters: DeadLetters
) -> None:
    await bus.redis.xadd(COMMANDS, {"something": "else"})
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    await delivery.bury(entry, Grave("undecodable", "", 1))
    (letter,) = await all_of(letters)
    whole = letter.whole()
    assert whole["envelope"] is None
    assert "something" in whole["undecodable"]
    with pytest.raises(NotRedrivable):
        await letters.redrive(letter)
    with pytest.raises(EditRefused):
        await letters.edit(letter, {"name": "x"})
    await letters.drop(letter)
    assert await bus.redis.xlen(DEAD) == 0


async def test_undecodable_bytes_go_back_as_they_are(bus: Bus, letters: DeadLetters) -> None:
    await bus.redis.xadd(COMMANDS, {FIELD: b"\xff\x00 no envelope"})
    delivery = bus.delivery()
    (entry,) = await bus.read(delivery)
    await delivery.bury(entry, Grave("undecodable", "", 1))
    (letter,) = await all_of(letters)
    again = await letters.redrive(letter)
    found = await bus.redis.xrange(COMMANDS, again, again)
    assert found[0][1] == {FIELD.encode(): b"\xff\x00 no envelope"}


async def test_letters_are_found_by_domain_reason_type_and_time(
    bus: Bus, letters: DeadLetters
) -> None:
    await bury(bus, envelope_of(MakeThing(name="a")), "ValueError: odd")
    await bury(bus, envelope_of(BroodOverThing(name="b")), "TimeoutError")
    both = await all_of(letters)
    assert len(both) == 2
    assert await all_of(letters, OTHER) == []
    first, second = both

    async def only(**wanted: Any) -> list[str]:
        return [each.id for each in await all_of(letters, wanted=Wanted(**wanted))]

    assert await only(reason="valueerror") == [first.id]
    assert await only(type="probe.thing.brood") == [second.id]
    assert await only(type="probe.*") == [first.id, second.id]
    assert await only(type="probe") == []
    at = datetime.fromisoformat(first.text("at"))
    assert await only(until=at) == []
    assert first.id in await only(since=at, until=at + timedelta(milliseconds=1))
    assert await only(since=at + timedelta(hours=1)) == []
    assert await letters.get(second.id) == second


async def test_more_letters_than_a_page_are_all_found_once(bus: Bus, letters: DeadLetters) -> None:
    async with bus.redis.pipeline(transaction=False) as pipe:
        for number in range(450):
            pipe.xadd(DEAD, {FIELD: b"x", "group": DOMAIN, "reason": str(number)})
        await pipe.execute()
    assert [each.text("reason") for each in await all_of(letters)] == [str(n) for n in range(450)]


@pytest.mark.parametrize("id", ["probe", "probe/", "probe/x-1", "probe/1-1", "/1-1", "probe/+"])
async def test_an_id_that_names_no_letter_is_gone(letters: DeadLetters, id: str) -> None:
    with pytest.raises(LetterGone):
        await letters.get(id)


async def test_a_letter_shows_everything_and_no_secret(bus: Bus, letters: DeadLetters) -> None:
    await bury(bus, envelope_of(MakeThing(name="one", secret=Sealed("hush"))), "ValueError: odd")
    (letter,) = await all_of(letters)
    whole = letter.whole()
    assert whole["envelope"]["data"]["name"] == "one"
    assert whole["envelope"]["data"]["secret"].startswith("sealed.v1.")
    assert (whole["reason"], whole["handler"], whole["attempts"]) == (
        "ValueError: odd",
        "make_thing",
        3,
    )
    assert whole["traceback"] == "Traceback: here"
    assert "hush" not in json.dumps(whole)


async def test_an_edited_letter_replaces_the_other_keeps_the_first_bytes_and_is_recorded(
    bus: Bus, letters: DeadLetters
) -> None:
    await bury(bus, envelope_of(MakeThing(name="one", secret=Sealed("hush"))), "ValueError: odd")
    (letter,) = await all_of(letters)
    assert letter.envelope is not None
    data = letter.envelope.data
    edited = await letters.edit(letter, {**data, "name": "two"})
    (stored,) = await all_of(letters)
    assert stored == edited
    assert stored.envelope is not None
    assert stored.envelope == letter.envelope.model_copy(update={"data": {**data, "name": "two"}})
    assert stored.envelope.data["secret"] == data["secret"], "ciphertext passes untouched"
    assert stored.text("original") == letter.entry
    assert stored.fields[b"original_data"] == letter.body
    assert stored.text("reason") == "ValueError: odd"
    (edit,) = stored.whole()["edits"]
    assert (edit["by"], edit["changed"]) == ("ann", ["name"])
    datetime.fromisoformat(edit["at"])

    again = await DeadLetters(bus.redis, bus.database, by="ben").edit(
        stored, {**data, "name": "three"}
    )
    assert again.fields[b"original_data"] == letter.body, "the first bytes, not the second"
    assert again.text("original") == letter.entry
    assert [each["by"] for each in again.edits] == ["ann", "ben"]
    assert again.summary()["edited_by"] == "ben"

    first, second = await log_of(bus)
    assert (first["by"], first["action"], first["letter"]) == ("ann", "edit", letter.id)
    assert (first["entry"], first["done"], first["changed"]) == (stored.entry, True, ["name"])
    assert first["before"] != first["after"] == second["before"]
    assert "two" not in str(first), "digests, not data"


async def test_an_edited_command_is_carried_out_as_edited(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    await bus.send(MakeThing(name="wrong", secret=Sealed("hush")))
    letter = await the_letter(letters)
    assert letter.envelope is not None
    station.broken = False
    edited = await letters.edit(letter, {**letter.envelope.data, "name": "right"})
    await letters.redrive(edited)
    await until(Thing.count, "the thing")
    assert [each.name for each in await Thing.find_all().to_list()] == ["right"]


async def test_that_a_message_was_edited_stays_with_it_wherever_it_goes(
    bus: Bus, station: Station, letters: DeadLetters
) -> None:
    await bus.send(MakeThing(name="one"))
    letter = await the_letter(letters)
    entry = await letters.redrive(await letters.edit(letter, {"name": "two"}))
    ((_, fields),) = await bus.redis.xrange(COMMANDS, entry, entry)
    (edit,) = json.loads(fields[b"edits"])
    assert (edit["by"], edit["changed"]) == ("ann", ["name"])
    again = await the_letter(letters)  # the handler is still broken
    assert again.edits == [edit]
    assert again.text("original") == letter.entry
    assert again.fields[b"original_data"] == letter.body
    twice = await letters.edit(again, {"name": "three"})
    assert [each["changed"] for each in twice.edits] == [["name"], ["name"]]
    assert twice.fields[b"original_data"] == letter.body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"name": ""}, "name"),
        ({}, "name"),
        ({"name": "one", "more": 1}, "more"),
        ({"name": "one", "secret": "in clear"}, "secret"),
        (["name"], "object"),
    ],
)
async def test_an_edit_that_breaks_the_contract_is_refused_and_changes_nothing(
    bus: Bus, letters: DeadLetters, data: Any, says: str
) -> None:
    await bury(bus, envelope_of(MakeThing(name="one")), "ValueError: odd")
    (letter,) = await all_of(letters)
    with pytest.raises(EditRefused, match=says) as refused:
        await letters.edit(letter, data)
    assert "in clear" not in str(refused.value)
    assert await all_of(letters) == [letter]
    assert await log_of(bus) == []


async def test_a_message_of_no_contract_cannot_be_edited(bus: Bus, letters: DeadLetters) -> None:
    envelope = envelope_of(MakeThing(name="one")).model_copy(update={"type": "probe.thing.gone"})
    await bury(bus, envelope, "no_handler")
    (letter,) = await all_of(letters)
    with pytest.raises(EditRefused, match="no known contract"):
        await letters.edit(letter, {"name": "two"})


async def test_a_dropped_letter_is_gone_and_recorded(bus: Bus, letters: DeadLetters) -> None:
    envelope = envelope_of(MakeThing(name="one"))
    await bury(bus, envelope, "ValueError: odd")
    (letter,) = await all_of(letters)
    await letters.drop(letter)
    assert await all_of(letters) == []
    with pytest.raises(LetterGone):
        await letters.drop(letter)
    done, not_done = await log_of(bus)
    assert (done["by"], done["action"], done["message"]) == ("ann", "drop", envelope.id)
    assert (done["done"], done["reason"], done["org"]) == (True, "ValueError: odd", "org_probe")
    assert not_done["done"] is False


async def test_what_a_replay_said_about_an_event_still_holds_when_it_is_redriven(
    bus: Bus, letters: DeadLetters
) -> None:
    event = ThingMade(thing_id="thg_1", name="one")
    envelope = envelope_of(MakeThing(name="x")).caused_event(event, salt="", revision=1, org=None)
    stream = streams.replay(OTHER)
    await bus.put(envelope, stream)
    delivery = bus.delivery(stream, group=OTHER)
    (entry,) = await bus.read(delivery)
    entry.fields.update({b"replay": b"rpl_1", b"reaction": b"react", b"effects": b"0"})
    await delivery.bury(entry, Grave("ValueError", "react", 3))
    (letter,) = await all_of(letters)
    again = await letters.redrive(letter)
    fields = (await bus.redis.xrange(stream, again, again))[0][1]
    assert (fields[b"replay"], fields[b"reaction"], fields[b"effects"]) == (
        b"rpl_1",
        b"react",
        b"0",
    )
    assert fields[b"redrive"] == letter.entry.encode()
    assert Envelope.model_validate_json(decode(fields)) == envelope
