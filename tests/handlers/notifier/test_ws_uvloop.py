"""The notifier runs on uvloop, whose transports differ; what depends on them holds there too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import test_ws_protocol as protocol
import test_ws_protocol_ends as ends
import uvloop
from notifier_stage import Server, Stage

Case = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def before() -> None:
    ends.BEFORE[:] = ends.connections()


ON_A_STAGE: list[tuple[Case, dict[str, Any]]] = [
    (protocol.test_a_frame_may_come_byte_by_byte, {}),
    (protocol.test_many_frames_may_come_in_one_piece_with_the_handshake, {}),
    (protocol.test_fragments_may_not_be_too_big_together, {"opcode": 1}),
    (ends.test_a_valid_close_is_answered_with_its_code, {"code": 1000}),
    (ends.test_a_close_without_a_code_is_answered_without_one, {}),
    (ends.test_what_comes_after_a_fault_is_ignored, {}),
    (ends.test_a_flood_of_anything_ends_the_socket, {"each": protocol.frame(protocol.PING)}),
    (ends.test_nothing_remains_of_a_socket_that_has_ended, {"last": protocol.close(1000)}),
    (ends.test_nothing_remains_of_a_socket_that_has_ended, {"last": protocol.frame(3)}),
    (ends.test_an_upgraded_connection_is_no_longer_aiohttps, {}),
    (ends.test_a_handshake_may_follow_another_request_and_come_byte_by_byte, {}),
    (ends.test_a_refused_handshake_leaves_an_http_connection, {}),
]
MAKING_A_STAGE: list[Case] = [
    ends.test_a_close_frame_arrives_although_the_client_still_sends,
    ends.test_a_socket_that_answers_no_ping_is_forgotten,
    ends.test_a_socket_that_answers_pings_stays,
]


def name(value: Any) -> str | None:
    return getattr(value, "__name__", None)


async def staged(server: Server, case: Callable[[Stage], Awaitable[None]], **limits: Any) -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    stage = Stage(server)
    await stage.add(**limits)
    try:
        await case(stage)
    finally:
        await stage.close()


@pytest.mark.parametrize(("case", "given"), ON_A_STAGE, ids=name)
def test_it_holds_on_uvloop(flushed: Server, case: Case, given: dict[str, Any]) -> None:
    uvloop.run(staged(flushed, lambda stage: case(stage, **given)))


@pytest.mark.parametrize("case", MAKING_A_STAGE, ids=name)
def test_it_holds_on_uvloop_with_other_limits(flushed: Server, case: Case) -> None:
    async def run() -> None:
        stages: list[Stage] = []

        async def make(**limits: Any) -> Stage:
            stages.append(Stage(flushed))
            await stages[-1].add(**limits)
            return stages[-1]

        try:
            await case(make)
        finally:
            for stage in stages:
                await stage.close()

    uvloop.run(run())


def test_a_client_that_never_leaves_is_taken_down_on_uvloop(
    flushed: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ends.peer, "CLOSE_GRACE", 0.3)
    monkeypatch.setattr(ends.socket, "CLOSE_GRACE", 0.3)
    for last in (protocol.close(1000), protocol.frame(3)):
        uvloop.run(
            staged(
                flushed,
                lambda s, last=last: ends.test_a_client_that_never_leaves_is_taken_down(s, last),
            )
        )  # type: ignore[misc]
