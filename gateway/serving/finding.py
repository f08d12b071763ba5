"""Whether an object is in the store."""

from __future__ import annotations

from gateway.errors import DependencyDown
from infra.breaker import DependencyUnavailable
from infra.object_store import ObjectNotFound, ObjectStat, ObjectStore


async def find_object(store: ObjectStore, key: str) -> ObjectStat | None:
    """An object that is there, or None, also for what is no key.

    Raises DependencyDown while nobody can tell.
    """
    try:
        return await store.stat(key)
    except (ObjectNotFound, ValueError):
        return None
    except (DependencyUnavailable, TimeoutError) as error:
        raise store_down(error) from error


def store_down(error: Exception) -> DependencyDown:
    """How a store that cannot be reached is told of."""
    after = error.retry_after if isinstance(error, DependencyUnavailable) else 5
    return DependencyDown("The object store is not available.", retry_after=after)
