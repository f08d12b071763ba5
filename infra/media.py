"""What a file is, told from its first bytes and never from what its sender says."""

from __future__ import annotations

import codecs
import re
import zlib
from pathlib import PurePath

from infra.media_table import (
    AAC,
    BMP,
    BRANDS,
    COMPOUND,
    EOT,
    FORMS,
    GZIP,
    MAGIC,
    MP3,
    MP4,
    MPEG_TS,
    OFFICE,
    OGG_VIDEO,
    PACKAGED,
    PLAIN,
    QUICKTIME,
    RENDERED,
    STREAMS,
    SVG,
    SVGZ,
    TEXTS,
    UNKNOWN,
    ZIP,
    Kind,
    Sniffed,
)
from infra.programs import (
    INSTALLER,
    may_run,
    program_of,
    program_of_name,
    program_of_package,
    program_of_text,
    promises_program,
    runs,
)

HEAD_BYTES = 64 * 1024
"""Bytes of a file's beginning that are worth passing to ``sniff``."""


_XML_LEAD = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE(?!\s+html\b)[^\[>]*(?:\[.*?\]\s*)?>)",
    re.DOTALL | re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SVG_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?svg[\s/>]")


def sniff(head: bytes, filename: str | None = None) -> Sniffed:
    """Tell what a file is from its first bytes (HEAD_BYTES are plenty).

    ``filename`` only names the flavour of plain text (CSV, JSON …), and may say that it is run. What would run (HTML,
    scripts, programs) and whatever is not known comes as ``application/octet-stream``, the
    former with its ``program``.
    """
    text = _decoded(head)
    if program := program_of(head, text=text is not None):
        return runs(program)
    return _by_signature(head) or _of_text(text, filename) or _unmarked(head)


def _by_signature(head: bytes) -> Sniffed | None:
    for at, magic, found in MAGIC:
        if head.startswith(magic, at):
            return _closer(found, head)
    if form := FORMS.get((head[:4], head[8:12])):
        return form
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head[4:8] in (b"moov", b"wide", b"mdat") and head[8:9]:
        return QUICKTIME
    # Two letters are too few: the size of the header that follows is one of those there are.
    if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS:
        return BMP
    if head[34:36] == b"LP" and head[8:11] in (b"\x00\x00\x01", b"\x01\x00\x02", b"\x02\x00\x02"):
        return EOT
    return None


_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}


def _closer(found: Sniffed, head: bytes) -> Sniffed:
    """The same signature looked at closely, where several formats share it."""
    if found is ZIP:
        return _package(head)
    if found is GZIP:
        return _gzipped(head)
    if found is COMPOUND:
        return _compound(head)
    if found.extension == "mkv":
        webm = b"webm" in head[:64]
        return Sniffed("video/webm", "video", "webm") if webm else found
    if found.extension == "ogg" and (b"theora" in head[:512] or b"OVP80" in head[:512]):
        return OGG_VIDEO
    if found.extension == "ico" and not (head[4:6] > b"\x00\x00" and head[9:10] == b"\x00"):
        return UNKNOWN
    return found


def _unmarked(head: bytes) -> Sniffed:
    """Streams that have no beginning of their own, only a pattern."""
    if len(head) >= 4 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:
            return AAC
        if head[1] & 0xE6 in (0xE2, 0xE4) and head[1] & 0x18 != 0x08 and head[2] >> 4 < 0xF:
            return MP3
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return MPEG_TS
    return UNKNOWN


def _boxed(head: bytes) -> Sniffed:
    size = min(int.from_bytes(head[:4], "big"), 256)
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, size, 4))}
    # "mif1" is the container of AVIF and HEIC alike, so the exact brands come first.
    for known, found in BRANDS[:1]:
        if brands & known:
            return found
    for known, found in BRANDS[1:]:
        if major in known:
            return found
    return MP4


def _package(head: bytes) -> Sniffed:
    # EPUB and OpenDocument put their type first and uncompressed, for readers like this one.
    if head[30:38] == b"mimetype":
        for declared, found in PACKAGED.items():
            if head.startswith(declared, 38):
                return found
    if program := program_of_package(head):
        return runs(program)
    if b"[Content_Types].xml" in head or b"_rels/.rels" in head:
        for folder, (plain, extension, macros, with_macros) in OFFICE.items():
            if folder + b"vbaProject.bin" in head:
                media_type = f"application/vnd.{macros}.macroEnabled.12"
                return Sniffed(media_type, "document", with_macros)
            if folder in head:
                media_type = f"application/vnd.openxmlformats-officedocument.{plain}"
                return Sniffed(media_type, "document", extension)
    return ZIP


def _gzipped(head: bytes) -> Sniffed:
    """Whether an SVG is in it: the only compressed thing that is drawn."""
    try:
        inside = zlib.decompressobj(wbits=31).decompress(head, 4096)
    except zlib.error:
        return GZIP
    text = _decoded(inside)
    return SVGZ if text is not None and _SVG_ROOT.match(_past_lead(text)) else GZIP


def _compound(head: bytes) -> Sniffed:
    """A compound file by the class of its root and the names of its streams."""
    sector = 1 << min(int.from_bytes(head[30:32], "little"), 16)
    directory = sector * (int.from_bytes(head[48:52], "little") + 1)
    if head[directory + 80 : directory + 96] == INSTALLER:
        return runs("a Windows installer")
    for name, found in STREAMS:
        if name.encode("utf-16-le") in head:
            return found
    return COMPOUND


def _of_text(text: str | None, filename: str | None) -> Sniffed | None:
    if text is None or not text.strip():
        return None
    root = _past_lead(text)
    if _SVG_ROOT.match(root):
        return SVG
    extension = PurePath(filename).suffix[1:].lower() if filename else ""
    if program := program_of_text(text, root) or program_of_name(extension):
        return runs(program)
    if may_run(text, root) or promises_program(extension):
        return UNKNOWN
    if root.startswith("<") and root is not text:
        return TEXTS["xml"]
    return TEXTS.get(extension, PLAIN)


def _past_lead(text: str) -> str:
    """What follows white space, the XML declaration, comments and the document type."""
    at = 0
    while found := _XML_LEAD.match(text, at):
        at = found.end()
    return text[at:]


def _decoded(head: bytes) -> str | None:
    """The text the bytes are, or None when they are not text."""
    encodings = ["utf-8-sig", "cp1252"]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif head.startswith(b"<\x00"):
        encodings = ["utf-16-le"]
    elif head.startswith(b"\x00<"):
        encodings = ["utf-16-be"]
    elif b"\x00" in head:
        return None
    for encoding in encodings:
        try:
            # Incremental: the head may end within a character.
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        # Text in an old code page still has its spaces and line ends in ASCII.
        plain = len(text.encode("ascii", "ignore"))
        if _CONTROL.search(text) or (encoding == "cp1252" and plain * 20 < len(text)):
            return None
        return text
    return None


__all__ = ["HEAD_BYTES", "RENDERED", "Kind", "Sniffed", "sniff"]
