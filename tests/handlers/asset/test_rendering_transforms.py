"""Pictures made of pictures: rendered once however many ask, kept within bounds, gone with their original."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bus.handling import Handling
from contracts import sealed
from contracts.asset.commands import RenderTransform, SweepBlob
from contracts.asset.transforms import Transform
from contracts.types import new_id
from handlers.asset.documents import Blob
from handlers.asset.handlers import Blobs, Transforms
from handlers.asset.handlers import transforms as module
from handlers.asset.rules import blob_key, transform_prefix
from infra.breaker import DependencyUnavailable
from infra.images import ImageRejected, Wanted
from infra.object_store import ObjectStore
from infra.render_notes import RenderNotes
from tests.bus.desk import Desk, desk
from tests.infra.s3_servers import moto_server
from tests.infra.stores import chunks, local_settings, make_bucket, opened_store, s3_settings

ORG = "org_acme"


@dataclass
class Pictures:
    """Stands in for the pipeline, whose own tests are in tests/infra."""

    rendered: list[Wanted] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    fails: Exception | None = None

    async def transform(self, source: Path, into: Path, wanted: Wanted) -> str:
        self.rendered.append(wanted)
        self.begun.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        into.write_bytes(source.read_bytes() + wanted.format.encode())
        clear = source.read_bytes().startswith(b"clear")
        return {"still": "png" if clear else "jpeg"}.get(wanted.format, wanted.format)


@dataclass
class Studio(Desk):
    """Asset's desk for pictures, and a second worker beside it."""

    store: ObjectStore
    pictures: Pictures
    transforms: Transforms

    async def original(self, data: bytes = b"original", org: str = ORG) -> str:
        blob = new_id("blb")
        await self.store.write(
            blob_key(org, blob), chunks(data), media_type="image/png", limit=1000
        )
        await Blob(
            id=blob,
            organization_id=org,
            sha256=os.urandom(32).hex(),
            bytes=len(data),
            media_type="image/png",
        ).insert()
        return blob

    async def made(self, blob: str) -> list[str]:
        """What is stored, in the order in which it was made."""
        prefix = transform_prefix(ORG, blob)
        found = [stat async for stat in self.store.list(prefix)]
        found.sort(key=lambda stat: stat.modified)
        return [stat.key.removeprefix(prefix) for stat in found]

    def second(self) -> Studio:
        """Another worker, with the same servers and its own memory."""
        transforms = replace(
            self.transforms,
            notes=RenderNotes(self.redis, pause=30),
            _running={},
        )
        handling = Handling(
            "asset",
            table_of(transforms, self.store),
            committer=self.committer,
            publisher=self.publisher,
            database=self.database,
        )
        return replace(self, handling=handling, transforms=transforms)


def table_of(transforms: Transforms, store: ObjectStore) -> Any:
    return {
        RenderTransform: transforms.render_transform,
        SweepBlob: Blobs(store).sweep_blob,
    }


def ask(blob: str, *, format_: str = "webp", width: int = 100, **more: Any) -> RenderTransform:
    return RenderTransform.model_validate(
        {
            "organization_id": ORG,
            "blob_id": blob,
            "transform": {"mode": "fit", "width": width, "height": 50, **more},
            "format": format_,
        }
    )


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(params=["local", "s3"])
async def studio(
    request: pytest.FixtureRequest,
    mongo_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Studio]:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    if request.param == "local":
        settings = local_settings(tmp_path / "objects")
    else:
        url = request.getfixturevalue("s3_url")
        await make_bucket(url)
        settings = s3_settings(url)
    pictures = Pictures()
    pictures.gate.set()
    async with opened_store(settings) as store:
        transforms = Transforms(store, pictures, None, kept=3)  # type: ignore[arg-type]
        table = table_of(transforms, store)
        async with desk("asset", table, mongo_url=mongo_url, redis_url=redis_url, logical=4) as at:
            transforms.notes = RenderNotes(at.redis, pause=30)
            yield Studio(
                at.domain,
                at.redis,
                at.database,
                at.publisher,
                at.committer,
                at.handling,
                store,
                pictures,
                transforms,
            )


