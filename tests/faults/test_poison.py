"""Poison among ordinary messages: it is given up with all one must know, and harms nobody else."""

from __future__ import annotations

import random
import subprocess
from typing import Any

from redis.asyncio import Redis

from bus.broker import FIELD, decode, encode
from bus.documents import Database
from bus.handling import GAVE_UP
from contracts.envelope import Envelope
from tests.bus import probe
from tests.bus.probe import MakeThing, envelope_of, until
from tests.faults.fragile import DELIVERIES
from tests.faults.processes import Processes, database, processes, redis

__all__ = ["database", "processes", "redis"]

NEIGHBOURS = 40
WORKERS = 2

Letter = dict[str, bytes]


async def put_among_neighbours(redis: Redis, poison: list[Any], kind: str) -> list[str]:
    """Poison in random places between commands that can be carried out; the names of those."""
    names = [f"{kind} {number}" for number in range(NEIGHBOURS)]
    everything = [*poison, *(envelope_of(MakeThing(name=name)) for name in names)]
    random.Random(11).shuffle(everything)
    for each in everything:
        if isinstance(each, Envelope):
            each = {FIELD: encode(each.wire(), id=each.id, correlation=None)}
        await redis.xadd(probe.COMMANDS, each)
    return names


class Workers:
    """Processes that are started again when they have died; see fragile.py."""

    def __init__(self, processes: Processes, claim_after: float) -> None:
        self._processes = processes
        self._claim_after = str(claim_after)
        self._running: list[subprocess.Popen[bytes]] = [
            processes.fragile(self._claim_after) for _ in range(WORKERS)
        ]
        self.deaths = 0

    def revive(self) -> None:
        for index, worker in enumerate(self._running):
            if worker.poll() is not None:
                assert worker.returncode == 9, self._processes.said()
                self.deaths += 1
                self._running[index] = self._processes.fragile(self._claim_after)

    async def bury(self, redis: Redis, letters: int) -> list[Letter]:
        """Wait until everything has ended; the letters, of which there are so many."""

        async def over() -> bool:
            self.revive()
            if await redis.xlen(probe.DEAD) < letters:
                return False
            (group,) = await redis.xinfo_groups(probe.COMMANDS)
            return group["pending"] == 0 and group["lag"] in (0, None)

        await until(over, "everything to have come to an end", seconds=90)
        found = await redis.xrange(probe.DEAD)
        assert len(found) == letters, f"after {self.deaths} deaths: {found}"
        return [{name.decode(): value for name, value in fields.items()} for _, fields in found]


async def made_once(database: Database, names: list[str]) -> None:
    made = [each["name"] async for each in database["things"].find({})]
    assert sorted(made) == sorted(names)
    assert await database["events"].count_documents({}) == len(names)


async def told(database: Database, *commands: Envelope) -> None:
    """Whoever asked is told: the failure is recorded for each command that could be read."""
    for each in commands:
        inbox = await database["inbox"].find_one({"_id": f"{probe.DOMAIN}:{each.id}"})
        assert inbox is not None, each.data
        assert inbox["outcome"]["failure"]["code"] == GAVE_UP.code


def story_of(letters: list[Letter], message: Envelope) -> tuple[str, str, int, str]:
    """Reason, handler, attempts and traceback."""
    (letter,) = [each for each in letters if _id_of(each) == message.id]
    assert letter["group"] == probe.DOMAIN.encode()
    assert letter["stream"] == probe.COMMANDS.encode()
    return (
        letter["reason"].decode(),
        letter["handler"].decode(),
        int(letter["attempts"]),
        letter["traceback"].decode(),
    )


def _id_of(letter: Letter) -> str:
    try:
        return Envelope.model_validate_json(decode({FIELD.encode(): letter[FIELD]})).id
    except ValueError:
        return ""


async def test_what_cannot_be_read_or_always_fails_is_buried_with_its_story(
    processes: Processes, redis: Redis, database: Database
) -> None:
    raiser = envelope_of(MakeThing(name="raiser"))
    misfit = envelope_of(MakeThing(name="misfit")).model_copy(update={"data": {"nome": "x"}})
    unheard = envelope_of(MakeThing(name="x")).model_copy(update={"type": "probe.thing.unheard"})
    poison = [raiser, misfit, unheard, {FIELD: b"\xff\xfe"}, {"other": "x"}]
    names = await put_among_neighbours(redis, poison, "thing")
    # Nobody is to take over from somebody who is only slow.
    workers = Workers(processes, claim_after=20)
    letters = await workers.bury(redis, len(poison))
    assert workers.deaths == 0
    await made_once(database, names)

    reason, handler, attempts, traceback = story_of(letters, raiser)
    assert (reason, handler, attempts) == ("RuntimeError: it always does", "make", DELIVERIES)
    assert 'raise RuntimeError("it always does")' in traceback
    reason, handler, attempts, traceback = story_of(letters, misfit)
    assert (reason, handler, attempts) == ("invalid_data", "make", 1)
    assert "nome" in traceback
    assert story_of(letters, unheard)[:3] == ("no_handler", "", 1)
    undecodable = [letter for letter in letters if letter["reason"] == b"undecodable"]
    assert [letter["attempts"] for letter in undecodable] == [b"1", b"1"]
    assert all(letter["traceback"] for letter in undecodable)
    assert {bytes(letter[FIELD]) for letter in undecodable} == {b"\xff\xfe", b""}
    await told(database, raiser, misfit)


async def test_what_kills_its_process_is_buried_and_what_died_with_it_is_done(
    processes: Processes, redis: Redis, database: Database
) -> None:
    killer = envelope_of(MakeThing(name="killer"))
    names = await put_among_neighbours(redis, [killer], "thing")
    workers = Workers(processes, claim_after=1)
    letters = await workers.bury(redis, 1)
    assert workers.deaths > 1, "it took processes down again and again"
    story = ("deliveries_exhausted", "make", DELIVERIES)
    assert story_of(letters, killer)[:3] == story
    await made_once(database, names)
    await told(database, killer)
