"""No request hangs on a dependency that has stopped answering."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import DependencyDown

SECONDS = 6.0
"""What a dependency may take to answer, retries included: longer than a restart of Redis."""


@asynccontextmanager
async def patience() -> AsyncIterator[None]:
    """Raise DependencyDown when what is inside has not been done in time."""
    try:
        async with asyncio.timeout(SECONDS):
            yield
    except TimeoutError as error:
        raise DependencyDown(retry_after=5) from error
