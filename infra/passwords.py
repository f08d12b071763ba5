"""Password hashes: bcrypt in threads, because it takes a quarter of a second of a core."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

T = TypeVar("T")

NICENESS = 10
"""Of the threads: whoever signs in waits a little longer, and everybody else does not."""


class Passwords:
    """Hashes and checks passwords off the event loop; bcrypt releases the GIL."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self.threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(
            self.threads, thread_name_prefix="bcrypt", initializer=_step_back
        )
        self._decoy = bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """A bcrypt hash of the password."""
        salt = bcrypt.gensalt(self._cost)
        return (await self.aside(bcrypt.hashpw, _shortened(password), salt)).decode()

    async def check(self, password: str, stored: str | None) -> bool:
        """Whether the password fits; without a stored hash it costs the same and is False."""
        fits = await self.aside(
            bcrypt.checkpw, _shortened(password), (stored or self._decoy).encode()
        )
        return fits and stored is not None

    async def aside(self, function: Callable[..., T], *arguments: object) -> T:
        """Run something that takes long off the event loop; raises what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Let running hashes finish."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _step_back() -> None:
    """Let other threads of the machine go first. Only Linux has a niceness for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _shortened(password: str) -> bytes:
    """44 bytes of the whole password: bcrypt itself looks at no more than 72.

    Keyed, so that hashes stolen elsewhere cannot be tried in place of passwords.
    """
    normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    digest = hmac.new(b"grid8 auth password v1", normal, hashlib.sha256).digest()
    return base64.b64encode(digest)
