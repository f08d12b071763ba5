"""Signed, expiring URLs of files."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode


class SignatureInvalid(Exception):
    """The URL was not signed by us, or has expired."""


@dataclass(frozen=True, slots=True)
class FileSigner:
    """Signs with the first key and verifies with all; HMAC-SHA256 over everything shown."""

    base: str
    keys: Sequence[bytes]
    ttl: int

    def url(self, key: str, *, media_type: str, filename: str) -> str:
        """A URL of a stored object, good for at least ``ttl`` seconds.

        The expiry is rounded up to a multiple of ``ttl``, so that the URL stays the same for
        a while and caches can hit.
        """
        expires = (int(time.time()) // self.ttl + 2) * self.ttl
        query = {"expires": str(expires), "type": media_type, "name": filename}
        query["sig"] = self._sign(self.keys[0], key, query)
        return f"{self.base}/files/{quote(key)}?{urlencode(query)}"

    def check(self, key: str, *, expires: str, type: str, name: str, sig: str) -> int:
        """Seconds the URL is still good for. Raises SignatureInvalid."""
        query = {"expires": expires, "type": type, "name": name}
        if not any(
            hmac.compare_digest(
                self._sign(each, key, query).encode(), sig.encode("utf-8", "replace")
            )
            for each in self.keys
        ):
            raise SignatureInvalid("the signature does not fit")
        left = int(expires) - int(time.time())
        if left <= 0:
            raise SignatureInvalid("the URL has expired")
        return left

    @staticmethod
    def _sign(secret: bytes, key: str, query: dict[str, str]) -> str:
        text = "\n".join((key, query["expires"], query["type"], query["name"]))
        return hmac.new(secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def derive_key(key: bytes, purpose: str) -> bytes:
    """A key for one purpose from a master key (HMAC as PRF)."""
    return hmac.new(key, f"grid8 {purpose}".encode(), hashlib.sha256).digest()