LOCAL = pytest.mark.parametrize("studio", ["local"], indirect=True)


async def test_a_picture_is_rendered_once_and_found_from_then_on(studio: Studio) -> None:
    blob = await studio.original()
    first = await studio.do(ask(blob))
    assert first == {
        "key": f"orgs/{ORG}/transforms/{blob}/1/fit-100x50.webp",
        "format": "webp",
    }
    assert await studio.do(ask(blob)) == first
    assert await studio.second().do(ask(blob)) == first
    assert len(studio.pictures.rendered) == 1
    async with studio.store.read(first["key"]) as read:
        assert b"".join([chunk async for chunk in read]) == b"originalwebp"


async def test_every_difference_has_a_key_of_its_own(studio: Studio) -> None:
    studio.transforms.kept = 100
    blob = await studio.original()
    asked = [
        ask(blob),
        ask(blob, width=101),
        ask(blob, format_="avif"),
        ask(blob, format_="jpeg"),
        ask(blob, format_="png"),
        ask(blob, format_="still"),
        ask(blob, quality=5),
        ask(blob, moving=True),
        ask(blob, mode="fill", gravity="attention"),
        ask(blob, mode="fill", gravity="top"),
        ask(blob, mode="crop", region="1,2,3,4"),
        ask(blob, mode="crop", region="12,3,4,5"),
    ]
    keys = {(await studio.do(each))["key"] for each in asked}
    assert len(keys) == len(asked) == len(studio.pictures.rendered)


async def test_what_may_be_transparent_is_found_whichever_it_became(studio: Studio) -> None:
    for data, format_ in ((b"clear", "png"), (b"opaque", "jpeg")):
        blob = await studio.original(data)
        # A picture that was asked for as JPEG, on white, never stands for it.
        for explicit in ("jpeg", "png"):
            await studio.do(ask(blob, format_=explicit))
        before = len(studio.pictures.rendered)
        for _ in range(2):
            assert (await studio.do(ask(blob, format_="still")))["format"] == format_
        assert len(studio.pictures.rendered) == before + 1


