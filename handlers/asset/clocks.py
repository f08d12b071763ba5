"""What asset does because time has passed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from contracts.asset.commands import PurgeDue, TellRights
from contracts.base import Command
from contracts.types import now
from handlers.asset.documents import IN_LIBRARY, Asset
from handlers.clocks import Clock
from infra.settings.assets import LibrarySettings

AT_ONCE = 1000
"""Assets found at a time; the others when it rings next."""


def clocks_of(settings: LibrarySettings) -> tuple[Clock, ...]:
    notice = timedelta(days=settings.rights_notice)

    async def rights() -> Sequence[Command]:
        at = now()
        due = await _found({"rights_told": {"$in": [None, "expiring"]}, "rights_due": {"$lte": at}})
        if notice and len(due) < AT_ONCE:
            due += await _found(
                {"rights_told": None, "rights_due": {"$gt": at, "$lte": at + notice}}
            )
        return [TellRights(asset=each) for each in due]

    async def trash() -> Sequence[Command]:
        found = (
            Asset.get_pymongo_collection()
            .find({"purge_at": {"$lte": now()}}, {"_id": 1})
            .limit(AT_ONCE)
        )
        return [PurgeDue(asset=each["_id"]) async for each in found]

    # Of the first people are told, within two seconds of the instant.
    return (Clock("asset.rights", 1.0, rights), Clock("asset.trash", 15.0, trash))


async def _found(wanted: dict[str, object]) -> list[str]:
    collection = Asset.get_pymongo_collection()
    return [
        each["_id"]
        async for each in collection.find({**wanted, **IN_LIBRARY}, {"_id": 1}).limit(AT_ONCE)
    ]
