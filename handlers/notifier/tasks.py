"""Ending tasks that talk to Redis."""

from __future__ import annotations

import asyncio

AGAIN_AFTER = 0.2


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task until it has ended.

    Once is not enough on Python 3.11: redis-py sends inside asyncio.wait_for, which there
    loses a cancellation that arrives as the send completes.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_AFTER)
