"""Preconditions and ranges of a request for a file (RFC 9110, 13 and 14). No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aiohttp import web

RANGES = 10
"""Ranges that are served of one request; who asks for more is given the whole (14.2)."""

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\U0010ffff]*)"')
_RANGE = re.compile(r"([0-9]{0,19})-([0-9]{0,19})", re.ASCII)

Span = tuple[int, int]
"""First byte, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a file from another; the ETag is strong, with its quotes."""

    etag: str
    modified: datetime
    """In UTC, without a part of a second: as HTTP can say it."""


def failed(request: web.Request, file: Validators) -> Literal[304, 412] | None:
    """The status that a precondition leads to, in the order of RFC 9110, 13.2.2."""
    if "If-Match" in request.headers:
        if not names(request, "If-Match", file.etag, weakly=False):
            return 412
    elif (since := request.if_unmodified_since) is not None and file.modified > since:
        return 412
    if "If-None-Match" in request.headers:
        return 304 if names(request, "If-None-Match", file.etag, weakly=True) else None
    if (since := request.if_modified_since) is not None and file.modified <= since:
        return 304
    return None


def spans(request: web.Request, file: Validators, size: int) -> list[Span] | None:
    """The parts that are asked for, in their order; None for the whole, [] for none that is there.

    A Range that is malformed, of another unit, or about another state of the file is ignored.
    """
    asked = request.headers.getall("Range", [])
    if request.method != "GET" or len(asked) != 1 or not _still_is(request, file):
        return None
    unit, equals, rest = asked[0].partition("=")
    parts = [part.strip(" \t") for part in rest.split(",")]
    parts = [part for part in parts if part]
    if unit.strip().lower() != "bytes" or not equals or not 1 <= len(parts) <= RANGES:
        return None
    found: list[Span] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or match[0] == "-":
            return None
        first, last = match[1], match[2]
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start < end:
            found.append((start, end))
    if sum(end - start for start, end in found) > size:
        # The same bytes again and again: nobody needs that, and everybody pays for it.
        return None
    return found


def _still_is(request: web.Request, file: Validators) -> bool:
    """Whether If-Range, where it is given, names the file as it is: compared strongly (13.1.5)."""
    given = request.headers.get("If-Range")
    if given is None:
        return True
    match = _ETAG.fullmatch(given.strip())
    if match is not None:
        return given.strip() == file.etag
    return request.if_range is not None and request.if_range == file.modified


def names(request: web.Request, header: str, etag: str, *, weakly: bool) -> bool:
    """Whether a header names an ETag (RFC 9110, 13.1.1 and 13.1.2)."""
    given = ",".join(request.headers.getall(header, [])).strip()
    if given == "*":
        return True
    return any(
        (weakly or not match[1]) and f'"{match[2]}"' == etag for match in _ETAG.finditer(given)
    )
