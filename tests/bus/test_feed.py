"""The feed of events: without gap or duplicate, whatever the order in which transactions commit."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.documents import EVENTS, ensure_bus_indexes
from bus.feed import cursor as feed_cursor
from bus.feed import log as feed
from bus.feed.cursor import SEEN_LIMIT, FeedCursor, decode, digest_of, tick_of
from bus.feed.log import Wanted, read_feed
from bus.logged import event_document
from bus.paging import CursorInvalid
from contracts.envelope import Envelope
from contracts.types import new_id, now
from tests.bus.probe import Bus, ThingMade, unit_of

ORG = "org_feed"
AGES = 3_600_000_000
"""Microseconds: long settled."""


def envelope(number: int, **more: Any) -> Envelope:
    given = {
        "id": new_id("evt"),
        "source": "/tests",
        "type": "custom.thing.done",
        "time": now(),
        "org": ORG,
        "data": {"number": number},
        **more,
    }
    return Envelope(**given)


def clock() -> int:
    return time.time_ns() // 1000


async def log(bus: Bus, *envelopes: Envelope, logged: int | None = None) -> list[str]:
    """Put events into the log as if they had been logged at some time."""
    begin = clock() if logged is None else logged
    documents = [
        {**event_document(each), "logged": begin + number} for number, each in enumerate(envelopes)
    ]
    await bus.database[EVENTS].insert_many(documents)
    return [each.id for each in envelopes]


class Reader:
    """Somebody who follows the feed, cursor by cursor, in text."""

    def __init__(self, bus: Bus, *, limit: int = 50, org: str = ORG, **wanted: Any) -> None:
        self._bus, self._limit, self._org = bus, limit, org
        self._wanted = Wanted(**wanted)
        self.cursor: str | None = None
        self.ids: list[str] = []

    async def read(self) -> list[str]:
        """One page."""
        after = FeedCursor() if self.cursor is None else decode(self.cursor)
        events, end = await read_feed(
            self._bus.database, self._org, after, limit=self._limit, wanted=self._wanted
        )
        assert len(events) <= self._limit
        self.cursor = end.encode()
        found = [each.id for each in events]
        self.ids += found
        return found

    async def read_to_the_end(self) -> list[str]:
        """Until a page is empty; all so far."""
        while await self.read():
            pass
        return self.ids


@pytest.fixture(autouse=True)
async def _indexes(bus: Bus) -> None:
    await ensure_bus_indexes(bus.database)


async def test_what_was_just_committed_is_shown_at_once_and_once(bus: Bus) -> None:
    reader = Reader(bus)
    for number in range(5):
        unit = unit_of(f"{number}")
        unit.emit(ThingMade(thing_id="thg_1", name="a"), org=ORG)
        unit.emit(ThingMade(thing_id="thg_1", name="b"), org=ORG)
        await bus.committer.commit(unit)
        assert await reader.read() == [each.id for each in unit.events]
        assert await reader.read() == []


async def test_events_of_one_transaction_are_shown_in_the_order_they_were_emitted(bus: Bus) -> None:
    units = [unit_of(f"{number}") for number in range(60)]
    for unit in units:
        for name in "abc":
            unit.emit(ThingMade(thing_id="thg_1", name=name), org=ORG)
    await asyncio.gather(*(bus.committer.commit(unit) for unit in units))
    emitted = [each.id for unit in units for each in unit.events]
    assert await Reader(bus, limit=7).read_to_the_end() == emitted
    assert sorted(emitted) != emitted


async def test_a_transaction_that_commits_late_is_shown_late_and_nothing_twice(bus: Bus) -> None:
    reader = Reader(bus)
    async with bus.database.client.start_session() as session:
        async with await session.start_transaction():
            slow = {**event_document(envelope(0)), "logged": clock() - 500_000}
            await bus.database[EVENTS].insert_one(slow, session=session)
            quick = await log(bus, *(envelope(number) for number in range(1, 4)))
            assert await reader.read() == quick
            assert await reader.read() == []
        assert await reader.read() == [slow["_id"]]
    assert await reader.read() == []


async def test_many_writers_and_a_reader_who_never_rests(bus: Bus) -> None:
    """Transactions of all durations; the reader ends with every event, once."""
    dice = random.Random(5)
    inbox, events = bus.database["inbox"], bus.database[EVENTS]
    await inbox.insert_one({"_id": "so that no transaction has to make the collection"})
    await log(bus, envelope(0, org="org_other"))

    async def write() -> str:
        document = event_document(envelope(0))
        async with (
            bus.database.client.start_session() as session,
            await session.start_transaction(),
        ):
            await inbox.insert_one({"_id": document["_id"]}, session=session)
            document["logged"] = clock()
            await events.insert_one(document, session=session)
            await asyncio.sleep(dice.random() / 5)
        return str(document["_id"])

    async def write_some() -> list[str]:
        return [await write() for _ in range(4)]

    reader = Reader(bus, limit=4)
    writers = [asyncio.create_task(write_some()) for _ in range(25)]
    while not all(each.done() for each in writers):
        await reader.read()
    written = [id for each in writers for id in await each]
    await reader.read_to_the_end()
    assert sorted(reader.ids) == sorted(written)
    assert len(written) == 100


async def test_a_history_is_read_page_by_page_with_short_cursors(bus: Bus) -> None:
    made = await log(bus, *(envelope(number) for number in range(120)), logged=clock() - AGES)
    reader = Reader(bus, limit=50)
    for count in (50, 50, 20, 0, 0):
        assert len(await reader.read()) == count
        assert reader.cursor is not None
        assert len(reader.cursor) < 80
    assert reader.ids == made


async def test_more_than_a_cursor_holds_is_shown_once_it_is_settled(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HOLD", 3600.0)
    made = await log(bus, *(envelope(number) for number in range(SEEN_LIMIT + 150)))
    reader = Reader(bus, limit=200)
    await reader.read_to_the_end()
    assert reader.ids == made[:SEEN_LIMIT]
    assert reader.cursor is not None
    assert len(reader.cursor) <= feed_cursor.LENGTH
    assert await reader.read() == []
    monkeypatch.setattr(feed, "HOLD", -1.0)
    await bus.database["anything"].insert_one({})
    assert await reader.read_to_the_end() == made
    assert len(reader.cursor) < 80


async def test_what_was_shown_is_forgotten_when_it_is_settled_and_not_before(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log(bus, envelope(1), logged=clock() - 8_000_000)
    await log(bus, envelope(2))
    reader = Reader(bus)
    assert len(await reader.read()) == 2
    assert reader.cursor is not None
    assert len(decode(reader.cursor).seen) == 2
    monkeypatch.setattr(feed, "HOLD", 5.0)
    assert await reader.read() == []
    assert len(decode(reader.cursor).seen) == 1


async def test_nothing_is_settled_that_a_majority_may_not_have(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While MongoDB takes no write, as when it stands still, the window stays where it is."""
    await log(bus, envelope(1))
    monkeypatch.setattr(feed.time, "time_ns", lambda: 2**62)
    _, end = await read_feed(bus.database, ORG, FeedCursor(), limit=5, wanted=Wanted())
    real = datetime.now(UTC).timestamp() * 1e6
    assert end.base[0] < real


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"type": "custom.thing.done"}, [0, 3]),
        ({"type": "custom.thing.*"}, [0, 1, 3]),
        ({"type": "custom.*"}, [0, 1, 2, 3]),
        ({"type": "custom.thing"}, []),
        ({"type": "custom.thin.*"}, []),
        ({"subject": "one"}, [1, 3]),
        ({"subject": "one", "type": "custom.thing.done"}, [3]),
    ],
)
async def test_filters_choose_and_change_nothing_else(
    wanted: dict[str, str], numbers: list[int], bus: Bus
) -> None:
    made = await log(
        bus,
        envelope(0),
        envelope(1, type="custom.thing.undone", subject="one"),
        envelope(2, type="custom.thingy.done"),
        envelope(3, subject="one"),
    )
    for limit in (1, 50):
        reader = Reader(bus, limit=limit, **wanted)
        assert await reader.read_to_the_end() == [made[number] for number in numbers]


