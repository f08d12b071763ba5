from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from infra.breaker import Breakers
from infra.object_store import StoreFull, open_store
from infra.object_store.local import LocalStore
from infra.settings import BreakerSettings, StoreSettings

KEY = "orgs/o1/blobs/b1"


async def one(data: bytes = b"x") -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
async def store(tmp_path: Path) -> LocalStore:
    opened = LocalStore(tmp_path / "objects")
    await opened.start()
    return opened


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_below_the_disk_reserve_nothing_is_taken(tmp_path: Path) -> None:
    settings = StoreSettings(folder=tmp_path)
    store = open_store(settings, Breakers(None, BreakerSettings()), free_disk=1 << 62)
    await store.start()
    with pytest.raises(StoreFull):
        await store.write(KEY, one(), media_type="a/b", limit=10)
    with pytest.raises(StoreFull):
        await store.write_file(KEY, Path(__file__), media_type="a/b")
    with pytest.raises(StoreFull):
        await store.check()
    assert files(tmp_path) == []


async def test_a_disk_that_fills_while_writing_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull):
        await store.write(KEY, one(), media_type="a/b", limit=10)
    assert files(tmp_path) == []


async def test_bytes_and_name_are_synced_before_a_write_returns(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    await store.write(KEY, one(), media_type="a/b", limit=10)
    path = store.local_path(KEY)
    assert path is not None
    assert "/.incoming/" in synced[0]
    # The folder of the file, and every folder that got a new folder in it.
    assert synced[1:] == [str(folder) for folder in list(path.parents)[:4]]


async def test_folders_are_synced_again_once_they_are_others(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)

    async def write(name: str) -> list[str]:
        synced.clear()
        await store.write(f"orgs/o1/blobs/{name}", one(), media_type="a/b", limit=10)
        return synced[1:]

    every = ["blobs+", "o1+", "orgs+", "objects"]
    assert await write("a") == every
    assert await write("b") == ["blobs+"]
    # Another process takes the folder away with its last object, and it is made anew.
    other = LocalStore(tmp_path / "objects")
    await other.delete(["orgs/o1/blobs/a", "orgs/o1/blobs/b"])
    assert not (tmp_path / "objects" / "orgs+").exists()
    assert await write("c") == every
    assert await write("d") == ["blobs+"]
    await store.close()
    assert await write("e") == every


async def test_no_more_folders_are_kept_open_than_are_worth_it(store: LocalStore) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(100):
        await store.write(f"orgs/o{number}/blobs/a", one(), media_type="a/b", limit=10)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 64
    await store.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


async def test_the_path_of_a_key_holds_its_bytes(store: LocalStore) -> None:
    await store.write(KEY, one(b"abc"), media_type="a/b", limit=10)
    path = store.local_path(KEY)
    assert path is not None
    assert path.read_bytes() == b"abc"


async def test_what_a_killed_writer_left_is_swept_and_what_lives_is_not(
    store: LocalStore, tmp_path: Path
) -> None:
    incoming = tmp_path / "objects" / ".incoming"
    dead, living, fresh = (incoming / name for name in ("dead", "living", "fresh"))
    for path in (dead, living, fresh):
        path.write_bytes(b"half")
    long_ago = time.time() - 3600
    os.utime(dead, (long_ago, long_ago))
    os.utime(living, (long_ago, long_ago))
    with living.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await LocalStore(tmp_path / "objects").start()
    assert sorted(files(incoming)) == [fresh, living]


async def test_empty_folders_go_with_the_last_object(store: LocalStore, tmp_path: Path) -> None:
    await store.write(KEY, one(), media_type="a/b", limit=10)
    await store.delete([KEY])
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [".incoming"]


async def test_writing_beside_deleting_never_loses_the_folder(store: LocalStore) -> None:
    async def write(key: str) -> None:
        for _ in range(60):
            await store.write(key, one(), media_type="a/b", limit=10)
            await store.delete([key])

    await asyncio.gather(*(write(f"orgs/o1/blobs/w{n}") for n in range(4)))


async def test_a_store_whose_folder_is_gone_fails_its_check(
    store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        await store.check()


async def test_the_loop_turns_while_a_large_object_is_written(store: LocalStore) -> None:
    data = bytes(1024 * 1024)

    async def many() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield data

    task = asyncio.ensure_future(store.write(KEY, many(), media_type="a/b", limit=1 << 40))
    worst = 0.0
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(0)
        worst = max(worst, time.perf_counter() - before)
    await task
    assert worst < 0.25
