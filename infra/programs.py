"""What would run when it is opened: programs, installers, scripts and pages."""

from __future__ import annotations

import re

from infra.media_table import Sniffed

# Each is long enough, or followed by bytes no text has, that a text file is none of them.
_BINARY = (
    (b"\x7fELF", "a Linux program (ELF)"),
    (b"\xfe\xed\xfa\xce", "a macOS program (Mach-O)"),
    (b"\xfe\xed\xfa\xcf", "a macOS program (Mach-O)"),
    (b"\xce\xfa\xed\xfe", "a macOS program (Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a macOS program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a Java class or macOS program"),
    (b"\xca\xfe\xd0\x0d", "a Java class"),
    (b"\x00asm", "a WebAssembly program"),
    (b"dex\n0", "an Android program (DEX)"),
    (b"\x4c\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut"),
    (b"!<arch>\ndebian", "a Debian package"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"Cr24\x02\x00", "a browser extension"),
    (b"Cr24\x03\x00", "a browser extension"),
    (b"ITSF\x03\x00", "a compiled help file"),
)
# Two or three letters, which text may begin with too: only of what is not text.
_NOT_TEXT = (
    (b"MZ", "a Windows program"),
    (b"FWS", "a Flash movie"),
    (b"CWS", "a Flash movie"),
    (b"ZWS", "a Flash movie"),
)
_TEXT = (
    ("<?php", "a PHP script"),
    ("@echo off", "a Windows script"),
    ("[internetshortcut]", "a shortcut"),
    ("[desktop entry]", "a shortcut"),
    ("windows registry editor", "a file of registry changes"),
    ("regedit4", "a file of registry changes"),
)
_NAMES = {
    "an HTML page": "htm html xhtml xht shtml mht mhtml hta",
    "a script": "js mjs cjs jsx php phtml asp aspx jsp vbs vbe wsf sh bash bat cmd ps1 pl",
    "source that is run": "py rb",
}
_NAMED = {name: what for what, names in _NAMES.items() for name in names.split()}
_PROGRAM_NAMES = frozenset(["exe", "dll", "com", "scr", "msi", "jar", "apk", "wasm", "swf", "lnk"])

_HTML = re.compile(
    r"<!doctype\s+html|<(?:html|head|body|script|iframe|style|title|meta|link|base|object|embed"
    r"|form)[\s/>]",
    re.IGNORECASE,
)
_HTML_PART = re.compile(r"<(?:h[1-6]|div|font|table|a|b|br|p|span|img)[\s/>]", re.IGNORECASE)
_HTML_ANYWHERE = re.compile(r"<!doctype\s+html|<html[\s>]|<script[\s/>]", re.IGNORECASE)
# Possessive: a long run of spaces must not be tried in every way it can be split.
_LEAD = r"(?:/\*.*?\*/|//[^\n]*\n|\s+)*+"
_SCRIPT = re.compile(
    _LEAD + r"(?:[\"']use strict[\"']|[!(;+]*+function\s*+\w*+\s*+\("
    r"|(?:var|const)\s++(?:[\w$]++\s*+=|[{\[])|import\s++(?:[\"']|[^\n;]{1,500}\sfrom\s*+[\"'])"
    r"|export\s++(?:default|const|function|\{)|\(\s*+\([\w, ]*+\)\s*+=>)",
    re.DOTALL,
)
_SCRIPT_PERHAPS = re.compile(
    _LEAD + r"(?:let\s++(?:[\w$]++\s*+=|[{\[])|(?:window|document|module|exports|self)\s*+[.\[(=])",
    re.DOTALL,
)
_SHEBANG = re.compile(rb"(?:\xef\xbb\xbf)?#![ \t]*/")


def runs(what: str) -> Sniffed:
    """Never served as anything but bytes, wherever it was let in."""
    return Sniffed("application/octet-stream", "other", "bin", what)


def program_of(head: bytes, *, text: bool) -> str | None:
    """What kind of program the bytes are by their signature. ``text``: whether they are text."""
    if _SHEBANG.match(head):
        return "a script (#!)"
    found = next((what for magic, what in _BINARY if head.startswith(magic)), None)
    if found is None and not text:
        found = next((what for magic, what in _NOT_TEXT if head.startswith(magic)), None)
    return found


def program_of_text(text: str, root: str) -> str | None:
    """What would run of a text; ``root`` is what follows its comments and declarations."""
    start = text[:64].lstrip("\ufeff \t\r\n").lower()
    for prefix, what in _TEXT:
        if start.startswith(prefix):
            return what
    if _HTML.match(root):
        return "an HTML page"
    if _SCRIPT.match(text):
        return "a script (JavaScript)"
    return None


def may_run(text: str, root: str) -> bool:
    """Whether some program might take a text for a page or script, though it seems to be none."""
    return bool(
        _HTML_PART.match(root) or _HTML_ANYWHERE.search(text) or _SCRIPT_PERHAPS.match(text)
    )


def program_of_name(extension: str) -> str | None:
    """What a text under such a name is run as; None for harmless names."""
    return _NAMED.get(extension)


def promises_program(extension: str) -> bool:
    """Whether a system would try to run a file of such a name."""
    return extension in _NAMED or extension in _PROGRAM_NAMES


def program_of_package(head: bytes) -> str | None:
    """What would run a ZIP package, by the names of the members at its beginning."""
    for name, what in (
        (b"AndroidManifest.xml", "an Android app"),
        (b"classes.dex", "an Android app"),
        (b"META-INF/MANIFEST.MF", "a Java archive"),
        (b"AppxManifest.xml", "a Windows app"),
    ):
        # The name of a local file header: 30 bytes after its signature.
        at = head.find(name)
        while at >= 0:
            if head[at - 30 : at - 26] == b"PK\x03\x04":
                return what
            at = head.find(name, at + 1)
    if re.match(rb"PK\x03\x04.{26}Payload/[^/]{1,80}\.app/", head, re.DOTALL):
        return "an iOS app"
    return None


INSTALLER = bytes.fromhex("84100c0000000000c000000000000046")
"""The class of a compound file that is a Windows Installer package."""
