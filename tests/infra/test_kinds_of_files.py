"""Kinds told from content: real files, what would run, and files that are two things at once."""

from __future__ import annotations

import gzip
import struct

import pytest

from infra.media import HEAD_BYTES, sniff
from infra.media_table import ALL
from tests.infra import files

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


def bmp() -> bytes:
    return b"BM" + struct.pack("<L4xLL2l2H", 58, 54, 40, 1, 1, 1, 24) + bytes(28)


def compound(*streams: str, root: bytes = bytes(16)) -> bytes:
    """The beginning of an OLE compound file whose directory is its second sector."""
    header = bytearray(512)
    header[:8] = bytes.fromhex("d0cf11e0a1b11ae1")
    header[30:32], header[48:52] = b"\x09\x00", b"\x00\x00\x00\x00"
    entries = bytearray(512)
    entries[80:96] = root
    for number, name in enumerate(streams, 1):
        encoded = name.encode("utf-16-le")
        entries[128 * number : 128 * number + len(encoded)] = encoded
    return bytes(header + entries)


@pytest.mark.parametrize(
    ("data", "media_type", "kind", "extension"),
    [
        (files.font(), "font/ttf", "font", "ttf"),
        (files.font(cff=True), "font/otf", "font", "otf"),
        (files.font("woff"), "font/woff", "font", "woff"),
        (files.font("woff2"), "font/woff2", "font", "woff2"),
        (files.font_collection(), "font/collection", "font", "ttc"),
        (files.pdf(), "application/pdf", "document", "pdf"),
        (files.wav(0.1), "audio/wav", "audio", "wav"),
        (files.mp4(16, 16, 100), "video/mp4", "video", "mp4"),
        (files.zipped({"index.html": files.AD}), "application/zip", "archive", "zip"),
        (gzip.compress(SVG), "image/svg+xml-compressed", "image", "svgz"),
        (gzip.compress(b"words"), "application/gzip", "archive", "gz"),
        (bmp(), "image/bmp", "image", "bmp"),
        (b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00", "image/vnd.microsoft.icon", "image", "ico"),
        (b"8BPS\x00\x01" + bytes(20), "image/vnd.adobe.photoshop", "image", "psd"),
        (bytes(34) + b"LP", "application/octet-stream", "other", "bin"),
        (
            bytes(8) + b"\x01\x00\x02\x00" + bytes(22) + b"LP",
            "application/vnd.ms-fontobject",
            "font",
            "eot",
        ),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo", "video", "avi"),
        (b"\x00\x00\x01\xba\x44", "video/mpeg", "video", "mpg"),
        ((b"G" + bytes(187)) * 3, "video/mp2t", "video", "ts"),
        (b"FORM\x00\x00\x00\x00AIFFCOMM", "audio/aiff", "audio", "aiff"),
        (b"\xff\xf1\x50\x80\x00", "audio/aac", "audio", "aac"),
        (b"#!AMR\n\x04", "audio/amr", "audio", "amr"),
        (b"OggS\x00\x02" + bytes(22) + b"\x80theora", "video/ogg", "video", "ogv"),
        (compound("WordDocument"), "application/msword", "document", "doc"),
        (compound("Workbook"), "application/vnd.ms-excel", "document", "xls"),
        (compound(), "application/x-ole-storage", "document", "ole"),
        (
            files.zipped({"[Content_Types].xml": "x", "word/vbaProject.bin": "x"}),
            "application/vnd.ms-word.document.macroEnabled.12",
            "document",
            "docm",
        ),
        (b"{\\rtf1 words}", "application/rtf", "document", "rtf"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "application/postscript", "document", "ps"),
    ],
)
def test_a_file_is_what_its_bytes_say(
    data: bytes, media_type: str, kind: str, extension: str
) -> None:
    for name in ("photo.jpg", "x.exe", None):
        found = sniff(data[:HEAD_BYTES], name)
        assert (found.media_type, found.kind, found.extension) == (media_type, kind, extension)
        assert found.program is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"MZ\x90\x00\x03\x00", "a.jpg"),
        (b"\x7fELF\x02\x01\x01\x00", "a.png"),
        (b"\xcf\xfa\xed\xfe\x07\x00", "a.zip"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x34", "a.class"),
        (b"\x00asm\x01\x00\x00\x00", "a.wasm"),
        (b"dex\n035\x00", "classes.dex"),
        (b"\x4c\x00\x00\x00\x01\x14\x02\x00\x00", "a.lnk"),
        (b"CWS\x0a\x00\x10\x00\x00\x78\xda", "banner.swf"),
        (b"!<arch>\ndebian-binary   ", "a.deb"),
        (b"#!/bin/sh\necho", "photo.jpg"),
        (b"#! /usr/bin/env python3\n", None),
        (b"\xef\xbb\xbf#!/bin/sh\n", None),
        (b"<!doctype html><p>", "a.jpg"),
        (b"\n <!-- x --> <HTML>", None),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>', "a.svg"),
        ("\ufeff<html>".encode("utf-16-le"), "a.txt"),
        ("<html><head>".encode("utf-16-le"), "a.txt"),
        (b"<script>alert(1)</script>", "a.csv"),
        (b"<?php system($_GET[0]);", "a.gif"),
        (b'"use strict"; alert(1)', "a.png"),
        (b"(function(){alert(1)})()", None),
        (b"alert(1)", "a.js"),
        (b"print(1)", "a.py"),
        (b"@echo off\r\ndel *", "a.txt"),
        (b"WScript.Echo 1", "a.vbs"),
        (b"[InternetShortcut]\r\nURL=http://x/", "a.url"),
        (b"Windows Registry Editor Version 5.00", "a.txt"),
        (compound(root=bytes.fromhex("84100c0000000000c000000000000046")), "a.doc"),
        (files.zipped({"META-INF/MANIFEST.MF": "x", "A.class": "x"}), "a.zip"),
        (files.zipped({"AndroidManifest.xml": "x", "classes.dex": "x"}), "a.zip"),
        (files.zipped({"Payload/App.app/Info.plist": "x"}), "a.zip"),
    ],
)
def test_what_would_run_is_known_whatever_it_is_called(data: bytes, name: str | None) -> None:
    found = sniff(data, name)
    assert found.program
    assert (found.media_type, found.kind) == ("application/octet-stream", "other")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"MZ,MA,ML\n1,2,3\n", "countries.csv"),
        (b"FWS is an abbreviation", "a.txt"),
        (b"#!not a script", "a.txt"),
        (b"document (draft)", "a.txt"),
        (b"let us begin", "a.txt"),
        (b"body { color: red }", "a.css"),
        (b'[{"html": "<b>x</b>"}]', "a.json"),
        (b"# Title\n<p align=center>", "a.md"),
        (b"words", "a.exe"),
        (bytes(64), "a.exe"),
        (files.zipped({"word.txt": "META-INF/MANIFEST.MF"}, compression=0), "a.zip"),
    ],
)
def test_what_only_looks_like_a_program_is_none(data: bytes, name: str) -> None:
    assert sniff(data, name).program is None


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)", "image/gif"),
        (b"\xff\xd8\xff\xe0/*\x4a" + b"*/=1;alert(1)//", "image/jpeg"),
        (b"BM=1;alert(document.domain)//", "text/plain"),
        (b"%PDF-1.4\n" + files.zipped({"META-INF/MANIFEST.MF": "x"}), "application/pdf"),
        (b"GIF89a" + files.zipped({"META-INF/MANIFEST.MF": "x", "A.class": "x"}), "image/gif"),
        (b"\xff\xd8\xff\xfe\x00\x40<html><script>alert(1)</script></html>", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x19tEXtComment\x00<script>alert(1)", "image/png"),
        (b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "text/plain"),
        (b"RIFF\x00\x00\x00\x00WEBP<html>", "image/webp"),
        (b"ID3<html><script>", "audio/mpeg"),
    ],
)
def test_a_file_that_is_two_things_is_the_one_that_cannot_run(data: bytes, media_type: str) -> None:
    assert sniff(data).media_type == media_type


def test_no_type_that_a_browser_would_run_is_ever_given_out() -> None:
    given_out = {found.media_type for found in ALL}
    assert not {each for each in given_out if "html" in each or "javascript" in each}
    assert {each for each in given_out if each.endswith("xml")} <= {"image/svg+xml"}
