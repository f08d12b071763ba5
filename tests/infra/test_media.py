from __future__ import annotations

import io
import struct
import time
import zipfile

import pytest
import pyvips

from infra.media import sniff

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


def image(suffix: str) -> bytes:
    picture = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    data: bytes = picture.write_to_buffer(suffix)
    return data


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = major + b"\x00\x00\x02\x00" + b"".join(compatible)
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body + b"\x00\x00\x00\x08free"


def package(*names: str, first: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        if first:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("suffix", "media_type", "extension"),
    [
        (".jpg", "image/jpeg", "jpg"),
        (".png", "image/png", "png"),
        (".gif", "image/gif", "gif"),
        (".webp", "image/webp", "webp"),
        (".tiff", "image/tiff", "tiff"),
        (".avif", "image/avif", "avif"),
    ],
)
def test_real_images_are_known_whatever_they_are_called(
    suffix: str, media_type: str, extension: str
) -> None:
    found = sniff(image(suffix), "invoice.html")
    assert (found.media_type, found.kind, found.extension) == (media_type, "image", extension)


@pytest.mark.parametrize(
    ("head", "media_type", "kind"),
    [
        (ftyp(b"heic", b"mif1", b"heic"), "image/heic", "image"),
        (ftyp(b"mif1", b"mif1", b"heic"), "image/heic", "image"),
        (ftyp(b"mif1", b"avif", b"miaf"), "image/avif", "image"),
        (ftyp(b"avis", b"avis", b"msf1"), "image/avif", "image"),
        (ftyp(b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4", "video"),
        (ftyp(b"qt  ", b"qt  "), "video/quicktime", "video"),
        (b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat", "video/quicktime", "video"),
        (ftyp(b"M4A ", b"mp42"), "audio/mp4", "audio"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "video/webm", "video"),
        (b"\x1a\x45\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "video/x-matroska", "video"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav", "audio"),
        (b"RIFF\x24\x00\x00\x00ACON", "application/octet-stream", "other"),
        (b"ID3\x04\x00", "audio/mpeg", "audio"),
        (b"\xff\xfb\x90\x64\x00", "audio/mpeg", "audio"),
        (b"OggS\x00\x02", "audio/ogg", "audio"),
        (b"fLaC\x00\x00", "audio/flac", "audio"),
        (b"wOFF\x00\x01\x00\x00", "font/woff", "font"),
        (b"wOF2\x00\x01\x00\x00", "font/woff2", "font"),
        (b"\x00\x01\x00\x00\x00\x0f\x00\x80", "font/ttf", "font"),
        (b"OTTO\x00\x0b\x00\x80", "font/otf", "font"),
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf", "document"),
        (package("a.txt"), "application/zip", "archive"),
        (b"PK\x05\x06" + bytes(18), "application/zip", "archive"),
        (b"\x1f\x8b\x08\x00", "application/gzip", "archive"),
        (b"7z\xbc\xaf\x27\x1c\x00", "application/x-7z-compressed", "archive"),
        (b"Rar!\x1a\x07\x01\x00", "application/vnd.rar", "archive"),
        (b"a.txt".ljust(257, b"\x00") + b"ustar\x0000", "application/x-tar", "archive"),
    ],
)
def test_signatures(head: bytes, media_type: str, kind: str) -> None:
    found = sniff(head)
    assert (found.media_type, found.kind) == (media_type, kind)


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (package("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "docx"),
        (package("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "xlsx"),
        (package("[Content_Types].xml", "_rels/.rels", "ppt/presentation.xml"), "pptx"),
        (package("a", first=("mimetype", "application/epub+zip")), "epub"),
    ],
)
def test_office_documents_are_documents_though_they_are_zips(head: bytes, extension: str) -> None:
    found = sniff(head, "download.zip")
    assert (found.kind, found.extension) == ("document", extension)


@pytest.mark.parametrize(
    "head",
    [
        SVG,
        b"\xef\xbb\xbf" + SVG,
        b"\n\t  " + SVG,
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + SVG,
        b"<!-- made by hand -->\n" + SVG,
        b'<?xml version="1.0"?><!-- a --><!-- <html> --><?x y?>\n' + SVG,
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://w3.org/svg11.dtd">' + SVG,
        b'<!DOCTYPE svg [\n<!ENTITY ns "http://x/">\n]>' + SVG,
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>',
        ("\ufeff" + SVG.decode()).encode("utf-16-le"),
        ("\ufeff" + SVG.decode()).encode("utf-16-be"),
    ],
)
def test_svg_is_known_by_its_root(head: bytes) -> None:
    found = sniff(head, "picture.txt")
    assert (found.media_type, found.kind, found.extension) == ("image/svg+xml", "image", "svg")


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE html><html>",
        b"<!doctype HTML>",
        b"  \n<HTML><body>",
        b"<script>alert(1)</script>",
        b"<!-- <svg> --><html><svg></svg></html>",
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><svg/></html>',
        b"<body onload=alert(1)>",
        b"<img src=x onerror=alert(1)>",
        b"hello <script>alert(1)</script>",
        b'"use strict";\nalert(1)',
        b"/* licence */\n!function(e){}(1)",
        b"import x from './y.js'\n",
        b"const a = 1;",
        b"(() => { alert(1) })()",
        b"#!/bin/sh\nrm -rf /",
        b"MZ\x90\x00\x03",
        b"\x7fELF\x02\x01\x01",
        b"\xca\xfe\xba\xbe\x00\x00",
        b"\x00asm\x01\x00",
    ],
)
def test_what_could_run_is_only_ever_bytes(head: bytes) -> None:
    found = sniff(head, "picture.svg")
    assert (found.media_type, found.kind) == ("application/octet-stream", "other")


@pytest.mark.parametrize("name", ["a.html", "a.JS", "a.mjs", "x.php", "run.sh"])
def test_a_name_can_only_lower_trust(name: str) -> None:
    assert sniff(b"just words", name).kind == "other"
    assert sniff(b"\x00\x01\x02", "a.png").kind == "other"


@pytest.mark.parametrize(
    ("head", "name", "media_type"),
    [
        (b"Once upon a time\n", None, "text/plain"),
        ("žluťoučký kůň".encode(), "a.txt", "text/plain"),
        ("caf\u00e9".encode("cp1252"), "a.txt", "text/plain"),
        ("\ufeffid,title\n1,x".encode("utf-16-le"), "feed.csv", "text/csv"),
        (b"let us begin: import the rows", "a.txt", "text/plain"),
        (b"id,title\n1,Shoe\n", "feed.CSV", "text/csv"),
        (b"id\ttitle\n", "feed.tsv", "text/tab-separated-values"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b'<?xml version="1.0"?><rss version="2.0"></rss>', "feed.xml", "text/plain"),
        (b"plain", "../../etc/passwd", "text/plain"),
    ],
)
def test_text_is_plain_unless_its_name_says_a_harmless_kind(
    head: bytes, name: str | None, media_type: str
) -> None:
    found = sniff(head, name)
    assert (found.media_type, found.kind) == (media_type, "document")


def test_a_head_that_ends_within_a_character_is_still_text() -> None:
    assert sniff("é".encode() * 10 + b"\xc3").media_type == "text/plain"


@pytest.mark.parametrize("head", [b"", b"  \n", b"\x00", b"\x80\x81\x00\xff", b"RIFF\x00", b"\xff"])
def test_nothing_and_noise_are_bytes(head: bytes) -> None:
    assert sniff(head, "a.png").media_type == "application/octet-stream"


@pytest.mark.parametrize(
    "head",
    [
        b" " * 65536,
        b"/*" * 32768,
        b"<!--" * 16384,
        b"<!DOCTYPE [" + b"] " * 32768,
        b"var " + b" " * 65536,
        b"import " + b"a from " * 9000,
        b"(" * 65536,
        b"<a" * 32768,
    ],
)
def test_no_input_makes_it_slow(head: bytes) -> None:
    started = time.perf_counter()
    sniff(head)
    assert time.perf_counter() - started < 0.5