async def test_a_rare_type_is_found_in_a_long_log_step_by_step(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SCAN", 10)
    monkeypatch.setattr(feed, "ROUNDS", 2)
    rare = {60, 61, 119}
    made = await log(
        bus,
        *(
            envelope(number, type="custom.rare" if number in rare else "custom.usual")
            for number in range(125)
        ),
        logged=clock() - AGES,
    )
    reader = Reader(bus, type="custom.rare")
    pages = [await reader.read() for _ in range(10)]
    assert reader.ids == [made[number] for number in sorted(rare)]
    assert pages[0] == []


async def test_since_begins_at_a_time(bus: Bus) -> None:
    at = clock() - AGES
    made = await log(bus, *(envelope(number) for number in range(4)), logged=at)
    since = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at + 2)
    reader = Reader(bus, limit=1, since=since)
    assert await reader.read_to_the_end() == made[2:]
    early = Reader(bus, since=datetime(1, 1, 1, tzinfo=UTC))
    assert await early.read_to_the_end() == made
    late = Reader(bus, since=datetime(9999, 12, 31, tzinfo=UTC))
    assert await late.read_to_the_end() == []


async def test_a_private_an_unknown_and_another_organizations_event_are_not_shown(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThingMade, "private", True)
    made = {"type": "probe.thing.made", "data": {"thing_id": "t", "name": "n"}}
    ids = await log(
        bus,
        envelope(0),
        envelope(1, **made),
        envelope(2, type="unheard.of.it"),
        envelope(3, org="org_other"),
        envelope(4, org=None),
        envelope(5),
    )
    assert await Reader(bus, limit=1).read_to_the_end() == [ids[0], ids[5]]


