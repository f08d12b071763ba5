"""What a store that cannot be used now means for a handler."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.errors import Retry
from infra.breaker import DependencyUnavailable
from infra.object_store import StoreFull


@asynccontextmanager
async def patient() -> AsyncIterator[None]:
    """A store that is away or full is waited for."""
    try:
        yield
    except DependencyUnavailable as error:
        raise Retry(error.retry_after, str(error)) from error
    except StoreFull as error:
        raise Retry(30, str(error)) from error
