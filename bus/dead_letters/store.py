"""What was given up: to be looked at, mended, sent again or dropped.

A letter holds the bytes of the message as they were read, and why it is here (see
``Delivery.bury``). All a group could not handle lies in the dead-letter stream of its domain,
in one slot of Redis Cluster with the streams it may go back to, so each change is one step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis

from bus import streams
from bus.accepted import Accepted, Waiting
from bus.broker import FIELD, encode
from bus.dead_letters.letter import EDITS, ORIGINAL, ORIGINAL_DATA, DeadLetter, Wanted, edited
from bus.documents import INBOX, Database
from bus.handling import GAVE_UP
from bus.publisher import Publisher
from bus.unit_of_work import inbox_key
from contracts.base import Command
from contracts.envelope import Envelope
from contracts.types import new_id, now, rfc3339

OPERATOR_LOG = "operator_log"
"""One document per change an operator made: who, when, what, and digests of before and after."""

PAGE = 200
KEPT = 24 * 3600
"""Seconds in which it is remembered that a redriven command waits."""
_REPLAYED = (b"replay", b"reaction", b"effects")
"""What a replay said about the entry; it holds when the entry comes again."""
_EDITED = (EDITS, ORIGINAL, ORIGINAL_DATA)
"""What says that the message is not what was sent; it stays with the message."""

# Only while the letter is there: of two operators, or of two tries, one does it.
_MOVE = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return false end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], ARGV[1])
return id
"""


class LetterGone(LookupError):
    """There is no such dead letter, or somebody else has seen to it."""


class DeadLetters:
    """The dead letters of every domain, in the hands of one operator, ``by``."""

    def __init__(self, redis: Redis, database: Database, *, by: str) -> None:
        self._redis = redis
        self._database = database
        self._by = by
        self._accepted = Accepted(Publisher(redis), database, kept=KEPT)

    async def find(self, domains: Sequence[str], wanted: Wanted) -> AsyncIterator[DeadLetter]:
        """The letters of these domains that are wanted, oldest first within each."""
        for domain in domains:
            after = "-"
            while page := await self._read(domain, after, "+"):
                for letter in page:
                    if wanted.takes(letter):
                        yield letter
                after = f"({page[-1].entry}"

    async def get(self, id: str) -> DeadLetter:
        """The letter ``{domain}/{entry}``. Raises LetterGone."""
        domain, _, entry = id.partition("/")
        number, _, sequence = entry.partition("-")
        if not (number.isdecimal() and (sequence or "0").isdecimal()):
            raise LetterGone(f"{id} is no id of a dead letter: <domain>/<number>-<number>")
        found = await self._read(domain, entry, entry)
        if not found:
            raise LetterGone(f"there is no dead letter {id}")
        return found[0]

    async def _read(self, domain: str, first: str, last: str) -> list[DeadLetter]:
        found: Any = await self._redis.xrange(streams.dead(domain), first, last, count=PAGE)
        return [DeadLetter(domain, id.decode(), fields) for id, fields in found]

    async def redrive(self, letter: DeadLetter) -> str:
        """Give the group that failed the same bytes again; the letter is gone. Returns the entry.

        The group skips a message that it has handled meanwhile. Raises NotRedrivable and
        LetterGone.
        """
        target = letter.target()
        record = await self._begin("redrive", letter, after=letter.body)
        command = letter.envelope if letter.envelope and _is_command(letter.envelope) else None
        if command is not None:
            await self._forget_failure(command, target)
        fields = {FIELD.encode(): letter.body}
        fields |= {name: letter.fields[name] for name in _EDITED if name in letter.fields}
        if target == streams.replay(letter.domain):
            fields |= {name: letter.fields[name] for name in _REPLAYED if name in letter.fields}
            fields[b"redrive"] = letter.entry.encode()
        moved = await self._redis.eval(
            _MOVE, 2, streams.dead(letter.domain), target, letter.entry, *_flat(fields)
        )
        entry = await self._end(record, letter, moved)
        if command is not None:
            await self._note_waiting(command, target, entry)
        return entry

    async def _forget_failure(self, command: Envelope, stream: str) -> None:
        """Make a command that was given up one that waits.

        Else the inbox would answer with the failure that giving up has recorded; and whoever
        asks how it ended would find neither an outcome nor the entry, and call it lost.
        """
        await self._note_waiting(command, stream, entry="")
        await self._database[INBOX].delete_one(
            {
                "_id": inbox_key(streams.domain_of(stream), command.id),
                "outcome.status": "failed",
                "outcome.failure.code": GAVE_UP.code,
            }
        )

    async def _note_waiting(self, command: Envelope, stream: str, entry: str) -> None:
        known = await self._accepted.find(command.id, streams.domain_of(stream))
        user = known.user if known is not None else command.actor or ""
        await self._accepted.remember(command.id, Waiting(user, stream, entry))

    async def edit(self, letter: DeadLetter, data: Any) -> DeadLetter:
        """Replace the letter by one whose message has this data; the first bytes are kept.

        Raises EditRefused, and LetterGone when somebody was quicker.
        """
        envelope = edited(letter, data)
        body = encode(envelope.wire(), id=envelope.id, correlation=envelope.correlationid)
        changed = _changed(letter.envelope.data if letter.envelope else {}, envelope.data)
        edit = {"by": self._by, "at": rfc3339(now()), "changed": changed}
        fields = {
            ORIGINAL: letter.entry.encode(),
            ORIGINAL_DATA: letter.body,
            **letter.fields,
            FIELD.encode(): body,
            EDITS: json.dumps([*letter.edits, edit]).encode(),
        }
        record = await self._begin("edit", letter, after=body, changed=changed)
        stream = streams.dead(letter.domain)
        entry = await self._redis.eval(_MOVE, 2, stream, stream, letter.entry, *_flat(fields))
        return DeadLetter(letter.domain, await self._end(record, letter, entry), fields)

    async def drop(self, letter: DeadLetter) -> None:
        """Forget the letter for good. Raises LetterGone."""
        record = await self._begin("drop", letter, after=None)
        dropped = await self._redis.xdel(streams.dead(letter.domain), letter.entry)
        await self._end(record, letter, letter.entry.encode() if dropped else None)

    async def _begin(
        self, action: str, letter: DeadLetter, *, after: bytes | None, **more: Any
    ) -> str:
        """Record what is about to be done: nothing is done that is not recorded."""
        record = {
            "_id": new_id("opl"),
            "at": now(),
            "by": self._by,
            "action": action,
            "letter": letter.id,
            "message": letter.envelope.id if letter.envelope is not None else None,
            "type": letter.type,
            "org": letter.envelope.org if letter.envelope is not None else None,
            "reason": letter.text("reason"),
            "before": _digest(letter.body),
            "after": None if after is None else _digest(after),
            **more,
            "done": False,
        }
        await self._database[OPERATOR_LOG].insert_one(record)
        return str(record["_id"])

    async def _end(self, record: str, letter: DeadLetter, entry: bytes | None) -> str:
        if entry is None:
            raise LetterGone(f"{letter.id} has been seen to by somebody else")
        await self._database[OPERATOR_LOG].update_one(
            {"_id": record}, {"$set": {"done": True, "entry": entry.decode()}}
        )
        return entry.decode()


def _is_command(envelope: Envelope) -> bool:
    return Command.of_wire(envelope.type, envelope.dataversion) is not None


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The names of the fields that differ; their values may be nobody's business."""
    names = sorted(before.keys() | after.keys())
    return [name for name in names if before.get(name) != after.get(name)]


def _flat(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
