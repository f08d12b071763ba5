"""ZIPs that are fine, ads among them; and ZIPs that are bombs, traps or broken."""

from __future__ import annotations

import io
import random
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from infra.inspection.archives import inspect_zip
from infra.inspection.results import ArchiveLimits, Facts, FileRejected
from tests.infra.files import AD, zipped

LIMITS = ArchiveLimits(entries=1000, bytes=1 << 34, ratio=100)


def looked_into(data: bytes, folder: Path, limits: ArchiveLimits = LIMITS) -> Facts:
    path = folder / "a.zip"
    path.write_bytes(data)
    return inspect_zip(path, limits)


def refused(data: bytes, folder: Path, limits: ArchiveLimits = LIMITS) -> str:
    with pytest.raises(FileRejected) as refusal:
        looked_into(data, folder, limits)
    assert refusal.value.detail
    return refusal.value.code


def member(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def directory_at(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
)
def test_a_plain_zip_has_its_facts(compression: int, tmp_path: Path) -> None:
    data = zipped({"a.txt": "x" * 500_000, "b/": "", "b/c.bin": bytes(7)}, compression=compression)
    assert looked_into(data, tmp_path) == Facts(entries=3, unpacked_bytes=500_007)


def test_empty_zip64_commented_and_streamed_zips_are_read(tmp_path: Path) -> None:
    assert looked_into(b"PK\x05\x06" + bytes(18), tmp_path) == Facts(entries=0, unpacked_bytes=0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = b"PK\x05\x06 in a comment" + bytes(40)
        with archive.open("big.bin", "w", force_zip64=True) as big:
            big.write(bytes(1000))
    assert looked_into(out.getvalue(), tmp_path).unpacked_bytes == 1000

    class Pipe(io.RawIOBase):
        """Not seekable: sizes are only told after the bytes."""

        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("a.txt", "words" * 100)
    assert looked_into(bytes(pipe.data), tmp_path).unpacked_bytes == 500


@pytest.mark.parametrize(
    ("members", "size"),
    [
        ({"index.html": AD}, (300, 250)),
        ({"banner.html": AD, "js/a.js": "x"}, (300, 250)),
        ({"z.html": "<p>", "index.html": AD.replace("300", "728")}, (728, 250)),
        ({"index.HTM": AD.upper()}, (300, 250)),
        ({"index.html": "<meta content='width = 160; height = 600' name=AD.SIZE />"}, (160, 600)),
        ({"index.html": "<p>no size"}, (None, None)),
        ({"index.html": "<meta name=ad.size content='width=0,height=9'>"}, (None, None)),
        ({"index.html": "<meta name=ad.size content='width=99999,height=9'>"}, (None, None)),
        ({"index.html": "<!-- " + AD + " -->"}, (None, None)),
        ({"index.html": b"\xff\xfe\x00broken <meta"}, (None, None)),
    ],
)
def test_a_zip_with_a_page_at_its_root_is_an_ad(
    members: dict[str, bytes | str], size: tuple[int | None, int | None], tmp_path: Path
) -> None:
    facts = looked_into(zipped(members), tmp_path)
    assert facts.html5
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize(
    "members",
    [
        {"site/index.html": AD},
        {"page.html": "<p>no ad"},
        {"index.html.txt": AD},
        {"index.html/a": AD},
        {"index.js": "x"},
    ],
)
def test_other_zips_are_no_ads(members: dict[str, bytes | str], tmp_path: Path) -> None:
    assert not looked_into(zipped(members), tmp_path).html5


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/etc/passwd",
        "..\\evil.txt",
        "\\\\server\\share",
        "C:\\windows\\evil.txt",
        "c:evil",
        "a/..",
    ],
)
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    assert refused(zipped({"fine.txt": "x", name: "x"}), tmp_path) == "asset.archive_unsafe"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(member("link", kind | 0o777), "/etc/passwd")
    assert refused(out.getvalue(), tmp_path) == "asset.archive_unsafe"


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", AD)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("index.html", "<p>another")
    assert refused(out.getvalue(), tmp_path) == "asset.archive_unsafe"


def test_programs_that_the_beginning_did_not_show_are_refused(tmp_path: Path) -> None:
    data = zipped({"big": random.Random(1).randbytes(99_000), "META-INF/MANIFEST.MF": "x"})
    assert refused(data, tmp_path) == "asset.type_forbidden"


def test_a_bomb_that_says_so_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    data = zipped({f"{number}": bytes(10_000_000) for number in range(8)})
    assert refused(data, tmp_path) == "asset.archive_bomb"
    assert refused(data, tmp_path, ArchiveLimits(1000, 70_000_000, 10_000)) == (
        "asset.archive_too_large"
    )
    assert refused(data, tmp_path, ArchiveLimits(7, 1 << 34, 10_000)) == "asset.archive_too_large"
    assert looked_into(data, tmp_path, ArchiveLimits(8, 1 << 34, 10_000)).entries == 8


def test_archives_within_the_archive_are_not_unpacked(tmp_path: Path) -> None:
    inner = zipped({"a": bytes(100_000_000)})
    assert looked_into(zipped({"inner.zip": inner}), tmp_path).unpacked_bytes == len(inner)