async def test_a_stampede_upon_two_workers_renders_once(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.gate.clear()
    workers = (studio, studio.second())
    asked = [asyncio.create_task(worker.do(ask(blob))) for worker in workers for _ in range(20)]
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    studio.pictures.gate.set()
    answers = await asyncio.gather(*asked)
    assert len(studio.pictures.rendered) == 1
    assert all(answer == answers[0] for answer in answers)


async def test_a_failure_is_told_to_all_and_not_tried_again_for_a_while(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.fails = ImageRejected("asset.image_corrupt", "It ends too early.")
    studio.pictures.gate.clear()
    workers = (studio, studio.second())
    asked = [
        asyncio.create_task(worker.code_of(ask(blob))) for worker in workers for _ in range(10)
    ]
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    studio.pictures.gate.set()
    assert set(await asyncio.gather(*asked)) == {"asset.image_corrupt"}
    assert await studio.code_of(ask(blob)) == "asset.image_corrupt"
    assert len(studio.pictures.rendered) == 1
    assert await studio.made(blob) == []
    # Another of the same picture is another matter, and so is the same one later.
    studio.pictures.fails = None
    assert await studio.code_of(ask(blob, width=99)) == "done"
    for key in await studio.redis.keys("*picture*"):
        await studio.redis.delete(key)
    assert await studio.code_of(ask(blob)) == "done"


@LOCAL
async def test_a_mistake_of_ours_is_no_dead_letter_and_no_storm(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.fails = RuntimeError("rendering failed:\nTraceback …")
    for _ in range(3):
        assert await studio.code_of(ask(blob)) == "asset.image_failed"
    assert len(studio.pictures.rendered) == 1
    assert await studio.dead() == []


async def test_only_so_many_are_kept_and_the_oldest_go(studio: Studio) -> None:
    blob = await studio.original()
    other = await studio.original()
    await studio.do(ask(other))
    for width in (1, 2, 3, 4, 5):
        await studio.do(ask(blob, width=width))
        # S3 tells times by the second: the order of what one second has made is its own.
        assert f"1/fit-{width}x50.webp" in await studio.made(blob)
    assert len(await studio.made(blob)) == 3
    assert len(await studio.made(other)) == 1


@LOCAL
async def test_the_longest_made_go_first(studio: Studio) -> None:
    blob = await studio.original()
    for width in (1, 2, 3, 4, 5):
        await studio.do(ask(blob, width=width))
    assert await studio.made(blob) == [f"1/fit-{width}x50.webp" for width in (3, 4, 5)]


async def test_they_go_with_their_original(studio: Studio) -> None:
    blob, other = await studio.original(), await studio.original()
    await studio.do(ask(blob))
    await studio.do(ask(other))
    found = await Blob.get(blob)
    assert found is not None
    await found.delete()
    await studio.do(SweepBlob(organization_id=ORG, blob_id=blob))
    assert await studio.made(blob) == []
    assert len(await studio.made(other)) == 1
    assert await studio.code_of(ask(blob)) == "asset.file_not_found"


async def test_one_made_while_its_original_went_does_not_stay(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.gate.clear()
    asked = asyncio.create_task(studio.code_of(ask(blob)))
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    found = await Blob.get(blob)
    assert found is not None
    await found.delete()
    studio.pictures.gate.set()
    assert await asked == "asset.file_not_found"
    assert await studio.run_sent() == ["asset.blob.sweep"]
    left = [stat.key async for stat in studio.store.list("")]
    assert not [key for key in left if blob in key]


@LOCAL
async def test_nobody_makes_pictures_of_another_organizations_original(studio: Studio) -> None:
    blob = await studio.original(org="org_other")
    assert await studio.code_of(ask(blob)) == "asset.file_not_found"
    assert studio.pictures.rendered == []


async def test_bytes_that_are_gone_are_told_of(studio: Studio) -> None:
    blob = await studio.original()
    await studio.store.delete([blob_key(ORG, blob)])
    assert await studio.code_of(ask(blob)) == "asset.bytes_missing"


@LOCAL
async def test_a_store_that_is_away_is_told_of_at_once_and_the_next_may_have_luck(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = await studio.original()

    async def away(*_: Any, **__: Any) -> None:
        raise DependencyUnavailable("s3", 3.0)

    with monkeypatch.context() as patch:
        patch.setattr(studio.store, "write_file", away)
        assert await studio.code_of(ask(blob)) == "asset.transform_later"
    assert await studio.code_of(ask(blob)) == "done"


@LOCAL
async def test_many_at_once_leave_room_for_others_and_all_are_made(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 2)
    studio.transforms.kept = 100
    blob = await studio.original()
    studio.pictures.gate.clear()
    asked = [asyncio.create_task(studio.do(ask(blob, width=width))) for width in range(1, 9)]
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    assert len(studio.pictures.rendered) <= 2
    studio.pictures.gate.set()
    answers = await asyncio.gather(*asked)
    assert len({answer["key"] for answer in answers}) == len(studio.pictures.rendered) == 8


@LOCAL
async def test_a_rendering_outlives_who_asked_for_it(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.gate.clear()
    first = asyncio.create_task(studio.do(ask(blob)))
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(studio.do(ask(blob)))
    studio.pictures.gate.set()
    assert (await second)["format"] == "webp"
    assert len(studio.pictures.rendered) == 1


@LOCAL
async def test_a_worker_that_stops_leaves_the_picture_to_the_next(studio: Studio) -> None:
    blob = await studio.original()
    studio.pictures.gate.clear()
    asked = asyncio.create_task(studio.do(ask(blob)))
    await asyncio.wait_for(studio.pictures.begun.wait(), 15)
    asked.cancel()
    await asyncio.wait([asked])
    await studio.transforms.close()
    studio.pictures.gate.set()
    assert (await studio.second().do(ask(blob)))["format"] == "webp"
    assert len(studio.pictures.rendered) == 2


def test_a_transform_says_its_region_in_numbers() -> None:
    transform = Transform(mode="crop", width=1, height=1, region="1,2,30,40")
    assert transform.box == (1, 2, 30, 40)
