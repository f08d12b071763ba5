"""Small real files of many kinds, made by the libraries that make them elsewhere."""

from __future__ import annotations

import io
import struct
import wave
import zipfile
from typing import Any

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from pypdf import PdfWriter

FAMILY, STYLE = "Grid Sans", "Bold Italic"


def font(flavor: str | None = None, *, cff: bool = False) -> bytes:
    """A font of one glyph: TTF or OTF, as it is or as ``woff`` or ``woff2``."""
    builder = FontBuilder(1000, isTTF=not cff)
    builder.setupGlyphOrder([".notdef"])
    builder.setupCharacterMap({})
    if cff:
        pen = T2CharStringPen(500, None)
        builder.setupCFF("GridSans", {}, {".notdef": pen.getCharString()}, {})
    else:
        builder.setupGlyf({".notdef": TTGlyphPen(None).glyph()})
    builder.setupHorizontalMetrics({".notdef": (500, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": FAMILY, "styleName": STYLE})
    builder.setupOS2()
    builder.setupPost()
    builder.font.flavor = flavor
    out = io.BytesIO()
    builder.save(out)
    return out.getvalue()


def font_collection() -> bytes:
    collection, out = TTCollection(), io.BytesIO()
    collection.fonts = [TTFont(io.BytesIO(font())) for _ in range(2)]
    collection.save(out)
    return out.getvalue()


def pdf(pages: int = 3, *, password: str | None = None, rotated: int = 0) -> bytes:
    """Pages of 200 × 100 points."""
    writer, out = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(200, 100).rotate(rotated)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def wav(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8000)
        made.writeframes(bytes(int(16_000 * seconds)))
    return out.getvalue()


def box(kind: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">L", len(body) + 8) + kind + body


def mp4(
    width: int, height: int, milliseconds: int, *, data_reference: bytes | None = None
) -> bytes:
    """A film without frames. ``data_reference`` is where its frames would lie."""
    matrix = struct.pack(">9l", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    times = struct.pack(">4L", 0, 0, 1000, milliseconds)
    mvhd = box(
        b"mvhd",
        bytes(4),
        times,
        b"\x00\x01\x00\x00\x01\x00",
        bytes(10),
        matrix,
        bytes(24),
        b"\x00\x00\x00\x02",
    )
    size = struct.pack(">2L", width << 16, height << 16)
    tkhd = box(
        b"tkhd",
        b"\x00\x00\x00\x07",
        struct.pack(">5L", 0, 0, 1, 0, milliseconds),
        bytes(16),
        matrix,
        size,
    )
    mdhd = box(b"mdhd", bytes(4), times, b"\x55\xc4\x00\x00")
    hdlr = box(b"hdlr", bytes(8), b"vide", bytes(12), b"\x00")
    entry = box(
        b"avc1",
        bytes(6),
        b"\x00\x01",
        bytes(16),
        struct.pack(">2H", width, height),
        b"\x00\x48\x00\x00\x00\x48\x00\x00",
        bytes(4),
        b"\x00\x01",
        bytes(32),
        b"\x00\x18\xff\xff",
    )
    reference = box(b"url ", b"\x00\x00\x00\x01")
    if data_reference is not None:
        reference = box(b"url ", bytes(4), data_reference, b"\x00")
    dinf = box(b"dinf", box(b"dref", bytes(4), struct.pack(">L", 1), reference))
    stbl = box(
        b"stbl",
        box(b"stsd", bytes(4), struct.pack(">L", 1), entry),
        box(b"stts", bytes(4), struct.pack(">3L", 1, 1, milliseconds)),
        box(b"stsc", bytes(4), struct.pack(">4L", 1, 1, 1, 1)),
        box(b"stsz", bytes(4), struct.pack(">2L", 1, 1)),
        box(b"stco", bytes(4), struct.pack(">2L", 1, 0)),
    )
    minf = box(b"minf", box(b"vmhd", b"\x00\x00\x00\x01", bytes(8)), dinf, stbl)
    moov = box(b"moov", mvhd, box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf)))
    return box(b"ftyp", b"isom", bytes(4), b"isomavc1") + moov + box(b"mdat", b"x")


def zipped(members: dict[str, bytes | str], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


AD = '<!DOCTYPE html><html><head><meta name="ad.size" content="width=300,height=250"></head></html>'
