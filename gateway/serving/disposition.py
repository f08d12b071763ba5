"""Whether a browser shows a file, and under which name it saves it (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

_SHOWN = re.compile(r"(image/(?!svg)|video/|audio/|font/)[a-z0-9.+-]+", re.ASCII)
"""Types a browser may show; anything that could run a script is downloaded."""
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; *charset=[a-z0-9-]+)?", re.ASCII | re.I)
_SEPARATORS = str.maketrans({"/": "_", "\\": "_"})
_BYTES = 255
"""What the file systems in use take as a name."""


def media_type_of(given: str) -> str:
    """A media type that may stand in a header."""
    return given if _MEDIA_TYPE.fullmatch(given) else "application/octet-stream"


def disposition(name: str, media_type: str, *, download: bool) -> str:
    """``inline`` for what is safe to show, unless it is to be downloaded; else ``attachment``.

    ``filename`` is for old clients, ``filename*`` for all.
    """
    kind = "inline" if not download and _SHOWN.fullmatch(media_type) else "attachment"
    safe = safe_name(name)
    plain = re.sub(r'[^\x20-\x7e]|["\\%;]', "_", safe)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def safe_name(name: str) -> str:
    """A file's name without folders, control characters and what turns the direction of text
    (``gpj.exe`` is not to look like ``exe.jpg``), of 255 bytes at most, its extension kept."""
    clean = unicodedata.normalize("NFC", name.translate(_SEPARATORS))
    clean = "".join(each for each in clean if unicodedata.category(each)[0] != "C").strip()
    if clean in (".", ".."):
        return "file"
    stem, dot, extension = clean.rpartition(".")
    if not dot or not extension or len(extension.encode()) > 20:
        stem, extension = clean, ""
    room = _BYTES - len(f".{extension}".encode() if extension else b"")
    cut = stem.encode()[:room].decode(errors="ignore")
    return (f"{cut}.{extension}" if extension else cut) or "file"
