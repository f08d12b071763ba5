"""The pipeline, replies, relay and paging."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from structlog.testing import capture_logs

from bus.documents import EVENTS, OUTBOX
from bus.paging import Cursor, CursorInvalid, page_of
from bus.pipeline import LIMIT, Pipeline
from bus.publisher import Publisher, added
from bus.relay import Relay
from bus.replies import Outcome, Replies
from bus.unit_of_work import UnitOfWork
from contracts.errors import ErrorKind
from contracts.types import new_id
from tests.bus.probe import (
    COMMANDS,
    DOMAIN,
    EVENT_STREAM,
    POLICY,
    Bus,
    MakeThing,
    Thing,
    ThingMade,
    ThingView,
    envelope_of,
    unit_of,
    until,
)

# pipeline


async def test_commands_are_carried_out_in_the_order_they_were_asked_for(bus: Bus) -> None:
    replies = await asyncio.gather(
        *(bus.pipeline.execute("RPUSH", "list", number) for number in range(2000))
    )
    assert replies == list(range(1, 2001))
    assert await bus.redis.lrange("list", 0, -1) == [str(n).encode() for n in range(2000)]


async def test_concurrent_commands_share_round_trips(bus: Bus) -> None:
    before = (await bus.redis.info("stats"))["total_commands_processed"]
    trips = 0
    real = Pipeline._send

    class Counting(type(bus.redis.pipeline())):  # type: ignore[misc]
        async def execute(self, *arguments: Any, **options: Any) -> Any:
            nonlocal trips
            trips += 1
            return await super().execute(*arguments, **options)

    pipeline = Pipeline(bus.redis)
    make = bus.redis.pipeline

    def counted(*arguments: Any, **options: Any) -> Any:
        made = make(*arguments, **options)
        made.__class__ = Counting
        return made

    bus.redis.pipeline = counted  # type: ignore[method-assign]
    await asyncio.gather(*(pipeline.execute("INCR", "n") for _ in range(LIMIT + 100)))
    assert trips <= 3
    assert int(await bus.redis.get("n")) == LIMIT + 100
    assert (await bus.redis.info("stats"))["total_commands_processed"] > before
    assert real is Pipeline._send


async def test_what_is_in_no_hurry_goes_ahead_of_the_next_or_soon(bus: Bus) -> None:
    pipeline = Pipeline(bus.redis)
    unhurried = asyncio.create_task(pipeline.execute_later("RPUSH", "order", "later"))
    await asyncio.sleep(0)
    assert await pipeline.execute("RPUSH", "order", "next") == 2
    assert await unhurried == 1
    assert await bus.redis.lrange("order", 0, -1) == [b"later", b"next"]
    async with asyncio.timeout(5):
        assert await pipeline.execute_later("RPUSH", "order", "alone") == 3
    last = asyncio.create_task(pipeline.execute_later("RPUSH", "order", "last"))
    await asyncio.sleep(0)
    await pipeline.close()
    assert await last == 4


async def test_an_error_reaches_only_who_asked_for_it(bus: Bus) -> None:
    await bus.redis.set("text", "x")
    results = await asyncio.gather(
        bus.pipeline.execute("INCR", "a"),
        bus.pipeline.execute("INCR", "text"),
        bus.pipeline.execute("NOSUCHCOMMAND"),
        bus.pipeline.execute("SET", "b", None),
        bus.pipeline.execute("SET", "b", "\ud800"),
        bus.pipeline.execute("INCR", "a"),
        return_exceptions=True,
    )
    assert (results[0], results[5]) == (1, 2)
    assert isinstance(results[1], ResponseError)
    assert isinstance(results[2], ResponseError)
    assert isinstance(results[3], DataError)
    assert isinstance(results[4], UnicodeEncodeError)


async def test_a_reply_of_any_shape_does_not_disturb_those_after_it(bus: Bus) -> None:
    """redis-py's own parser of XCLAIM stumbles over JUSTID unless it is told of it."""
    await bus.send(MakeThing(name="one"))
    (entry,) = await bus.read(bus.delivery())
    replies = await asyncio.gather(
        bus.pipeline.execute("XCLAIM", COMMANDS, DOMAIN, "one", 0, entry.id, "JUSTID"),
        bus.pipeline.execute("INCR", "a"),
        bus.pipeline.execute("XPENDING", COMMANDS, DOMAIN),
        bus.pipeline.execute("INCR", "a"),
    )
    assert replies[0] == [entry.id.encode()]
    assert (replies[1], replies[3]) == (1, 2)


