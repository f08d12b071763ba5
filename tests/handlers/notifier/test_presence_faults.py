"""Whatever is killed, flushed or not heard: those who watch soon know the truth."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from lone_notifier import Lone
from notifier_stage import ORG, Server, Stage, until
from presence_view import View

from infra.presence import notifiers, rosters

KILLED_FOR = 5.0
ADDRESS = f"{ORG}/org"


@pytest.fixture
async def lone(flushed: Server) -> AsyncIterator[Lone]:
    made = Lone(flushed.url)
    try:
        await until(made.answers, "the notifier serves", 60)
        yield made
    finally:
        made.kill()


async def keys(stage: Stage, pattern: str) -> list[str]:
    return [each.decode() async for each in stage.redis.scan_iter(pattern)]


async def living(stage: Stage) -> list[bytes]:
    found: list[bytes] = await stage.redis.execute_command(*notifiers.living())
    return found


async def present(stage: Stage) -> set[str]:
    execute = stage.publisher.pipeline.execute_all
    return {each.user for each in await rosters.find_present(execute, ADDRESS)}


@pytest.mark.slow
async def test_who_was_on_a_killed_notifier_has_left_within_five_seconds(
    stage: Stage, lone: Lone
) -> None:
    stage.urls.append(lone.url)
    async with stage.ws("usr_a") as a, stage.ws("usr_b", at=1) as b, stage.ws("usr_c", at=1) as c:
        await a.subscribe()
        await b.subscribe()
        await c.subscribe()
        view = View(a)
        await view.watch()
        await view.until("usr_a", "usr_b", "usr_c")
        killed = time.monotonic()
        lone.kill()
        async with stage.ws("usr_c") as back:  # who has reconnected has not left
            await back.subscribe()
            await view.until("usr_a", "usr_c")
            assert time.monotonic() - killed < KILLED_FOR
            assert view.messages[-1] == {"channel": "org", "left": ["usr_b"], "total": 2}
            assert await present(stage) == {"usr_a", "usr_c"}
            [alive] = await living(stage)
            await until(lambda: cleared(stage, alive.decode()), "nothing is left of the dead")


async def cleared(stage: Stage, alive: str) -> bool:
    """Whether all that is in Redis is of one notifier, as far as it names notifiers."""
    if await stage.redis.zcard("grid8:{notifiers}:dead"):
        return False
    named = await keys(stage, "grid8:{notifier:*")
    fields = [
        each.decode() for each in await stage.redis.hkeys(f"grid8:{{presence:{ADDRESS}}}:members")
    ]
    counts = [
        each.decode()
        for key in await keys(stage, "grid8:{sockets:*")
        for each in await stage.redis.hkeys(key)
    ]
    return all(alive in each for each in named + fields + counts)


@pytest.mark.slow
async def test_what_a_crash_of_all_has_left_is_cleared_by_who_starts_next(
    make_stage: Callable[..., Awaitable[Stage]], lone: Lone
) -> None:
    stage = await make_stage()
    stage.urls.append(lone.url)
    async with stage.ws("usr_b", at=1) as b:
        await b.subscribe()
        await until(lambda: present(stage), "usr_b is present")
        lone.kill()
    await stage.close()
    again = await make_stage()

    async def gone() -> bool:
        return not await present(again)

    await until(gone, "nobody is present")
    [alive] = await until(lambda: only_one(again), "one notifier lives")
    await until(lambda: cleared(again, alive.decode()), "nothing is left of the dead")


async def only_one(stage: Stage) -> list[bytes]:
    found = await living(stage)
    return found if len(found) == 1 else []


async def test_after_a_flush_each_notifier_registers_its_own_and_nobody_flickers(
    stage: Stage,
) -> None:
    await stage.add()
    async with stage.ws("usr_a") as a, stage.ws("usr_b", at=1) as b:
        await b.subscribe()
        await a.subscribe()
        view = View(a)
        await view.watch()
        await view.until("usr_a", "usr_b")
        before = len(view.messages)
        await stage.redis.flushall()
        await stage.restore_sessions()

        async def both() -> bool:
            return await present(stage) == {"usr_a", "usr_b"}

        await until(both, "both are registered again")
        assert len(await living(stage)) == 2
        async with stage.ws("usr_c", at=1) as c:
            await c.subscribe()
            await view.until("usr_a", "usr_b", "usr_c")
        told = view.messages[before:]
        assert [[each["user"] for each in one.get("joined", ())] for one in told] == [["usr_c"]]
        await until(
            lambda: counted(stage, {"user:usr_a": 1, "user:usr_b": 1, "org:org_1": 2}),
            "sockets are counted",
        )


async def counted(stage: Stage, wanted: dict[str, int]) -> bool:
    found = {
        scope: sum(map(int, await stage.redis.hvals(f"grid8:{{sockets:{scope}}}")))
        for scope in wanted
    }
    return found == wanted


async def test_a_change_that_nobody_was_told_of_is_found_by_comparing(stage: Stage) -> None:
    async with stage.ws("usr_a") as a:
        await a.subscribe()
        view = View(a)
        await view.watch()
        [me] = await living(stage)
        members, version = (
            f"grid8:{{presence:{ADDRESS}}}:{each}" for each in ("members", "version")
        )
        # As a write whose telling was lost: the version is another, and nobody has heard of it.
        async with stage.redis.pipeline() as pipe:
            pipe.hset(members, f"{me.decode()} usr_lost", "1 1700000000000")
            pipe.hincrby(version, "number", 1)
            await pipe.execute()
        await view.until("usr_a", "usr_lost")
        async with stage.redis.pipeline() as pipe:
            pipe.hdel(members, f"{me.decode()} usr_lost")
            pipe.hincrby(version, "number", 1)
            await pipe.execute()
        await view.until("usr_a")


async def test_a_telling_that_was_lost_before_another_is_made_good_at_once(stage: Stage) -> None:
    async with stage.ws("usr_a") as a:
        await a.subscribe()
        view = View(a)
        await view.watch()
        [me] = await living(stage)
        await stage.redis.hset(
            f"grid8:{{presence:{ADDRESS}}}:members", f"{me.decode()} usr_lost", "1 1700000000000"
        )
        await stage.redis.hincrby(f"grid8:{{presence:{ADDRESS}}}:version", "number", 1)
        async with stage.ws("usr_b") as b:
            await b.subscribe()
            await view.until("usr_a", "usr_b", "usr_lost")


async def test_presence_goes_on_after_its_connections_to_redis_were_cut(stage: Stage) -> None:
    await stage.add()
    async with stage.ws("usr_a") as a:
        await a.subscribe()
        view = View(a)
        await view.watch()
        await stage.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await stage.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
        async with stage.ws("usr_b", at=1) as b:
            await b.subscribe()
            await view.until("usr_a", "usr_b")
        await view.until("usr_a")


async def test_while_redis_was_away_nobody_has_left(
    make_stage: Callable[..., Awaitable[Stage]], notifier_server: Server
) -> None:
    stage = await make_stage(alive_for=1.0)
    await stage.add(alive_for=1.0)
    async with stage.ws("usr_a") as a, stage.ws("usr_b", at=1) as b:
        await b.subscribe()
        await a.subscribe()
        view = View(a)
        await view.watch()
        await view.until("usr_a", "usr_b")
        before = len(view.messages)
        await stage.redis.execute_command("CLIENT", "PAUSE", 2500, "ALL")
        await stage.redis.ping()
        async with stage.ws("usr_c", at=1) as c:
            await c.subscribe()
            await view.until("usr_a", "usr_b", "usr_c")
        assert not any("left" in each for each in view.messages[before:])


async def test_a_stopped_notifier_leaves_its_clients_the_time_to_come_back(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    watcher = await make_stage(presence_grace=1.0)
    other = Stage(watcher.server)
    await other.add(presence_grace=1.0)
    async with watcher.ws("usr_a") as a:
        await a.subscribe()
        view = View(a)
        await view.watch()
        async with other.ws("usr_b") as b, other.ws("usr_c") as c:
            await b.subscribe()
            await c.subscribe()
            await view.until("usr_a", "usr_b", "usr_c")
            await other.close()
        async with watcher.ws("usr_b") as back:
            await back.subscribe()
            await view.until("usr_a", "usr_b")
        assert [each["left"] for each in view.messages if "left" in each] == [["usr_c"]]


async def test_after_any_coming_and_going_with_tellings_lost_every_view_is_the_truth(
    make_stage: Callable[..., Awaitable[Stage]],
) -> None:
    limits = {"presence_grace": 0.3, "presence_batch": 0.05}
    stage = await make_stage(**limits)
    await stage.add(**limits)
    chance = random.Random(7)
    async with stage.ws("usr_0") as one, stage.ws("usr_1", at=1) as two:
        views = [View(one), View(two)]
        for view in views:
            await view.client.subscribe()
            await view.watch()
        following = [asyncio.create_task(follow(view)) for view in views]

        async def wander(number: int) -> None:
            for _ in range(6):
                async with stage.ws(f"usr_{number}", at=chance.randrange(2)) as client:
                    await client.subscribe()
                    await asyncio.sleep(chance.random() / 2)
                await asyncio.sleep(chance.random() / 2)

        async def cut() -> None:
            while True:
                await asyncio.sleep(chance.random() / 2)
                await stage.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        cutting = asyncio.create_task(cut())
        staying = [f"usr_{number}" for number in range(20, 24)]
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(wander(number) for number in range(2, 20)))
            for user in staying:
                client = await stack.enter_async_context(stage.ws(user, at=chance.randrange(2)))
                await client.subscribe()
            cutting.cancel()
            truth = {"usr_0", "usr_1", *staying}

            async def all_say_so() -> bool:
                return await present(stage) == truth and all(v.people == truth for v in views)

            await until(all_say_so, "all views are the truth")
            assert all(view.total == len(truth) for view in views)
        for task in following:
            task.cancel()
    for scope in ("org:org_1", "user:usr_2", "user:usr_0"):
        await until(lambda name=scope: counted(stage, {name: 0}), "nothing is counted")


async def follow(view: View) -> None:
    while True:
        await view.follow()
