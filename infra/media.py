"""What a file is, told from its first bytes and never from what its sender says."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePath

from infra.media_table import (
    BRANDS,
    MAGIC,
    MP4,
    OFFICE,
    PACKAGED,
    RIFF,
    SVG,
    UNKNOWN,
    ZIP,
    Kind,
    Sniffed,
)

HEAD_BYTES = 64 * 1024
"""Bytes of a file's beginning that are worth passing to ``sniff``."""


# A name may choose among harmless kinds of text, and may only lower trust otherwise.
_TEXT = {
    "csv": Sniffed("text/csv", "document", "csv"),
    "tsv": Sniffed("text/tab-separated-values", "document", "tsv"),
    "json": Sniffed("application/json", "document", "json"),
    "jsonl": Sniffed("application/jsonl", "document", "jsonl"),
    # Never as XML: a browser runs the scripts of an XHTML namespace.
    "xml": Sniffed("text/plain", "document", "xml"),
    "md": Sniffed("text/plain", "document", "md"),
}
_PLAIN = Sniffed("text/plain", "document", "txt")
_ACTIVE_NAMES = frozenset(
    [
        "htm",
        "html",
        "xhtml",
        "xht",
        "shtml",
        "mht",
        "mhtml",
        "js",
        "mjs",
        "cjs",
        "jsx",
        "ts",
        "php",
        "phtml",
        "asp",
        "aspx",
        "jsp",
        "hta",
        "vbs",
        "wsf",
        "sh",
        "bash",
        "bat",
        "cmd",
        "ps1",
        "py",
        "pl",
        "rb",
        "exe",
        "dll",
        "com",
        "scr",
        "msi",
        "jar",
        "wasm",
        "swf",
    ]
)
_PROGRAMS = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xfe\xed\xfa",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\x00asm",
    b"#!",
    b"FWS",
    b"CWS",
    b"ZWS",
)

_XML_LEAD = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)", re.DOTALL | re.IGNORECASE
)
_SVG_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?svg[\s/>]")
_HTML = re.compile(
    r"<!doctype\s+html|<(?:html|head|body|script|iframe|style|title|meta|link|base|object|embed"
    r"|form|h[1-6]|div|font|table|a|b|br|p|span|img)[\s/>]",
    re.IGNORECASE,
)
_HTML_ANYWHERE = re.compile(r"<!doctype\s+html|<html[\s>]|<script[\s/>]", re.IGNORECASE)
# Possessive: a long run of spaces must not be tried in every way it can be split.
_SCRIPT = re.compile(
    r"(?:/\*.*?\*/|//[^\n]*\n|\s+)*+(?:[\"']use strict[\"']|[!(;+]*+function\s*+\w*+\s*+\("
    r"|(?:var|let|const)\s++(?:[\w$]++\s*+=|[{\[])|import\s++(?:[\"']|[^\n;]{1,500}\sfrom\s*+[\"'])"
    r"|export\s++(?:default|const|function|\{)|\(\s*+\([\w, ]*+\)\s*+=>"
    r"|(?:window|document|module|exports|self)\s*+[.\[(=])",
    re.DOTALL,
)


def sniff(head: bytes, filename: str | None = None) -> Sniffed:
    """Tell what a file is from its first bytes (HEAD_BYTES are plenty).

    ``filename`` only names the flavour of plain text (CSV, JSON …). HTML, scripts, programs
    and whatever is not known come as ``application/octet-stream``.
    """
    if head.startswith(_PROGRAMS):
        return UNKNOWN
    for at, magic, found in MAGIC:
        if head.startswith(magic, at):
            if found is ZIP:
                return _package(head)
            return _webm(head) if found.extension == "mkv" else found
    if head[:4] == b"RIFF" and len(head) >= 12:
        return RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head[4:8] in (b"moov", b"wide", b"mdat") and head[8:9]:
        return Sniffed("video/quicktime", "video", "mov")
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] >> 4 < 0xF:
        return Sniffed("audio/mpeg", "audio", "mp3")
    return _of_text(head, filename)


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


def _webm(head: bytes) -> Sniffed:
    if b"webm" in head[:64]:
        return Sniffed("video/webm", "video", "webm")
    return Sniffed("video/x-matroska", "video", "mkv")


def _package(head: bytes) -> Sniffed:
    # EPUB and OpenDocument put their type first and uncompressed, for readers like this one.
    if head[30:38] == b"mimetype":
        for declared, found in PACKAGED.items():
            if head.startswith(declared, 38):
                return found
    if b"[Content_Types].xml" in head or b"_rels/.rels" in head:
        for folder, (flavour, extension) in OFFICE.items():
            if folder in head:
                media_type = f"application/vnd.openxmlformats-officedocument.{flavour}"
                return Sniffed(media_type, "document", extension)
    return ZIP


def _of_text(head: bytes, filename: str | None) -> Sniffed:
    text = _decoded(head)
    if text is None or not text.strip():
        return UNKNOWN
    root = _past_lead(text)
    if _SVG_ROOT.match(root):
        return SVG
    if _HTML.match(root) or _HTML_ANYWHERE.search(text) or _SCRIPT.match(text):
        return UNKNOWN
    extension = PurePath(filename).suffix[1:].lower() if filename else ""
    if extension in _ACTIVE_NAMES:
        return UNKNOWN
    if root.startswith("<") and root is not text:
        return _TEXT["xml"]
    return _TEXT.get(extension, _PLAIN)


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
    elif b"\x00" in head:
        return None
    for encoding in encodings:
        try:
            # Incremental: the head may end within a character.
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        controls = sum(1 for c in text if c < " " and c not in "\t\n\r\f\x1b")
        # Text in an old code page still has its spaces and line ends in ASCII.
        plain = sum(1 for c in text if c < "\x80")
        if controls or (encoding == "cp1252" and plain * 20 < len(text)):
            return None
        return text
    return None


__all__ = ["HEAD_BYTES", "Kind", "Sniffed", "sniff"]
