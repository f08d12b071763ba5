"""The FastStream broker, connected the way Grid8 needs it, and its groups.

FastStream gives subscribers their lifecycle and the format of entries; everything that
must survive a crash (acks, retries, dead letters) is ours, in delivery.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from faststream.redis import RedisBroker
from faststream.redis.parser import BinaryMessageFormatV1
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

FIELD = "__data__"
"""The one field of a FastStream stream entry."""


def _retry(retries: int = 6) -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries=retries)


def connect(
    url: str, *, max_connections: int = 512, socket_timeout: float = 10.0, retries: int = 6
) -> Redis:
    """A Redis client that waits for a free connection and outlives a restart of the server."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=socket_timeout,
        socket_timeout=socket_timeout,
        socket_connect_timeout=socket_timeout,
        retry=_retry(retries),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
        health_check_interval=30,
    )
    return Redis(connection_pool=pool)


def make_broker(
    url: str, *, max_connections: int = 512, socket_timeout: float = 10.0
) -> RedisBroker:
    """A broker for this process's subscribers. INFO per message would halve throughput."""
    return RedisBroker(
        url,
        max_connections=max_connections,
        socket_timeout=socket_timeout,
        retry=_retry(),
        retry_on_error=[RedisConnectionError, RedisTimeoutError],
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
        apply_types=False,
    )


async def ensure_group(redis: Redis, stream: str, group: str) -> bool:
    """Create the group at 0, with its stream, unless it is there. True when it was made.

    At 0, because FastStream's own groups start at the end and lose what came before them.
    """
    try:
        await redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
        return False
    return True


async def ensure_groups(redis: Redis, pairs: Iterable[tuple[str, str]]) -> int:
    """Create the missing ones of these (stream, group) pairs; how many were made."""
    return sum([await ensure_group(redis, stream, group) for stream, group in pairs])


_HEAD = BinaryMessageFormatV1.IDENTITY_HEADER + (1).to_bytes(2)
_CONTENT_TYPE = b"\x00\x0ccontent-type\x00\x1capplication/cloudevents+json"


def encode(body: bytes, *, id: str, correlation: str | None) -> bytes:
    """An entry's value in FastStream's format: our envelope as JSON, ASCII headers.

    The same bytes as BinaryMessageFormatV1.encode, at a fifth of its cost.
    """
    headers = (
        b"\x00\x0ecorrelation_id"
        + _measured(correlation or id)
        + _CONTENT_TYPE
        + b"\x00\x0amessage_id"
        + _measured(id)
    )
    start = len(_HEAD) + 8
    data_start = start + 2 + len(headers)
    return b"".join((_HEAD, start.to_bytes(4), data_start.to_bytes(4), b"\x00\x03", headers, body))


def _measured(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    return len(raw).to_bytes(2) + raw


def decode(entry: dict[bytes, bytes]) -> bytes:
    """The body of an entry. Raises ValueError when it has none."""
    raw = entry.get(FIELD.encode())
    if raw is None:
        raise ValueError(f"the entry has no field {FIELD}")
    if raw.startswith(_HEAD):
        # Ours: the headers repeat what is in the envelope, so only the body is looked at.
        return raw[int.from_bytes(raw[14:18]) :]
    body, _ = BinaryMessageFormatV1.parse(raw)
    return body
