"""Reads of the versions of an asset: the one it shows, and those beside it."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from bus.paging import Cursor, Page
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound, VersionNotFound
from contracts.asset.types import VersionNumber
from contracts.asset.views import VersionView
from handlers.asset.documents import IN_LIBRARY, Asset, AssetVersion
from handlers.asset.queries.views import former_view, shown_view
from handlers.asset.rules import version_id

TRIES = 5
_NUMBER: TypeAdapter[int] = TypeAdapter(VersionNumber)


async def list_versions(actor: Actor, cursor: Cursor, asset: str) -> Page[VersionView]:
    """The versions of an asset. Raises AssetNotFound."""
    descending = cursor.sort.startswith("-")
    after = cursor.after()
    beyond = {} if after is None else {"_id": {"$lt" if descending else "$gt": after}}
    for _ in range(TRIES):
        shown = await _asset(actor, asset)
        documents = (
            await AssetVersion.find({"asset_id": shown.id, **beyond})
            .sort(("-" if descending else "+") + "_id")
            .limit(cursor.limit + 1)
            .to_list()
        )
        # Another version may have been shown in between, and this one be missing or here twice.
        if (await _asset(actor, asset)).number == shown.number:
            break
    views = {each.id: former_view(each, shown) for each in documents}
    own = version_id(shown.id, shown.number)
    if after is None or (own < after if descending else own > after):
        views[own] = shown_view(shown)
    ids = sorted(views, reverse=descending)
    kept = ids[: cursor.limit]
    return Page(
        items=tuple(views[id] for id in kept),
        next_cursor=cursor.next(kept[-1]) if len(ids) > len(kept) else None,
    )


async def get_version(actor: Actor, asset: str, version: str) -> VersionView:
    """One version of an asset. Raises AssetNotFound or VersionNotFound."""
    try:
        number = _NUMBER.validate_python(version)
    except ValidationError as error:
        raise VersionNotFound() from error
    for _ in range(TRIES):
        shown = await _asset(actor, asset)
        if shown.number == number:
            return shown_view(shown)
        found = await AssetVersion.get(version_id(shown.id, number))
        if found is not None:
            return former_view(found, shown)
        if (await _asset(actor, asset)).number == shown.number:
            break
    raise VersionNotFound()


async def _asset(actor: Actor, asset: str) -> Asset:
    wanted = {"_id": asset, "organization_id": actor.tenant, **IN_LIBRARY}
    found = await Asset.find_one(wanted)
    if found is None:
        raise AssetNotFound()
    return found
