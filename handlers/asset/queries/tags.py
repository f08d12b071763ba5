"""Reads of tags: what is written on the assets, counted when it is asked for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from bus.paging import Keyset, Place
from contracts.actor import Actor
from contracts.asset.views import TagPage, TagView
from contracts.base import Contract
from handlers.asset.documents import Asset
from handlers.asset.words import LAST, label_key, tag_of


class TagCursor(Contract):
    """Where a page of tags begins."""

    limit: Annotated[int, Field(ge=1, le=200, description="Tags on a page.")] = 50
    cursor: Annotated[
        str | None,
        Field(max_length=1600, min_length=1, description="next_cursor of the page before."),
    ] = None


Prefix = Annotated[
    str | None,
    Field(max_length=50, description="How they begin, whatever case and accents."),
]


async def list_tags(actor: Actor, cursor: TagCursor, prefix: Prefix = None) -> TagPage:
    """The tags of the library by name, each with how many assets have it."""
    key = label_key(prefix or "")
    meaning = {"organization_id": actor.tenant, "prefix": key}
    own = Keyset.model_construct(limit=cursor.limit, cursor=cursor.cursor, sort="tag")
    place = own.after_place(meaning)
    bounds = {"$gte": key, "$lt": key + LAST}
    if place is not None:
        bounds["$gt"] = str(place.value)
    stages: list[dict[str, Any]] = [
        {"$match": {"organization_id": actor.tenant, "labels": {"$elemMatch": bounds}}},
        {"$project": {"labels": 1}},
        {"$unwind": "$labels"},
        {"$match": {"labels": bounds}},
        {"$group": {"_id": "$labels", "assets": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
        {"$limit": cursor.limit + 1},
    ]
    found = [each async for each in await Asset.get_pymongo_collection().aggregate(stages)]
    shown = found[: cursor.limit]
    more = len(found) > cursor.limit
    return TagPage(
        items=tuple(TagView(tag=tag_of(each["_id"]), assets=each["assets"]) for each in shown),
        next_cursor=own.next_place(Place(shown[-1]["_id"], "tag"), meaning) if more else None,
    )
