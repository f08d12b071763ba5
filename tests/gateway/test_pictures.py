"""How one gateway has pictures made: once however many ask, and with an end to its patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bus.replies import Outcome
from contracts.asset.commands import RenderTransform
from contracts.asset.errors import FileNotFound, ImageCorrupt, TransformLater
from contracts.envelope import Envelope
from contracts.errors import DomainError
from gateway.serving import pictures as module
from gateway.serving.pictures import Pictures
from infra.object_store import ObjectStore
from tests.infra.stores import chunks, local_settings, opened_store

PREFIX = "orgs/org_a/transforms/blb_x/1/"


class Worker:
    """Stands where commands are sent and replies come from."""

    channel = "replies"

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.sent: list[Envelope] = []
        self.arrived = asyncio.Event()
        self.answer: DomainError | str | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._futures: dict[str, asyncio.Future[Outcome]] = {}

    @contextmanager
    def expect(self, command: str) -> Iterator[asyncio.Future[Outcome]]:
        self._futures[command] = asyncio.get_running_loop().create_future()
        yield self._futures[command]
        del self._futures[command]

    async def send(self, envelope: Envelope) -> str:
        self.sent.append(envelope)
        self.arrived.set()
        asyncio.get_running_loop().create_task(self._reply(envelope.id))
        return "1-0"

    async def _reply(self, id: str) -> None:
        await self.gate.wait()
        if isinstance(self.answer, DomainError):
            outcome = Outcome(command_id=id, status="failed", failure=self.answer.failure())
        elif self.answer is not None:
            key = PREFIX + self.answer
            await self.store.write(key, chunks(b"picture"), media_type="image/webp", limit=100)
            result = {"key": key, "format": self.answer.rpartition(".")[2]}
            outcome = Outcome(command_id=id, status="succeeded", result=result)
        else:
            return
        if id in self._futures and not self._futures[id].done():
            self._futures[id].set_result(outcome)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with opened_store(local_settings(tmp_path / "objects")) as store:
        yield Worker(store)


def pictures_of(worker: Worker, *, wait: float = 10, pause: float = 60) -> Pictures:
    anything: Any = worker
    return Pictures(worker.store, anything, anything, pause=pause, wait=wait)


def wanted(width: int = 10, format_: str = "webp") -> RenderTransform:
    return RenderTransform.model_validate(
        {
            "organization_id": "org_a",
            "blob_id": "blb_x",
            "transform": {"mode": "fit", "width": width, "height": 10},
            "format": format_,
        }
    )


async def test_two_hundred_who_ask_at_once_send_one_command(worker: Worker) -> None:
    pictures = pictures_of(worker)
    worker.answer = "fit-10x10.webp"
    worker.gate.clear()
    asked = [asyncio.create_task(pictures.get(wanted())) for _ in range(200)]
    await asyncio.wait_for(worker.arrived.wait(), 10)
    # Whoever asked first goes away, and nobody else is the worse for it.
    asked[0].cancel()
    worker.gate.set()
    found = await asyncio.gather(*asked[1:])
    assert len(worker.sent) == 1
    assert {(stat.bytes, format_) for stat, format_ in found} == {(7, "webp")}
    await pictures.get(wanted())
    assert len(worker.sent) == 1, "it is found from then on"


async def test_what_became_png_or_jpeg_is_found_as_what_it_became(worker: Worker) -> None:
    pictures = pictures_of(worker)
    for width, format_ in ((1, "png"), (2, "jpeg")):
        worker.answer = f"fit-{width}x10-still.{format_}"
        for _ in range(2):
            assert (await pictures.get(wanted(width, "still")))[1] == format_
    assert len(worker.sent) == 2


@pytest.mark.parametrize("error", [ImageCorrupt("cut off"), FileNotFound()])
async def test_a_failure_is_told_to_all_and_believed_for_a_while(
    error: DomainError, worker: Worker
) -> None:
    pictures = pictures_of(worker)
    worker.answer = error
    worker.gate.clear()
    asked = [asyncio.create_task(pictures.get(wanted())) for _ in range(20)]
    await asyncio.wait_for(worker.arrived.wait(), 10)
    worker.gate.set()
    for each in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(each, type(error))
        assert each.detail == error.detail
    with pytest.raises(type(error)):
        await pictures.get(wanted())
    assert len(worker.sent) == 1
    worker.answer = "fit-11x10.webp"
    await pictures.get(wanted(11))


async def test_a_failure_is_believed_no_longer_than_that(worker: Worker) -> None:
    pictures = pictures_of(worker, pause=0)
    worker.answer = ImageCorrupt()
    with pytest.raises(ImageCorrupt):
        await pictures.get(wanted())
    worker.answer = "fit-10x10.webp"
    assert (await pictures.get(wanted()))[1] == "webp"


async def test_no_worker_is_told_of_with_when_to_try_again(worker: Worker) -> None:
    pictures = pictures_of(worker, wait=0.05)
    for _ in range(2):
        with pytest.raises(TransformLater) as late:
            await pictures.get(wanted())
        assert late.value.retry_after
    assert len(worker.sent) == 2, "one who asks again is not told what was true before"
    worker.answer = "fit-10x10.webp"
    assert (await pictures.get(wanted()))[1] == "webp"


async def test_only_so_many_are_waited_for(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    pictures = pictures_of(worker)
    worker.gate.clear()
    asked = []
    for width in (1, 2):
        worker.arrived.clear()
        asked.append(asyncio.create_task(pictures.get(wanted(width))))
        await asyncio.wait_for(worker.arrived.wait(), 10)
    with pytest.raises(TransformLater):
        await pictures.get(wanted(3))
    for each in asked:
        each.cancel()
    await asyncio.wait(asked)


async def test_failures_that_are_remembered_have_an_end(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    pictures = pictures_of(worker)
    worker.answer = ImageCorrupt()
    for width in range(1, 9):
        with pytest.raises(ImageCorrupt):
            await pictures.get(wanted(width))
    assert len(pictures._failed) == 3


async def test_one_that_was_removed_as_soon_as_it_was_made_is_asked_for_again(
    worker: Worker,
) -> None:
    pictures = pictures_of(worker)
    worker.answer = "fit-10x10.webp"

    original = module.find_object
    calls = 0

    async def find(store: ObjectStore, key: str) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            await store.delete([key])
        return await original(store, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "find_object", find)
        with pytest.raises(TransformLater):
            await pictures.get(wanted())
    assert (await pictures.get(wanted()))[1] == "webp"
