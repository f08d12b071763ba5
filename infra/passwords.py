"""Password hashes: bcrypt in threads, because it takes a quarter of a second of a core."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import bcrypt


class Passwords:
    """Hashes and checks passwords off the event loop; bcrypt releases the GIL."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="bcrypt")
        self._decoy = bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """A bcrypt hash of the password."""
        salt = bcrypt.gensalt(self._cost)
        return (await self._run(bcrypt.hashpw, _shortened(password), salt)).decode()

    async def check(self, password: str, stored: str | None) -> bool:
        """Whether the password fits; without a stored hash it costs the same and is False."""
        fits = await self._run(
            bcrypt.checkpw, _shortened(password), (stored or self._decoy).encode()
        )
        return bool(fits) and stored is not None

    def close(self) -> None:
        """Let running hashes finish."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _run(self, function: object, *arguments: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)  # type: ignore[arg-type]


def _shortened(password: str) -> bytes:
    """44 bytes of the whole password: bcrypt itself looks at no more than 72.

    Keyed, so that hashes stolen elsewhere cannot be tried in place of passwords.
    """
    normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    digest = hmac.new(b"grid8 auth password v1", normal, hashlib.sha256).digest()
    return base64.b64encode(digest)
