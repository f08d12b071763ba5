"""Commands that were answered 202: who sent each, and which entry it waits in.

With that it can be told apart whether a command that has no outcome yet is waiting, or has
been lost with Redis. Lost is only what can never be carried out any more: the verdict is
written to the inbox, where a worker that holds the command after all will find it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pymongo.errors import DuplicateKeyError

from bus import streams
from bus.documents import INBOX, Database
from bus.outcomes import find_outcome
from bus.publisher import Publisher, added
from bus.replies import Outcome
from bus.unit_of_work import inbox_key
from contracts.envelope import Envelope
from contracts.errors import Failure
from contracts.types import now

_ACCEPT = """
local entry = redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])
local record = cjson.encode({user = ARGV[3], stream = KEYS[1], entry = entry})
redis.call('SET', KEYS[2], record, 'EX', ARGV[4])
return entry
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a command of ``user`` waits. Without ``entry``, it is not known where."""

    user: str
    stream: str
    entry: str


class Accepted:
    """Sends commands and remembers them for ``kept`` seconds."""

    def __init__(self, publisher: Publisher, database: Database, *, kept: int) -> None:
        self._publisher = publisher
        self._database = database
        self._kept = kept

    async def send(self, envelope: Envelope, user: str) -> None:
        """Add a command to its stream and remember it, in one step; on return it is durable.

        Raises redis.RedisError or TimeoutError when it may not have arrived.
        """
        _, stream, _, field, value = added(envelope)
        key = streams.accepted(streams.domain_of(stream), envelope.id)
        await self._publisher.execute_durably(
            ("EVAL", _ACCEPT, 2, stream, key, field, value, user, self._kept)
        )

    async def remember(self, command: str, waiting: Waiting) -> None:
        """Remember a command that was sent already."""
        key = streams.accepted(streams.domain_of(waiting.stream), command)
        record = json.dumps(asdict(waiting))
        await self._publisher.pipeline.execute("SET", key, record, "EX", self._kept)

    async def find(self, command: str, domain: str) -> Waiting | None:
        """What is remembered of a command, if it is one of this domain."""
        raw = await self._publisher.pipeline.execute("GET", streams.accepted(domain, command))
        return Waiting(**json.loads(raw)) if raw else None

    async def detach(self, command: str, domain: str) -> None:
        """Forget the entry, because the command is about to be sent again in another one."""
        waiting = await self.find(command, domain)
        if waiting is not None:
            await self.remember(command, Waiting(waiting.user, waiting.stream, ""))

    async def outcome(
        self, command: str, domain: str, waiting: Waiting | None, *, user: str | None, lost: Failure
    ) -> Outcome | None:
        """How a command ended; None while it waits.

        Where it neither waits nor has ended, it ends now, with ``lost``.
        """
        outcome = await find_outcome(self._database, command, [domain])
        if outcome is not None or (waiting is not None and await self._waits(waiting)):
            return outcome
        return await settle(self._database, command, domain, lost, user=user)

    async def _waits(self, waiting: Waiting) -> bool:
        if not waiting.entry:
            return True
        found = await self._publisher.pipeline.execute(
            "XRANGE", waiting.stream, waiting.entry, waiting.entry
        )
        return bool(found)


async def settle(
    database: Database, command: str, domain: str, failure: Failure, *, user: str | None
) -> Outcome:
    """End a command with this failure, unless it has ended otherwise: its outcome for good."""
    failed = Outcome(command_id=command, status="failed", failure=failure, actor=user)
    try:
        await database[INBOX].insert_one(
            {
                "_id": inbox_key(domain, command),
                "at": now(),
                "type": "",
                "outcome": failed.model_dump(mode="json"),
            }
        )
    except DuplicateKeyError:
        return await find_outcome(database, command, [domain]) or failed
    return failed
