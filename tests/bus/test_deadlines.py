"""Deadlines kept by one timer: as strict as asyncio.timeout, and as polite."""

from __future__ import annotations

import asyncio
import time

import pytest

from bus.deadlines import TICK, Within


async def test_what_hangs_is_cancelled_and_ends_as_a_timeout() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError), Within(0.05):
        await asyncio.Event().wait()
    assert time.monotonic() - began >= 0.05
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the task can be cancelled as before"


async def test_what_is_done_in_time_is_left_alone() -> None:
    with Within(TICK / 2):
        value = 7
    await asyncio.sleep(TICK * 3)
    assert value == 7


async def test_without_seconds_there_is_no_deadline() -> None:
    with Within(None):
        await asyncio.sleep(TICK * 2)


async def test_of_nested_deadlines_the_one_that_passed_is_the_one_that_raises() -> None:
    with Within(30):
        with pytest.raises(TimeoutError), Within(0.01):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), Within(0.01), Within(30):
        await asyncio.Event().wait()


async def test_a_cancellation_from_outside_stays_one() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        with Within(30):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_inside_is_the_error_outside() -> None:
    with pytest.raises(LookupError), Within(30):
        raise LookupError


async def test_each_of_many_tasks_has_a_deadline_of_its_own() -> None:
    async def wait(seconds: float) -> str:
        try:
            with Within(seconds):
                await asyncio.sleep(0.3)
        except TimeoutError:
            return "late"
        return "done"

    ends = await asyncio.gather(*(wait(0.05 if number % 2 else 30) for number in range(200)))
    assert ends == ["late" if number % 2 else "done" for number in range(200)]


def test_a_second_event_loop_has_deadlines_too() -> None:
    async def hang() -> None:
        with Within(0.01):
            await asyncio.Event().wait()

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(hang())
