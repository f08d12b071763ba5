"""Whether a ZIP is safe to unpack, and whether it is an HTML5 ad. Nothing is written."""

from __future__ import annotations

import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import BinaryIO

from infra.inspection.results import ArchiveLimits, Facts, FileRejected
from infra.inspection.zip_directory import Entry, corrupt, read_directory

_STORED, _DEFLATED = 0, 8
_HARMLESS_BYTES = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_PAGE_BYTES = 256 * 1024
_PAGES = 20
_SIDE = 10_000
_PAGE_NAME = re.compile(r"[^/]+\.html?", re.IGNORECASE)
_SIZE = re.compile(r"\s*width\s*=\s*(\d{1,5})\s*[,;]\s*height\s*=\s*(\d{1,5})\s*", re.IGNORECASE)
_PROGRAMS = {
    "AndroidManifest.xml": "an Android app",
    "classes.dex": "an Android app",
    "META-INF/MANIFEST.MF": "a Java archive",
    "AppxManifest.xml": "a Windows app",
}


def inspect_zip(path: Path, limits: ArchiveLimits) -> Facts:
    """Entries, the bytes they unpack to, and the size of the ad, if it is one.

    Every deflated or stored entry is unpacked in memory and compared with what its header
    says; archives within the archive are not looked into. Raises FileRejected.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        entries = read_directory(file, size, limits.entries)
        _check_names(entries)
        _check_places(entries)
        unpacked = sum(entry.unpacked for entry in entries)
        _check_size(unpacked, size, limits)
        pages = _unpacked_pages(file, entries)
    facts = Facts(entries=len(entries), unpacked_bytes=unpacked)
    return _as_ad(facts, pages) if pages else facts


def _check_names(entries: list[Entry]) -> None:
    seen = set()
    for entry in entries:
        name = entry.name
        if name in _PROGRAMS:
            raise FileRejected("asset.type_forbidden", f"This is {_PROGRAMS[name]}.")
        why = None
        if not name or "\x00" in name:
            why = "has no name, or one with a NUL in it"
        elif name.startswith("/") or re.match("[A-Za-z]:", name):
            why = "has an absolute path"
        elif ".." in name.split("/"):
            why = "has a path that leads out of its folder"
        elif stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            why = "is a link or a device"
        elif name in seen:
            why = "is there twice, so that programs would unpack different files"
        if why is not None:
            shown = "".join(each if each.isprintable() else "?" for each in name[:80])
            raise FileRejected("asset.archive_unsafe", f"In the ZIP, {shown!r} {why}.")
        seen.add(name)


def _check_places(entries: list[Entry]) -> None:
    end = 0
    for entry in sorted(entries, key=lambda each: each.start):
        if entry.start < end:
            raise FileRejected(
                "asset.archive_bomb", "Entries of the ZIP share the same bytes, as bombs do."
            )
        end = entry.end


def _check_size(unpacked: int, size: int, limits: ArchiveLimits) -> None:
    if unpacked > _HARMLESS_BYTES and unpacked > size * limits.ratio:
        raise FileRejected(
            "asset.archive_bomb",
            f"The ZIP would unpack to {unpacked:,} bytes, more than {limits.ratio} times its "
            "own size.",
        )
    if unpacked > limits.bytes:
        raise FileRejected(
            "asset.archive_too_large",
            f"The ZIP unpacks to {unpacked:,} bytes; it may to {limits.bytes:,}.",
        )


def _unpacked_pages(file: BinaryIO, entries: list[Entry]) -> dict[str, bytes]:
    """The beginnings of the HTML files at the root, once every entry was read to its end."""
    pages: dict[str, bytes] = {}
    for entry in entries:
        if entry.encrypted or entry.is_folder or entry.method not in (_STORED, _DEFLATED):
            continue
        page = bytearray()
        wanted = len(pages) < _PAGES and _PAGE_NAME.fullmatch(entry.name) is not None
        length = crc = 0
        for chunk in _unpacked(file, entry):
            length += len(chunk)
            if length > entry.unpacked:
                raise FileRejected(
                    "asset.archive_bomb", "An entry of the ZIP unpacks to more than it says."
                )
            crc = zlib.crc32(chunk, crc)
            if wanted and len(page) < _PAGE_BYTES:
                page += chunk[: _PAGE_BYTES - len(page)]
        if length != entry.unpacked or crc != entry.crc:
            raise corrupt("an entry is not what its checksum says")
        if wanted:
            pages[entry.name] = bytes(page)
    return pages


def _unpacked(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    file.seek(entry.data)
    left = entry.packed
    inflating = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == _DEFLATED else None
    while left > 0:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise corrupt("an entry is cut off")
        left -= len(chunk)
        if inflating is None:
            yield chunk
            continue
        while chunk:
            try:
                yield inflating.decompress(chunk, _CHUNK)
            except zlib.error:
                raise corrupt("an entry cannot be unpacked") from None
            chunk = inflating.unconsumed_tail
    if inflating is not None:
        while rest := inflating.decompress(inflating.unconsumed_tail, _CHUNK):
            yield rest
        if not inflating.eof:
            raise corrupt("an entry is cut off")


def _as_ad(facts: Facts, pages: dict[str, bytes]) -> Facts:
    """The facts of an HTML5 ad, where a page at the root makes it one."""
    first = sorted(pages, key=lambda name: (name.lower() not in ("index.html", "index.htm"), name))
    index = first[0].lower() in ("index.html", "index.htm")
    for name in first:
        if (size := _ad_size(pages[name])) is not None:
            return replace(facts, html5=True, width=size[0], height=size[1])
    return replace(facts, html5=index)


def _ad_size(page: bytes) -> tuple[int, int] | None:
    """What ``<meta name="ad.size">`` says, as (width, height) in CSS pixels."""
    reader = _MetaReader()
    reader.feed(page.decode("utf-8", "replace"))
    found = _SIZE.fullmatch(reader.size or "")
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    return (width, height) if 0 < width <= _SIDE and 0 < height <= _SIDE else None


class _MetaReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.size: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "meta" and (given.get("name") or "").strip().lower() == "ad.size":
            self.size = self.size or given.get("content")

    handle_startendtag = handle_starttag
