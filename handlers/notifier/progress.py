"""Hears how far work is, and hands it to the sockets that listen just now."""

from __future__ import annotations

import asyncio
import json

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bus import streams
from handlers.notifier.hub import Hub

log = structlog.get_logger(__name__)


async def hear(redis: Redis, hub: Hub) -> None:
    """Listen until cancelled; what is told while Redis is away is lost."""
    while True:
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(streams.PROGRESS)
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0)
                    if message is not None:
                        _hand_on(message["data"], hub)
        except (RedisError, OSError) as error:
            log.warning("progress_interrupted", error=str(error)[:200])
            await asyncio.sleep(0.2)


def _hand_on(body: bytes, hub: Hub) -> None:
    try:
        told = json.loads(body)
        hub.hint(str(told["to"]), dict(told["progress"]))
    except (ValueError, KeyError, TypeError):
        log.warning("progress_unreadable", size=len(body))
