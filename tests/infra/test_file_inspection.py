"""Files looked into by processes that hostile bytes may take down."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from infra.inspection import Facts, FileRejected, Inspector
from infra.settings import AssetSettings
from tests.infra import files


async def facts(
    data: bytes, media_type: str, folder: Path, settings: AssetSettings | None = None
) -> Facts:
    path = folder / "original"
    path.write_bytes(data)
    return await Inspector(settings or AssetSettings()).inspect(path, media_type)


FONT = Facts(font_family=files.FAMILY, font_style=files.STYLE)


@pytest.mark.parametrize(
    ("data", "media_type", "found"),
    [
        (files.font(), "font/ttf", FONT),
        (files.font("woff2"), "font/woff2", FONT),
        (files.font_collection(), "font/collection", FONT),
        (files.pdf(3), "application/pdf", Facts(pages=3, width=200, height=100)),
        (files.pdf(1, rotated=90), "application/pdf", Facts(pages=1, width=100, height=200)),
        (files.pdf(password="x"), "application/pdf", Facts()),
        (files.wav(1.5), "audio/wav", Facts(duration=1.5)),
        (files.mp4(640, 360, 2500), "video/mp4", Facts(width=640, height=360, duration=2.5)),
        (files.zipped({"a": "b"}), "application/zip", Facts(entries=1, unpacked_bytes=1)),
        (
            b"BM" + bytes(12) + struct.pack("<L2l", 40, 7, -9) + bytes(20),
            "image/bmp",
            Facts(width=7, height=9),
        ),
        (
            b"\x00\x00\x01\x00\x02\x00" + b"\x10\x10".ljust(16, b"\x00") + bytes(16),
            "image/vnd.microsoft.icon",
            Facts(width=256, height=256),
        ),
        (
            b"8BPS\x00\x01" + bytes(8) + struct.pack(">2L", 30, 40),
            "image/vnd.adobe.photoshop",
            Facts(width=40, height=30),
        ),
        (b"words", "text/plain", Facts()),
    ],
)
async def test_a_file_tells_its_facts(
    data: bytes, media_type: str, found: Facts, tmp_path: Path
) -> None:
    assert await facts(data, media_type, tmp_path) == found


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (files.font()[:200], "font/ttf"),
        (b"wOF2" + bytes(100), "font/woff2"),
        (b"\x00\x01\x00\x00\xff\xff" + b"\xff" * 500, "font/ttf"),
        (files.pdf()[:-200], "application/pdf"),
        (b"%PDF-1.7\n" + bytes(99), "application/pdf"),
        (b"\xff\xfb\x90\x64" + bytes(99), "audio/mpeg"),
        (b"BM", "image/bmp"),
        (b"8BPS\x00\x01" + bytes(8) + b"\xff" * 8, "image/vnd.adobe.photoshop"),
    ],
)
async def test_what_is_broken_has_no_facts_and_is_no_failure(
    data: bytes, media_type: str, tmp_path: Path
) -> None:
    found = await facts(data, media_type, tmp_path)
    assert (found.font_family, found.width, found.html5) == (None, None, False)


async def test_a_pdf_whose_pages_go_in_circles_ends(tmp_path: Path) -> None:
    circle = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    circle += b"2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    settings = AssetSettings(inspect_timeout=20)
    assert (await facts(circle, "application/pdf", tmp_path, settings)).width is None


async def test_an_archive_is_only_good_once_it_was_looked_into(tmp_path: Path) -> None:
    data = files.zipped({"index.html": files.AD})
    with pytest.raises(FileRejected) as refusal:
        await facts(data, "application/zip", tmp_path, AssetSettings(inspect_timeout=0.001))
    assert refusal.value.code == "asset.inspection_timeout"
    with pytest.raises(FileRejected) as refusal:
        await facts(data, "application/zip", tmp_path, AssetSettings(archive_bytes=10))
    assert refusal.value.code == "asset.archive_too_large"


async def test_a_file_that_is_gone_is_no_finding(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Inspector(AssetSettings()).inspect(tmp_path / "none", "application/pdf")


async def test_a_film_that_refers_elsewhere_reaches_nothing(tmp_path: Path) -> None:
    calls = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for where in (f"http://127.0.0.1:{port}/a.mp4", "file:///etc/hostname"):
            film = files.mp4(640, 360, 1000, data_reference=where.encode())
            assert (await facts(film, "video/mp4", tmp_path)).width == 640
    assert calls == 0


async def test_when_cancelled_no_process_stays(tmp_path: Path) -> None:
    import psutil

    path = tmp_path / "original"
    path.write_bytes(files.pdf())
    before = set(psutil.Process().children())
    running = asyncio.create_task(Inspector(AssetSettings()).inspect(path, "application/pdf"))
    async with asyncio.timeout(30):
        while not set(psutil.Process().children()) - before:  # noqa: ASYNC110 - it begins elsewhere
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not set(psutil.Process().children()) - before
