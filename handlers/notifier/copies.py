"""An event in two push streams, for a client that listens to both: which copy is shown.

Not the one that comes first: which that was is forgotten when the client comes back.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from contracts.envelope import Envelope
from handlers.notifier.frames import Entry
from handlers.routing import route


def comes_elsewhere(entry: Entry, addresses: Collection[str], shards: int) -> bool:
    """Whether who listens to these addresses is shown another copy of the entry's event.

    Of a membership that ends, each copy is shown: with its user's the connection ends.
    """
    if entry.copies < 2 or entry.control.startswith("left "):
        return False
    for audience in _audiences(entry.event, shards):
        if audience == frozenset(entry.to):
            return False
        if not audience.isdisjoint(addresses):
            return True
    return False


@lru_cache(maxsize=256)
def _audiences(event: bytes, shards: int) -> tuple[frozenset[str], ...]:
    pushes = route(Envelope.model_validate_json(event), shards)
    return tuple(frozenset(push.addresses) for push in pushes)