async def test_one_who_no_longer_waits_does_not_disturb_the_others(bus: Bus) -> None:
    tasks = [asyncio.create_task(bus.pipeline.execute("INCR", "a")) for _ in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(each for each in results if isinstance(each, int)) == list(range(2, 51, 2))
    assert int(await bus.redis.get("a")) == 50
    assert await bus.pipeline.execute("INCR", "a") == 51


async def test_while_redis_is_away_everyone_is_told_and_afterwards_it_works_again(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bus.redis.pipeline
    with monkeypatch.context() as patch:

        def away(**_: Any) -> Any:
            raise RedisConnectionError("gone")

        patch.setattr(bus.redis, "pipeline", away)
        results = await asyncio.gather(
            *(bus.pipeline.execute("INCR", "a") for _ in range(3)), return_exceptions=True
        )
        assert [type(each) for each in results] == [RedisConnectionError] * 3
    assert bus.redis.pipeline == real
    assert await bus.pipeline.execute("INCR", "a") == 1


# replies


def outcome(command: str) -> Outcome:
    return Outcome(command_id=command, status="succeeded", result={"text": "a\nb"})


async def test_a_reply_reaches_who_waits_for_it_and_nobody_else(bus: Bus) -> None:
    with bus.replies.expect("cmd_1") as one, bus.replies.expect("cmd_2") as two:
        await bus.publisher.reply(bus.replies.channel, outcome("cmd_2"))
        assert await asyncio.wait_for(two, 5) == outcome("cmd_2")
        assert not one.done()


async def test_everyone_who_waits_for_the_same_command_is_told(bus: Bus) -> None:
    """Two requests with one Idempotency-Key are one command."""
    with bus.replies.expect("cmd_1") as first:
        with bus.replies.expect("cmd_1") as second:
            await bus.publisher.reply(bus.replies.channel, outcome("cmd_1"))
            assert await asyncio.wait_for(second, 2) == outcome("cmd_1")
        assert await asyncio.wait_for(first, 2) == outcome("cmd_1")


async def test_one_who_stops_waiting_does_not_take_the_others_reply_away(bus: Bus) -> None:
    with bus.replies.expect("cmd_1") as first:
        with bus.replies.expect("cmd_1"):
            pass
        await bus.publisher.reply(bus.replies.channel, outcome("cmd_1"))
        assert await asyncio.wait_for(first, 2) == outcome("cmd_1")


async def test_what_is_no_outcome_is_ignored_and_hearing_goes_on(bus: Bus) -> None:
    with bus.replies.expect("cmd_1") as reply:
        for nonsense in (b"", b"nonsense", b"{}", b"\xff"):
            await bus.redis.publish(bus.replies.channel, nonsense)
        mixed = b"nonsense\n" + outcome("cmd_1").model_dump_json().encode()
        await bus.redis.publish(bus.replies.channel, mixed)
        with capture_logs():
            assert await asyncio.wait_for(reply, 5) == outcome("cmd_1")


async def test_many_replies_at_once_all_arrive(bus: Bus) -> None:
    async def asked(id: str) -> Outcome:
        with bus.replies.expect(id) as reply:
            await bus.publisher.reply(bus.replies.channel, outcome(id))
            return await asyncio.wait_for(reply, 5)

    ids = [f"cmd_{number}" for number in range(300)]
    assert [each.command_id for each in await asyncio.gather(*map(asked, ids))] == ids


async def test_replies_are_heard_again_after_the_connection_was_lost(bus: Bus) -> None:
    with capture_logs():
        await bus.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        async def heard() -> bool:
            with bus.replies.expect("cmd_1") as reply:
                await bus.publisher.reply(bus.replies.channel, outcome("cmd_1"))
                try:
                    return (await asyncio.wait_for(reply, 0.2)).status == "succeeded"
                except TimeoutError:
                    return False

        await until(heard, "a reply after the subscription was killed")


async def test_two_gateways_hear_only_their_own_replies(bus: Bus) -> None:
    other = Replies(bus.redis)
    await other.start()
    with bus.replies.expect("cmd_1") as mine, other.expect("cmd_1") as theirs:
        await bus.publisher.reply(other.channel, outcome("cmd_1"))
        assert await asyncio.wait_for(theirs, 5) == outcome("cmd_1")
        assert not mine.done()
    await other.close()


# publisher


async def test_the_publisher_finds_out_how_durable_the_server_is(bus: Bus) -> None:
    publisher = Publisher(bus.redis)
    await publisher.start()
    assert publisher.durability == "always"
    for durable in ("always", "waitaof"):
        publisher = Publisher(bus.redis, durable=durable)
        await publisher.start()
        await publisher.execute_durably(added(envelope_of(MakeThing(name=durable))))
        assert publisher.durability == durable
    assert await bus.redis.xlen(COMMANDS) == 2


# relay


async def left_behind(bus: Bus, name: str, *, age: float) -> UnitOfWork:
    """What a process leaves that died between commit and publication."""
    unit = unit_of(name)
    thing = Thing(id=unit.new_id("thg"), name=name)
    unit.add(thing)
    unit.emit(ThingMade(thing_id=thing.id, name=name), thing)
    unit.send(MakeThing(name=f"{name} next"))
    unit.succeed(ThingView(id=thing.id, name=name))
    publication = await bus.committer.commit(unit)
    assert publication is not None
    document = await bus.database[OUTBOX].find_one({"_id": publication.outbox})
    assert document is not None
    await bus.database[OUTBOX].update_one(
        {"_id": publication.outbox}, {"$set": {"at": document["at"] - timedelta(seconds=age)}}
    )
    return unit


async def unsent(bus: Bus) -> int:
    return await bus.database[OUTBOX].count_documents({"sent": None})


async def test_what_a_crash_left_unpublished_is_published_once_the_grace_is_over(
    bus: Bus,
) -> None:
    old = await left_behind(bus, "old", age=10)
    await left_behind(bus, "young", age=0)
    relay = Relay(bus.database, bus.publisher, grace=5)
    with capture_logs() as logged:
        assert await relay.sweep() == 1
        assert await relay.sweep() == 0
    assert [each.id for each in await bus.published()] == [old.events[0].id]
    (event,) = await bus.published()
    assert event == old.events[0]
    assert await bus.redis.xlen(COMMANDS) == 1
    assert await unsent(bus) == 1, "the young one's own process will publish it"
    assert [each["event"] for each in logged] == ["relayed"]


async def test_what_is_relayed_although_it_was_published_is_handled_once(bus: Bus) -> None:
    reactions: list[str] = []

    async def react(event: ThingMade, uow: UnitOfWork) -> None:
        reactions.append(event.name)
        uow.add(Thing(id=uow.new_id("thg"), name=f"{event.name} noted"))

    unit = await left_behind(bus, "one", age=10)
    await bus.publisher.publish(unit.outbound())
    with capture_logs():
        await Relay(bus.database, bus.publisher, grace=5).sweep()
    assert len(await bus.published()) == 2
    delivery = bus.delivery(EVENT_STREAM)
    handling = bus.handling({ThingMade: react})
    for entry in await bus.read(delivery):
        await handling.handle(entry, delivery, POLICY)
    assert await bus.pending(EVENT_STREAM) == []
    assert await Thing.find({"name": "one noted"}).count() == 1


async def test_the_relay_goes_through_a_backlog_oldest_first(bus: Bus) -> None:
    units = [await left_behind(bus, f"thing {n}", age=100 - n) for n in range(7)]
    relay = Relay(bus.database, bus.publisher, grace=5)
    with capture_logs():
        assert [await relay.sweep(3) for _ in range(4)] == [3, 3, 1, 0]
    assert [event.id for event in await bus.published()] == [u.events[0].id for u in units]


async def test_while_redis_is_away_the_outbox_keeps_everything(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(bus, "one", age=10)
    relay = Relay(bus.database, bus.publisher, grace=5)

    async def away(_: Any) -> None:
        raise RedisConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(bus.publisher, "publish", away)
        with pytest.raises(RedisConnectionError):
            await relay.sweep()
    assert await unsent(bus) == 1
    with capture_logs():
        assert await relay.sweep() == 1
    assert await bus.database[EVENTS].count_documents({}) == 1, "the event log keeps it"


# paging


@pytest.fixture
async def seven(bus: Bus) -> list[str]:
    things = [Thing(id=new_id("thg"), name=f"thing {number}") for number in range(7)]
    await Thing.insert_many(things)
    return sorted(thing.id for thing in things)


async def walk(cursor: Cursor, **wanted: Any) -> list[list[str]]:
    pages = []
    while True:
        page = await page_of(
            Thing, wanted, cursor, lambda thing: ThingView(id=thing.id, name=thing.name)
        )
        pages.append([item.id for item in page.items])
        if page.next_cursor is None:
            return pages
        cursor = cursor.model_copy(update={"cursor": page.next_cursor})


@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
@pytest.mark.parametrize("limit", [1, 3, 6, 7, 8, 200])
async def test_pages_hold_everything_once_and_in_order(
    seven: list[str], limit: int, sort: Any
) -> None:
    pages = await walk(Cursor(limit=limit, sort=sort))
    expected = seven if sort == "created_at" else seven[::-1]
    assert [id for page in pages for id in page] == expected
    assert all(len(page) == limit for page in pages[:-1])
    assert len(pages[-1]) > 0, "no empty last page"


async def test_nothing_is_skipped_or_shown_twice_while_others_write(seven: list[str]) -> None:
    first = await page_of(
        Thing, {}, Cursor(limit=3), lambda thing: ThingView(id=thing.id, name=thing.name)
    )
    await Thing.find({"_id": {"$in": [seven[0], seven[2]]}}).delete()  # the cursor's own, too
    await Thing(id="thg_0", name="before").insert()
    await Thing(id=new_id("thg"), name="after").insert()
    rest = await walk(Cursor(limit=3, cursor=first.next_cursor))
    assert [id for page in rest for id in page][:4] == seven[3:]


async def test_an_empty_list_is_one_empty_page(bus: Bus) -> None:
    assert await walk(Cursor()) == [[]]


def sealed_up(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


GARBAGE = [
    "x",
    "=",
    "é",
    "AAAA",
    "%00",
    sealed_up(None),
    sealed_up(1),
    sealed_up("ab"),
    sealed_up([]),
    sealed_up(["created_at"]),
    sealed_up(["created_at", 1]),
    sealed_up(["created_at", None]),
    sealed_up(["created_at", {"$gt": ""}]),
    sealed_up(["created_at", "a", "b"]),
    sealed_up(["name", "thg_1"]),
    sealed_up(["-created_at", "thg_1"]),
    sealed_up({"created_at": "thg_1"}),
    sealed_up(["created_at", "\ud800"]),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b"[" * 290).decode(),
]


@pytest.mark.parametrize("cursor", GARBAGE, ids=range(len(GARBAGE)))
async def test_what_is_no_cursor_is_refused_as_such(bus: Bus, cursor: str) -> None:
    with pytest.raises(CursorInvalid) as refused:
        await walk(Cursor(cursor=cursor))
    assert refused.value.kind is ErrorKind.INVALID
    assert refused.value.errors[0].pointer == "cursor"


@given(st.text(min_size=1, max_size=400))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with contextlib.suppress(CursorInvalid):
        assert isinstance(Cursor(cursor=text).after(), str)
