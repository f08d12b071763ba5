"""What killed processes have left in the store is removed, and nothing that anybody needs."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bus import streams
from contracts.actor import Actor
from contracts.asset.commands import PresignUpload, RegisterAsset, SweepStore
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import new_id, now
from handlers.asset.handlers import Leftovers, Presigned, leftovers
from handlers.asset.rules import blob_key, incoming_key, past, rendition_key, stored_as
from handlers.asset.worker import leftover_commands, presigned_commands
from infra.staged_uploads import blob_of
from tests.handlers.asset.conftest import Library

ORG, OTHER = "org_01", "org_012"
ANN = Actor("usr_ann", org=ORG, role=Role.EDITOR)
DAY = 86400.0


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Walk:
    """The library, whose objects are as old as a test says."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.store = library.store
        table = library.handling.table
        swept = Leftovers(
            library.store,
            library.redis,
            orphaned=timedelta(days=9),
            abandoned=timedelta(days=2),
        )
        table |= leftover_commands(swept)
        table |= presigned_commands(Presigned(library.store, None, grace=0))
        library.handling._wires |= {(each.wire, each.wire_version): each for each in table}

    async def put(self, key: str, *, days: float = 10) -> str:
        await self.store.write(key, once(key.encode()), media_type="a/b", limit=1000)
        at = time.time() - days * DAY
        os.utime(self.store.local_path(key), (at, at))
        return key

    async def registered(self, *, days: float = 10) -> RegisterAsset:
        """A command by which bytes that are stored would become an asset."""
        blob = new_id("blb")
        await self.put(blob_key(ORG, blob), days=days)
        return RegisterAsset(
            blob_id=blob,
            name="a",
            media_type="a/b",
            kind="other",
            bytes=3,
            sha256=os.urandom(32).hex(),
        )

    async def sweep(self) -> list[str]:
        await self.library.do(SweepStore())
        return await self.library.run_sent()


@pytest.fixture
def walk(library: Library) -> Walk:
    return Walk(library)


async def test_old_bytes_that_nobody_registered_are_removed(walk: Walk) -> None:
    for org in (ORG, OTHER):
        await walk.put(blob_key(org, new_id("blb")))
        await walk.put(incoming_key(org, new_id("upl")))
    young = await walk.put(blob_key(ORG, new_id("blb")), days=8)
    command = await walk.registered()
    await walk.library.do(command, ANN)
    await walk.library.run_sent()
    rendition = await walk.put(rendition_key(ORG, command.blob_id, "320.webp"))
    elsewhere = await walk.put("staged/x/y/info")
    await walk.sweep()
    kept = {young, blob_key(ORG, command.blob_id), rendition, elsewhere}
    assert set(await walk.library.stored()) == kept


async def test_bytes_that_something_waiting_names_are_kept(walk: Walk) -> None:
    waiting, dead, lost = [await walk.registered() for _ in range(3)]
    envelope = Envelope.of_command(waiting, source="/grid8/tests", actor=ANN)
    await walk.library.publisher.publish([envelope])
    redis: Any = walk.library.redis
    await redis.xadd(
        streams.dead("asset"), {"__data__": b"\x89BIN" + dead.model_dump_json().encode()}
    )
    await walk.library.do(SweepStore())
    kept = {blob_key(ORG, each.blob_id) for each in (waiting, dead)}
    assert set(await walk.library.stored()) == kept
    assert blob_key(ORG, lost.blob_id) not in kept


async def test_while_too_much_waits_nothing_is_removed(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await walk.put(blob_key(ORG, new_id("blb")))
    monkeypatch.setattr(leftovers, "WAITING", 2)
    redis: Any = walk.library.redis
    for _ in range(3):
        await redis.xadd(streams.dead("asset"), {"x": "y"})
    await walk.sweep()
    assert len(await walk.library.stored()) == 1
    await redis.delete(streams.dead("asset"))
    await walk.sweep()
    assert await walk.library.stored() == []


async def test_bytes_of_a_presigned_upload_under_way_are_kept(walk: Walk) -> None:
    upload, blob = new_id("upl"), new_id("blb")
    begin = PresignUpload(
        filename="a", bytes=3, upload_id=upload, blob_id=blob, multipart_id="m", expires_at=now()
    )
    await walk.library.do(begin, ANN)
    kept = {await walk.put(blob_key(ORG, blob)), await walk.put(incoming_key(ORG, upload))}
    await walk.put(incoming_key(ORG, new_id("upl")))
    await walk.sweep()
    assert set(await walk.library.stored()) == kept


async def test_bytes_of_a_resumable_upload_that_is_not_forgotten_are_kept(walk: Walk) -> None:
    upload = new_id("upl")
    key = blob_key(ORG, blob_of(upload))
    await walk.store.staging().create(ORG, upload, key, {}, limit=10)
    await walk.put(key)
    await walk.sweep()
    assert key in await walk.library.stored()
    await walk.store.staging().remove(ORG, upload)
    await walk.put(key)
    await walk.sweep()
    assert key not in await walk.library.stored()


async def test_a_walk_goes_on_where_it_stopped_until_it_has_seen_all(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LOOKED_AT", 3)
    monkeypatch.setattr(leftovers, "COST_OF_A_JUMP", 2)
    kept = set()
    for org in ("org_a", "org_a-", "org_a0", "org_b"):
        for _ in range(4):
            await walk.put(blob_key(org, new_id("blb")))
            kept.add(await walk.put(rendition_key(org, new_id("blb"), "a.webp")))
        kept.add(await walk.put(f"orgs/{org}/zoo"))
        await walk.put(incoming_key(org, new_id("upl")))
    types = await walk.sweep()
    assert len(types) > 5
    assert set(types) == {SweepStore.wire}
    assert set(await walk.library.stored()) == kept


@pytest.mark.parametrize("after", ["", "orgs/o1", "orgs/o1/a", "orgs/o1/b/1", "orgs/o10", "p", "z"])
async def test_a_list_begins_after_any_text(library: Library, after: str) -> None:
    keys = ["orgs/o1", "orgs/o1/a", "orgs/o1/b/1", "orgs/o1/b/2", "orgs/o1-x/a", "orgs/o2/a", "p/q"]
    for key in keys:
        await library.store.write(key, once(b"x"), media_type="a/b", limit=1)
    found = [stat.key async for stat in library.store.list("", after=after)]
    assert found == [key for key in sorted(keys) if key > after]


def test_only_what_came_by_an_upload_is_looked_at() -> None:
    assert stored_as("orgs/o/blobs/b") == "b"
    assert stored_as("orgs/o/incoming/u") == "u"
    for key in ("orgs/o/renditions/b/1/a.webp", "orgs/o/blobs", "orgs/o/blobs/b/c", "blobs/b"):
        assert stored_as(key) is None
    assert past("orgs/o/renditions/b/1/a") == "orgs/o/renditions0"
