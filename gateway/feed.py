"""The event log of an organization over HTTP: a feed that readers follow."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
)

from bus.feed import cursor as feed_cursor
from bus.feed.log import Wanted, read_feed
from bus.feed.push import read_pushed
from bus.feed.push_log import PushLog
from bus.feed.pushed import route_to_organization
from contracts.actor import Actor
from contracts.base import View
from contracts.envelope import Envelope
from contracts.types import TYPE_PATTERN, Time
from contracts.visibility import HIDDEN, public_json
from gateway.limits import parse_parameters
from gateway.state import Gateway

CloudEvent: Any = create_model(
    "CloudEvent",
    __config__=ConfigDict(extra="forbid"),
    __doc__="An event as clients see it; what it does not have is left out.",
    **{
        name: (info.annotation, info)
        for name, info in Envelope.model_fields.items()
        if name not in HIDDEN
    },  # type: ignore[call-overload]
)


class EventFeed(View):
    """Some events, the oldest first. There may be more at once, or none for now."""

    items: tuple[CloudEvent, ...]
    next_cursor: str = Field(description="Give it back as `after`; a feed has no end.")


class FeedParameters(BaseModel):
    """What of the feed is asked for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    after: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=feed_cursor.LENGTH,
            description=(
                "next_cursor of the page before; or the cursor of a realtime frame, for as many "
                "days as pushes are archived."
            ),
        ),
    ] = None
    limit: Annotated[int, Field(ge=1, le=200, description="Events on a page.")] = 50
    type: Annotated[
        Annotated[str, StringConstraints(pattern=TYPE_PATTERN, max_length=200)] | None,
        Field(description="A type, or the beginning of several, as in `corp.*`."),
    ] = None
    subject: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="What the events are about."),
    ] = None
    since: Annotated[
        Time | None,
        Field(description="Nothing that was logged before this time."),
    ] = None


async def list_events(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """What has happened in the organization, as a feed: oldest first, each event once."""
    given = parse_parameters(request, FeedParameters)
    after, limit = given.pop("after"), given.pop("limit")
    wanted = Wanted(**given)
    if after is not None and after.startswith("g"):
        items, cursor = await read_pushed(
            gateway.context.redis,
            actor.tenant,
            after,
            shards=gateway.settings.notifier.push_shards,
            limit=limit,
            wanted=wanted,
            log=_push_log(gateway),
        )
    else:
        begin = feed_cursor.decode(after) if after is not None else feed_cursor.FeedCursor()
        events, end = await read_feed(
            gateway.context.database, actor.tenant, begin, limit=limit, wanted=wanted
        )
        items, cursor = [public_json(each) for each in events], end.encode()
    body = b'{"items":[%b],"next_cursor":"%b"}' % (b",".join(items), cursor.encode())
    return web.Response(body=body, content_type="application/json")


def _push_log(gateway: Gateway) -> PushLog | None:
    settings, context = gateway.settings.notifier, gateway.context
    if not settings.archive_days:
        return None
    return PushLog(
        context.database,
        context.redis,
        shards=settings.push_shards,
        days=settings.archive_days,
        route=route_to_organization(settings.push_shards),
    )
