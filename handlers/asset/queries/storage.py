"""Reads about stored bytes: how many an organization has."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.actor import Actor
from handlers.asset.documents import IN_LIBRARY, Asset, Blob


async def get_stored_bytes(actor: Actor) -> int:
    """The bytes an organization stores: equal ones once, with all that is in its library."""
    cursor = await Blob.get_pymongo_collection().aggregate(
        [
            {"$match": {"organization_id": actor.tenant}},
            {"$group": {"_id": None, "bytes": {"$sum": "$bytes"}}},
        ],
        hint="stored",
    )
    async for found in cursor:
        return int(found["bytes"])
    return 0


async def get_asset_count(actor: Actor) -> int:
    """How many assets an organization has in its library."""
    wanted = {"organization_id": actor.tenant, **IN_LIBRARY}
    return await Asset.get_pymongo_collection().count_documents(wanted)


async def list_stored_contents(actor: Actor, sha256: Sequence[str]) -> set[str]:
    """Those of some contents, by their SHA-256, that the organization stores."""
    found = Blob.get_pymongo_collection().find(
        {"organization_id": actor.tenant, "sha256": {"$in": list(sha256)}}, {"sha256": 1}
    )
    return {each["sha256"] async for each in found}
