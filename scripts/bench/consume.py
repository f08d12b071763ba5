"""The bus alone: one worker with a handler that does nothing, on a stream that is full.

``python -m scripts.bench.consume side redis-url stream count`` prints one JSON object:
messages per second, and the resident memory after 10,000 messages and at the end. ``raw`` is
the bare loop it is held against: XREADGROUP of 128, one XACK for each batch, nothing decoded.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import uvloop

from bus.broker import connect, ensure_group, make_broker
from bus.handling import Handling, Policy
from bus.pipeline import Pipeline
from bus.worker import Lane, Worker
from contracts.envelope import Envelope

GROUP = "bench"
EARLY = 10_000
BATCH = 128


def resident_mib() -> float:
    """This process's resident memory, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def consume(url: str, stream: str, count: int) -> dict[str, Any]:
    """Through Grid8's worker: decoded, dispatched to slots, acknowledged."""
    redis = connect(url)
    seen = 0
    memory = 0.0
    started = 0.0
    done = asyncio.Event()

    async def nothing(envelopes: Sequence[Envelope]) -> None:
        nonlocal seen, memory, started
        for _ in envelopes:
            seen += 1
            if seen == 1:
                started = time.perf_counter()
            if seen == EARLY:
                memory = resident_mib()
            if seen == count:
                done.set()

    # Observers need neither the committer nor the database.
    absent = cast(Any, None)
    handling = Handling(
        GROUP, {}, committer=absent, publisher=absent, database=absent, observer=nothing
    )
    worker = Worker(
        make_broker(url),
        redis,
        Pipeline(redis),
        [Lane(stream, handling, Policy(), slots=BATCH)],
        heartbeat=2.0,
        drain_grace=5.0,
    )
    await worker.start()
    await done.wait()
    took = time.perf_counter() - started
    late = resident_mib()
    await worker.stop()
    await redis.aclose()
    return {"per_second": count / took, "early_mib": memory, "late_mib": late}


async def raw(url: str, stream: str, count: int) -> dict[str, Any]:
    """The bare loop."""
    redis = connect(url)
    await ensure_group(redis, stream, GROUP)
    seen = 0
    started = time.perf_counter()
    while seen < count:
        reply = await redis.xreadgroup(GROUP, "raw", {stream: ">"}, count=BATCH)
        [[_, batch]] = cast(Any, reply)
        await redis.xack(stream, GROUP, *(id for id, _ in batch))
        seen += len(batch)
    took = time.perf_counter() - started
    await redis.aclose()
    return {"per_second": count / took, "early_mib": 0.0, "late_mib": resident_mib()}


if __name__ == "__main__":
    logging.getLogger("faststream").setLevel(logging.WARNING)
    side, url, stream, count = sys.argv[1:]
    run = {"grid8": consume, "raw": raw}[side]
    print(json.dumps(uvloop.run(run(url, stream, int(count)))))
