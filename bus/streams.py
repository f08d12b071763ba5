"""Names of streams, groups, channels and keys: here and nowhere else.

Braces are Redis Cluster hash tags: what must be changed together lies in one slot.
"""

from __future__ import annotations

import os
import secrets
import socket
import zlib

from contracts.base import Lane


def commands(domain: str, lane: Lane = "fast") -> str:
    """Where the commands of a domain wait."""
    return f"grid8:{{{domain}}}:cmd" + (".slow" if lane == "slow" else "")


def events(domain: str) -> str:
    """Where the events of a domain are published."""
    return f"grid8:{{{domain}}}:evt"


def dead(domain: str) -> str:
    """Where messages go that ``domain`` could not handle."""
    return f"grid8:{{{domain}}}:dead"


def replay(domain: str) -> str:
    """Where the group of ``domain``, and no other, is given chosen messages again."""
    return f"grid8:{{{domain}}}:replay"


def push(shard: int) -> str:
    """One of the streams from which notifiers serve sockets."""
    return f"grid8:push:{{{shard}}}"


def pushed(shard: int, message: str) -> str:
    """Marks an event as being in its push stream already."""
    return f"grid8:pushed:{{{shard}}}:{message}"


def pushed_since(shard: int) -> str:
    """When the first such mark was made that Redis has not lost since."""
    return f"grid8:pushed:{{{shard}}}"


def shard_of(key: str, shards: int) -> int:
    """The push shard of an organization or user."""
    return zlib.crc32(key.encode()) % shards


def address_of(scope: str, channel: str) -> str:
    """A channel in a push stream: ``scope`` is the user for ``me``, else the organization."""
    return f"{scope}/{channel}"


def replies(gateway: str) -> str:
    """The pub/sub channel on which one gateway hears replies."""
    return f"grid8:replies:{gateway}"


def accepted(domain: str, command: str) -> str:
    """Remembers who sent a command that was answered 202, and which entry it is."""
    return f"grid8:{{{domain}}}:accepted:{command}"


def retries(group: str, replay: str) -> str:
    """Counts how often the events of a replay had to be tried again."""
    return f"grid8:{{{group}}}:replay:{replay}:retries"


PROGRESS = "grid8:progress"
"""The pub/sub channel on which notifiers hear how far work is."""

EPOCH = "grid8:{relay}:epoch"
"""Gone when Redis has lost its data; the relay knows what it was."""
RECOVERY = "grid8:{relay}:recovery"
"""The relay that is making good such a loss."""


def domain_of(stream: str) -> str:
    """The domain in a stream's name."""
    return stream.partition("{")[2].partition("}")[0]


def consumer_name() -> str:
    """A name no other process has: host-pid-random."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
