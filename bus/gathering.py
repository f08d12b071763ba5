"""Waiting for those who are about to join, and for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sized


async def gather_from(waiting: Sized, limit: int) -> None:
    """Return when a turn of the event loop has added nothing more to ``waiting``.

    What is about to be sent for some is sent for all whose tasks can run already: that costs
    a lone caller one turn, and saves a busy process most of its round trips.
    """
    seen = 0
    while seen < len(waiting) < limit:
        seen = len(waiting)
        await asyncio.sleep(0)