def test_entries_that_share_bytes_are_a_bomb(tmp_path: Path) -> None:
    data = zipped({"a": bytes(1000)})
    at = directory_at(data)
    entry = data[at : at + 47]
    # A second directory entry for the same local file, under a name of its own.
    body, end = data[:at], bytearray(data[at + 47 :])
    end[8:12] = struct.pack("<2H", 2, 2)
    end[12:16] = struct.pack("<L", 94)
    assert refused(body + entry + entry + bytes(end), tmp_path) == "asset.archive_unsafe"
    overlapping = overlapped()
    assert refused(overlapping, tmp_path) == "asset.archive_bomb"


def overlapped() -> bytes:
    """Two local headers, the second within the bytes of the first, as in a Fifield bomb."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = kernel.compress(bytes(5000)) + kernel.flush()
    crc = zlib.crc32(bytes(5000))

    def local(name: bytes, size: int, unpacked: int, method: int, crc: int) -> bytes:
        return (
            struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, method, 0, 0, crc, size, unpacked, 1, 0)
            + name
        )

    def central(name: bytes, size: int, unpacked: int, method: int, crc: int, at: int) -> bytes:
        return (
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\x01\x02",
                20,
                20,
                0,
                method,
                0,
                0,
                crc,
                size,
                unpacked,
                1,
                0,
                0,
                0,
                0,
                0,
                at,
            )
            + name
        )

    second = local(b"b", len(packed), 5000, 8, crc) + packed
    first = local(b"a", len(second), len(second), 0, zlib.crc32(second))
    body = first + second
    directory = central(b"a", len(second), len(second), 0, zlib.crc32(second), 0)
    directory += central(b"b", len(packed), 5000, 8, crc, len(first))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(body), 0)
    return body + directory + end


def test_an_entry_that_unpacks_to_more_than_it_says_is_a_bomb(tmp_path: Path) -> None:
    data = zipped({"a": bytes(5_000_000)})
    lying = changed(data, directory_at(data) + 24, struct.pack("<L", 10))
    assert refused(lying, tmp_path) == "asset.archive_bomb"


@pytest.mark.parametrize("cut", [1, 10, 22, 40, 200])
def test_a_zip_that_is_cut_off_is_broken(cut: int, tmp_path: Path) -> None:
    data = zipped({"a": random.Random(2).randbytes(300)})
    assert refused(data[:-cut], tmp_path) == "asset.archive_corrupt"


def test_lies_of_the_directory_are_found(tmp_path: Path) -> None:
    data = zipped({"a": "words", "b": "x"})
    at, end = directory_at(data), data.index(b"PK\x05\x06")
    lies = {
        "checksum": changed(data, at + 16, b"\x00\x00\x00\x00"),
        "size": changed(data, at + 24, struct.pack("<L", 6)),
        "packed past the end": changed(data, at + 20, struct.pack("<L", 1_000_000)),
        "place": changed(data, at + 42, struct.pack("<L", 3)),
        "place past the end": changed(data, at + 42, struct.pack("<L", 0xFFFFFFF0)),
        "name": changed(data, at + 46, b"z"),
        "more entries": changed(data, end + 8, struct.pack("<2H", 3, 3)),
        "disks": changed(data, end + 4, struct.pack("<2H", 1, 1)),
        "directory elsewhere": changed(data, end + 16, struct.pack("<L", 0)),
        "directory length": changed(data, end + 12, struct.pack("<L", 0xFFFFFF0)),
        "ZIP64 without its record": changed(data, end + 16, b"\xff\xff\xff\xff"),
        "sizes that ZIP64 does not say": changed(data, at + 20, b"\xff" * 8),
        "something before it": b"PK\x03\x04" + data,
        "broken stream": changed(data, 31, b"\xff\xff\xff"),
    }
    for lie, broken in lies.items():
        assert refused(broken, tmp_path) == "asset.archive_corrupt", lie


def test_a_zip64_record_that_lies_is_found(tmp_path: Path) -> None:
    data = zipped({"a": "words"})
    end = data.index(b"PK\x05\x06")
    directory = directory_at(data)

    def with64(count: int, length: int, start: int, place: int | None = None) -> bytes:
        record = struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start
        )
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end if place is None else place, 1)
        last = struct.pack(
            "<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0
        )
        return data[:end] + record + locator + last

    assert looked_into(with64(1, end - directory, directory), tmp_path).entries == 1
    many = with64(1 << 60, end - directory, directory)
    assert refused(many, tmp_path) == "asset.archive_too_large"
    for lie in (
        with64(1, 1 << 62, 0),
        with64(1, end - directory, (1 << 64) - 1),
        with64(1, 47, 0, place=(1 << 64) - 1),
    ):
        assert refused(lie, tmp_path) == "asset.archive_corrupt"


def test_what_is_encrypted_is_counted_and_not_read(tmp_path: Path) -> None:
    data = zipped({"index.html": AD})
    flagged = changed(changed(data, 6, b"\x01\x00"), directory_at(data) + 8, b"\x01\x00")
    facts = looked_into(flagged, tmp_path)
    assert (facts.entries, facts.html5) == (1, False)


def test_no_noise_takes_it_down(tmp_path: Path) -> None:
    data = zipped({"index.html": AD, "a/b.txt": "words" * 50, "c": bytes(300)})
    chance = random.Random(5)
    outcomes = set()
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            looked_into(bytes(broken), tmp_path)
            outcomes.add("fine")
        except FileRejected as refusal:
            outcomes.add(refusal.code)
    assert "asset.archive_corrupt" in outcomes
