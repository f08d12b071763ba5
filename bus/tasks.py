"""Ending tasks that talk to Redis."""

from __future__ import annotations

import asyncio

AGAIN_AFTER = 0.2


async def end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel tasks until they have ended.

    Once is not enough on Python 3.11: redis-py sends inside asyncio.wait_for, which there
    loses a cancellation that arrives as the send completes.
    """
    running = {task for task in tasks if task is not None and not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=AGAIN_AFTER)
