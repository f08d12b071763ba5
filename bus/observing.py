"""Observing what was read together: one call of the observer, acknowledged soon after.

Only for groups that keep no inbox and write nothing, such as the notifier's. What cannot be
observed together is handled entry by entry, as everything else is, so that one entry's
failure is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bus.broker import decode
from bus.deadlines import Within
from bus.delivery import Delivery, Entry
from bus.middleware import handled, measures, tracing_is_on
from contracts.envelope import Envelope

log = structlog.get_logger(__name__)

Observer = Callable[[Sequence[Envelope]], Awaitable[None]]
"""Sees every event of a stream, without inbox or transaction: it must bear repetition."""


async def observe_together(
    observer: Observer,
    group: str,
    entries: Sequence[Entry],
    delivery: Delivery,
    timeout: float | None,
) -> list[Entry]:
    """Show entries to the observer, in order; those that must be handled one by one are returned.

    Raises nothing but cancellation.
    """
    if tracing_is_on():
        return list(entries)  # each has a span of its own
    known: list[tuple[Entry, Envelope]] = []
    alone: list[Entry] = []
    for entry in entries:
        try:
            known.append((entry, Envelope.model_validate_json(decode(entry.fields))))
        except ValueError:
            alone.append(entry)
    began, started = time.time(), time.perf_counter()
    try:
        with Within(timeout):
            await observer([envelope for _, envelope in known])
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.warning("observed_one_by_one", entries=len(known), reason=str(error)[:300])
        return list(entries)
    delivery.ack_soon([entry.id for entry, _ in known])
    seconds = time.perf_counter() - started
    for _, envelope in known:
        duration, age = measures(group, envelope.type)
        age.observe(max(0.0, began - envelope.time.timestamp()))
        duration.observe(seconds)
    for type, count in Counter(envelope.type for _, envelope in known).items():
        handled(group, type, "observed").inc(count)
    return alone
