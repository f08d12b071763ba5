"""Nothing is left to do: pending lists, lags, outbox, dead letters."""

from __future__ import annotations

from typing import Any

from redis.exceptions import ResponseError

from bus import streams
from bus.documents import OUTBOX
from handlers.topology import GROUPS, command_groups, event_groups
from tests.faults.harness.stack import Stores
from tests.faults.harness.waiting import until


async def check_quiet(
    stores: Stores, *, dead: dict[str, int] | None = None, seconds: float = 60.0
) -> None:
    """Wait until every stream is worked off; then there are just these dead letters by domain."""

    async def nothing() -> Any:
        return await left(stores) or True

    await until(nothing, "pending lists, lags and outbox are empty", seconds)
    letters = {}
    for group in GROUPS:
        if count := await stores.redis.xlen(streams.dead(group)):
            letters[group] = count
    if letters != (dead or {}):
        found = [await stores.redis.xrange(streams.dead(group)) for group in letters]
        raise AssertionError(f"dead letters {letters}, expected {dead or {}}: {found}")


async def left(stores: Stores) -> dict[Any, Any]:
    """What is still to be done, by stream and group."""
    found: dict[Any, Any] = {}
    for stream, group in (*command_groups(), *event_groups()):
        try:
            groups = {
                each["name"].decode(): each for each in await stores.redis.xinfo_groups(stream)
            }
            end = (await stores.redis.xinfo_stream(stream))["last-generated-id"]
        except ResponseError as error:
            found[stream, group] = str(error)
            continue
        state = groups.get(group)
        if state is None:
            found[stream, group] = "no group"
        elif (
            state["pending"]
            or state["lag"]
            or (state["lag"] is None and state["last-delivered-id"] != end)
        ):
            found[stream, group] = {"pending": state["pending"], "lag": state["lag"]}
    if waiting := await stores.database[OUTBOX].count_documents({}):
        found["outbox"] = waiting
    return found
