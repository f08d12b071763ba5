"""Signed, expiring URLs of files, and of pictures made of them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

Purpose = Literal["file", "transform"]
"""What a signature is for: one for a file proves nothing about a transform of it."""

PATHS: Mapping[Purpose, str] = {"file": "/files/", "transform": "/files/transforms/"}
LONGEST = 15 * 86400
"""Seconds beyond which no URL is good, whatever it says: twice the longest ``url_ttl``, and a day."""
_COMPACT = json.JSONEncoder(separators=(",", ":"))
_EXPIRES = re.compile(r"[1-9][0-9]{0,10}", re.ASCII)


class SignatureInvalid(Exception):
    """The URL was not signed by us, or not in this form."""


class SignatureExpired(SignatureInvalid):
    """We have signed it, and its time is over."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A URL, and the second (Unix time) at which it ends."""

    url: str
    expires: int


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Signs with the first key and verifies with all: HMAC-SHA256 over everything shown."""

    base: str
    keys: Sequence[bytes]
    ttl: int
    side: int = 4096
    """Pixels a side of a transformed picture may have."""

    def url(self, key: str, *, media_type: str, filename: str, download: bool = False) -> str:
        """A URL of a stored object, good for at least ``ttl`` seconds; ``download`` has browsers
        save it under ``filename``, whatever it is."""
        parameters = {"type": media_type, "name": filename}
        if download:
            parameters["download"] = "1"
        return self.sign("file", key, parameters).url

    def sign(self, purpose: Purpose, key: str, parameters: Mapping[str, str]) -> Signed:
        """Of equal parameters the same URL for a while, so that caches can hit: its end is
        rounded up to a multiple of ``ttl``."""
        expires = (int(time.time()) // self.ttl + 2) * self.ttl
        query = {**parameters, "expires": str(expires)}
        shown = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in query.items()])
        sig = signature(self.keys[0], purpose, key, query)
        return Signed(f"{self.base}{PATHS[purpose]}{quote(key)}?{shown}&sig={sig}", expires)

    def check(self, purpose: Purpose, key: str, query: Mapping[str, str]) -> int:
        """Seconds the URL is still good for, of its decoded parameters with ``sig`` among them.

        Raises SignatureInvalid, and of it SignatureExpired.
        """
        given = query.get("sig", "").encode("utf-8", "replace")
        # All keys are tried, whichever fits: the time tells nothing.
        fits = [
            hmac.compare_digest(signature(key_, purpose, key, query).encode(), given)
            for key_ in self.keys
        ]
        expires = query.get("expires", "")
        if not any(fits) or not _EXPIRES.fullmatch(expires):
            raise SignatureInvalid("the signature does not fit")
        left = int(expires) - int(time.time())
        if left > LONGEST:
            raise SignatureInvalid("the URL is good for longer than any may be")
        if left <= 0:
            raise SignatureExpired("the URL has expired")
        return left


def signature(secret: bytes, purpose: Purpose, key: str, query: Mapping[str, str]) -> str:
    """Of all parameters but ``sig``, whatever their order. JSON tells where each one ends."""
    shown = sorted((name, value) for name, value in query.items() if name != "sig")
    text = _COMPACT.encode(["grid8", purpose, key, shown])
    return hmac.digest(secret, text.encode(), "sha256").hex()


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    # Not "+" for a blank: a CDN that writes the query anew may take it for a plus sign.
    return quote(text, safe="")


def derive_key(key: bytes, purpose: str) -> bytes:
    """A key for one purpose from a master key (HMAC as PRF)."""
    return hmac.new(key, f"grid8 {purpose}".encode(), hashlib.sha256).digest()