async def test_an_event_from_before_there_was_a_feed_harms_nobody(bus: Bus) -> None:
    await bus.database[EVENTS].insert_one(event_document(envelope(0)))
    (id,) = await log(bus, envelope(1))
    assert await Reader(bus).read_to_the_end() == [id]


async def test_the_index_of_an_older_version_is_replaced(bus: Bus) -> None:
    await bus.database[EVENTS].create_index([("org", 1), ("_id", 1)], name="feed")
    await ensure_bus_indexes(bus.database)
    names = set(await bus.database[EVENTS].index_information())
    assert "by_logged" in names
    assert "feed" not in names


# the text of a cursor

IDS = st.text("abcdefghij_0123456789", max_size=40)
TIMES = st.integers(0, 2**63 - 1)


@given(TIMES, IDS, st.lists(st.tuples(IDS, st.integers(0, 60_000_000)), max_size=20))
def test_a_cursor_gives_back_what_it_holds(
    logged: int, id: str, shown: list[tuple[str, int]]
) -> None:
    seen = {digest_of(each): tick_of(logged + later) for each, later in shown}
    cursor = FeedCursor((logged, id), seen)
    assert decode(cursor.encode()) == cursor
    assert cursor.encode().replace(".", "").replace("-", "").replace("_", "").isalnum()


GOOD = FeedCursor((5, "evt_1"), {digest_of("a"): 1, digest_of("b"): 2}).encode()


@pytest.mark.parametrize(
    "text",
    ["", "e1", "e1.", "e1.A", "x", "g4.1-1-1", "e2" + GOOD[2:], GOOD + "A", GOOD + "=", GOOD[:-1],
     GOOD + "\n", " " + GOOD, GOOD[:-2], "e1." + "A" * 11, "e1." + "_" * 12, "e1." + "A" * 9000,
     FeedCursor((2**63, "")).encode(), FeedCursor((1, "a b")).encode(),
     FeedCursor((1, ""), {bytes(7): 3, bytes(6): 2}).encode(),
     FeedCursor((1, ""), {n.to_bytes(7): 1 for n in range(SEEN_LIMIT + 1)}).encode(), "e1.é"],
)  # fmt: skip
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid) as refused:
        decode(text)
    assert refused.value.errors[0].pointer == "after"


@given(st.text(max_size=60) | st.text("ABCabc012_-", max_size=60).map("e1.".__add__))
def test_no_text_makes_the_decoder_fail_otherwise(text: str) -> None:
    try:
        assert decode(text).encode() == text
    except CursorInvalid:
        return


async def test_a_page_of_large_events_ends_early_and_the_next_goes_on(bus: Bus) -> None:
    large = [envelope(number, data={"text": "x" * 900_000}) for number in range(7)]
    ids = await log(bus, *large, logged=clock() - AGES)
    ids += await log(bus, *[envelope(9, data={"text": "x" * 900_000}) for _ in range(3)])
    seen: list[str] = []
    cursor = FeedCursor()
    pages = []
    while len(seen) < len(ids):
        events, cursor = await read_feed(bus.database, ORG, cursor, limit=200, wanted=Wanted())
        assert events, f"{len(seen)} of {len(ids)}"
        pages.append(len(events))
        seen += [each.id for each in events]
    assert seen == ids
    assert max(pages) == 2
