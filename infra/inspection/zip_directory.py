"""The central directory of a ZIP, read within bounds and believed in nothing.

The standard library's reader takes a directory of any size into memory, and neither looks for
entries that share bytes nor for headers that contradict one another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from infra.inspection.results import FileRejected

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_COMMENT_BYTES = 65_535
_DIRECTORY_BYTES = 64 * 1024 * 1024
_SATURATED = {0xFFFF, 0xFFFFFFFF}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder. ``start`` to ``end`` are where its header and bytes lie."""

    name: str
    method: int
    encrypted: bool
    crc: int
    packed: int
    unpacked: int
    mode: int
    start: int
    data: int
    end: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def corrupt(why: str) -> FileRejected:
    return FileRejected("asset.archive_corrupt", f"The ZIP is damaged: {why}.")


def read_directory(file: BinaryIO, size: int, most: int) -> list[Entry]:
    """Every entry, in the order of the directory.

    Raises FileRejected when there are more than ``most``, and when the directory or a header
    of an entry is not as it says. Where entries overlap is not looked at.
    """
    count, length, start = _find(file, size)
    if count > most:
        raise FileRejected(
            "asset.archive_too_large", f"The ZIP has {count:,} entries; it may have {most:,}."
        )
    if length > _DIRECTORY_BYTES:
        raise FileRejected("asset.archive_too_large", "The ZIP's directory is too long.")
    if length < count * _ENTRY.size:
        raise corrupt("its directory is shorter than its entries")
    file.seek(start)
    directory = file.read(length)
    entries = list(_entries(file, directory, count, start))
    if len(directory) != length:
        raise corrupt("its directory is cut off")
    return entries


def _find(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Number of entries, bytes and place of the directory."""
    tail = min(size, _END.size + _COMMENT_BYTES)
    file.seek(size - tail)
    end = file.read(tail)
    at = end.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + _END.size <= tail:
            fields = _END.unpack_from(end, at)
            # The one whose comment ends with the file: others may be in the comment.
            if at + _END.size + fields[7] == tail:
                break
        at = end.rfind(b"PK\x05\x06", 0, at)
    else:
        raise corrupt("it has no directory, or is cut off")
    _, disk, first_disk, here, count, length, start, _ = fields
    place = size - tail + at
    if _SATURATED & {here, count, length, start}:
        count, length, start, place = _find64(file, place) or (count, length, start, place)
    elif disk or first_disk or here != count:
        raise corrupt("it is one part of several")
    if start + length != place:
        raise corrupt("its directory is not where it says")
    return count, length, start


def _find64(file: BinaryIO, end: int) -> tuple[int, int, int, int] | None:
    if end < _LOCATOR64.size:
        return None
    file.seek(end - _LOCATOR64.size)
    magic, _, place, _ = _LOCATOR64.unpack(file.read(_LOCATOR64.size))
    if magic != b"PK\x06\x07":
        return None
    record = b""
    if place + _END64.size <= end:
        file.seek(place)
        record = file.read(_END64.size)
    if record[:4] != b"PK\x06\x06":
        raise corrupt("its ZIP64 directory is not where it says")
    _, _, _, _, disk, first_disk, here, count, length, start = _END64.unpack(record)
    if disk or first_disk or here != count:
        raise corrupt("it is one part of several")
    return count, length, start, place


def _entries(file: BinaryIO, directory: bytes, count: int, start: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory) or directory[at : at + 4] != b"PK\x01\x02":
            raise corrupt("its directory has fewer entries than it says")
        fields = _ENTRY.unpack_from(directory, at)
        flags, method, crc = fields[5], fields[6], fields[9]
        packed, unpacked, names, extras, comments = fields[10:15]
        attributes, place = fields[17], fields[18]
        at += _ENTRY.size
        raw = directory[at : at + names]
        extra = directory[at + names : at + names + extras]
        at += names + extras + comments
        packed, unpacked, place = _wide(extra, unpacked, packed, place)
        data = _data_of(file, place, raw, start)
        if data + packed > start:
            raise corrupt("an entry reaches past the end of the entries")
        yield Entry(
            name=_name(raw, flags),
            method=method,
            encrypted=bool(flags & 0x2041),
            crc=crc,
            packed=packed,
            unpacked=unpacked,
            mode=attributes >> 16,
            start=place,
            data=data,
            end=data + packed,
        )


def _wide(extra: bytes, unpacked: int, packed: int, place: int) -> tuple[int, int, int]:
    """Sizes and place as ZIP64 says them, where 32 bits do not hold them."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind != 1:
            continue
        numbers = [value[0] for value in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
        told = iter(numbers)
        try:
            unpacked = next(told) if unpacked == 0xFFFFFFFF else unpacked
            packed = next(told) if packed == 0xFFFFFFFF else packed
            place = next(told) if place == 0xFFFFFFFF else place
        except StopIteration:
            raise corrupt("an entry's ZIP64 sizes are missing") from None
        break
    return packed, unpacked, place


def _data_of(file: BinaryIO, place: int, name: bytes, end: int) -> int:
    """Where an entry's bytes begin, after its local header, which must be there and agree."""
    if place + _LOCAL.size > end:
        raise corrupt("an entry is not where the directory says")
    file.seek(place)
    header = file.read(_LOCAL.size + len(name))
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise corrupt("an entry is not where the directory says")
    names, extras = _LOCAL.unpack_from(header)[9:11]
    if header[_LOCAL.size :] != name or names != len(name):
        raise corrupt("an entry has another name than the directory says")
    return int(place + _LOCAL.size + names + extras)


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8" if flags & 0x800 else "cp437", "replace").replace("\\", "/")
