"""A load of mixed commands through the real gateway, and sockets that watch what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from types import TracebackType
from typing import Any, Self

import aiohttp

from infra.embedded.running import RunningStack
from tests.faults.harness.caller import Caller
from tests.faults.harness.ends import follow, judge, replay
from tests.faults.harness.mix import TAKEN, Mix, Record
from tests.faults.harness.sockets import Watcher
from tests.faults.harness.waiting import until

FLOW = 4
"""Answers that show that commands are carried out."""
UNAVAILABLE = ("dependency_unavailable", "reply_late")
PAUSE = 0.2
"""Seconds before a caller goes on after a request that failed."""


class Load:
    """Callers that ask for what ``mix`` draws, from entry until ``finish``.

    ``forgetful`` is for faults in which Redis loses its data: sessions and idempotency keys
    are gone then, and a command may be lost, saying so. ``pace`` is how many seconds each
    caller waits between requests; ``restless`` whether sockets leave and come back.
    """

    def __init__(
        self,
        stack: RunningStack,
        *,
        callers: int = 8,
        watchers: int = 2,
        seed: int = 1,
        pace: float = 0.0,
        forgetful: bool = False,
        restless: bool = True,
    ) -> None:
        self.stack = stack
        self.seed = seed
        self.forgetful = forgetful
        self.records: list[Record] = []
        """Everything that was asked for, and answered."""
        self.seen: Counter[int] = Counter()
        """Every answer by its status, while it goes on too; see also BROKEN, UNSENT."""
        self.slowest = 0.0
        """Seconds the slowest answer took."""
        self.watchers: list[Watcher] = []
        self._callers = callers
        self._watching = watchers
        self._pace = pace
        self._restless = restless
        self._stopping = False
        self._finished = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._exits = contextlib.AsyncExitStack()
        self.http = await self._exits.enter_async_context(
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=60), connector=aiohttp.TCPConnector(limit=0)
            )
        )
        try:
            await self._settle_in()
        except BaseException:
            await self._leave()
            raise
        return self

    async def _settle_in(self) -> None:
        url = self.stack.gateway_url
        self.owner = await Caller.new(self.http, url, forgiving=self.forgetful)
        self.observer = Caller(self.http, url, self.owner.credentials, self.forgetful)
        await self.observer.sign_in()
        self.org = (await self._make("/v1/orgs", "Faults"))["id"]
        brands = f"/v1/orgs/{self.org}/brands"
        await self._make(brands, TAKEN)
        self.shared: str = (await self._make(brands, "Shared"))["id"]
        self.mix = Mix(self.seed, self.org, self.shared)
        for _ in range(self._watching):
            restless = random.Random(self.mix.chance.random()) if self._restless else None
            self.watchers.append(Watcher(self.observer, self.org, restless=restless))
        self._tasks = [asyncio.create_task(each.watch()) for each in self.watchers]
        for each in self.watchers:
            await asyncio.wait_for(each.subscribed.wait(), 60)
        self._calling = [asyncio.create_task(self._call()) for _ in range(self._callers)]
        self._tasks += self._calling

    async def _make(self, path: str, name: str) -> Any:
        answer = await self.owner.send("POST", path, json={"name": name})
        assert answer.status == 201, answer
        return answer.body

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exits.aclose()

    async def _call(self) -> None:
        while not self._stopping:
            record = self.mix.draw()
            await self.ask(record)
            failed = record.answers[-1].unknown
            await asyncio.sleep(max(self._pace, PAUSE if failed else 0.0))

    async def ask(self, record: Record) -> None:
        """Send one command, with a key until there is an answer to it, and keep the record."""
        while True:
            answer = await self.owner.send(**record.request)
            self.seen[answer.status] += 1
            self.slowest = max(self.slowest, answer.took)
            if answer.code == "idempotency.in_progress":
                assert record.key, answer
                await asyncio.sleep(float(answer.retry_after or 1))
                continue
            record.answers.append(answer)
            if answer.unknown and answer.status == 503:
                assert answer.retry_after, f"a 503 says when to try again: {answer}"
                assert answer.code in UNAVAILABLE, answer
            if answer.unknown and record.key and not self.forgetful:
                await asyncio.sleep(PAUSE)
                continue
            break
        judge(record, forgetful=self.forgetful)
        if record.kind.startswith("person") and record.end == "done":
            self.mix.registered.append(record.mark)
        self.records.append(record)

    def _check_alive(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                raise AssertionError("a caller or a socket met what it must not") from (
                    task.exception()
                )

    async def answered(self, more: int, seconds: float = 60.0) -> None:
        """Wait until so many more commands have been answered for good, whichever way."""
        count = len(self.records) + more

        async def enough() -> Any:
            self._check_alive()
            return len(self.records) >= count or f"{len(self.records)} of {count}"

        await until(enough, f"{more} more answers", seconds)

    async def flows(self, patience: float) -> None:
        """Wait until commands are carried out again, but not for longer than ``patience``."""
        before = self._worked()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._worked() < before + FLOW:  # noqa: ASYNC110 - the stack makes it true
                    await asyncio.sleep(0.02)

    def _worked(self) -> int:
        return sum(count for status, count in self.seen.items() if 200 <= status < 500)

    async def met(self, status: int, more: int = 1, seconds: float = 60.0) -> None:
        """Wait until so many more requests have been answered with this status."""
        count = self.seen[status] + more

        async def enough() -> Any:
            self._check_alive()
            return self.seen[status] >= count or self.seen

        await until(enough, f"{more} more answers with status {status}", seconds)

    async def finish(self) -> None:
        """Stop asking, and follow everything to its end. The sockets stay open."""
        if self._finished:
            return
        self._stopping = True

        async def silent() -> Any:
            self._check_alive()
            waiting = sum(not task.done() for task in self._calling)
            return waiting == 0 or f"{waiting} callers have no answer"

        await until(silent, "every command is answered", 120)
        limit = asyncio.Semaphore(8)

        async def one(record: Record) -> None:
            async with limit:
                await follow(record, self.owner, forgetful=self.forgetful)
                if record.key and not self.forgetful:
                    await replay(record, self.owner)

        await asyncio.gather(*(one(each) for each in self.records))
        self._finished = True

    def mail_killed(self) -> bool:
        """Whether the worker that hands mails over is not the one that the stack began with."""
        return self.stack.process("worker-mail").generation > 1

    def ends(self) -> Counter[str]:
        """How many ended in which way."""
        return Counter(each.end for each in self.records)
