"""The event stream of a browser's EventSource: one request, one or more channels.

An EventSource comes back by itself, after as long as ``retry:`` says, when its connection
breaks or the stream ends; after any answer but 200 it stops for good. So whatever passes by
itself is answered with a stream that says ``close`` and ends, and only what another try would
not change is answered with a status: 400, 401, 403, 404, 429.
"""

from __future__ import annotations

from aiohttp import web

from bus.feed.push_cursor import decode, secret_of
from contracts.errors import DomainError, ErrorKind
from contracts.realtime.errors import (
    ChannelMissing,
    CursorInvalid,
    FrameInvalid,
    RealtimeUnavailable,
    TooManySubscriptions,
)
from handlers.notifier.frames import message, sse
from handlers.notifier.metrics import CONNECTS
from handlers.notifier.peer import Close
from handlers.notifier.presence.asking import watched_channels
from handlers.notifier.silence import end_when_silent
from handlers.notifier.sse_ops import OpsPeer, wants_ops
from handlers.notifier.sse_peer import SsePeer, retry_ms
from handlers.notifier.state import REALTIME, Realtime
from handlers.routing import is_channel

MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


async def connect(request: web.Request) -> web.StreamResponse:
    """GET /v1/realtime/sse?ticket=&channel=…&since=&presence=…&frames="""
    realtime = request.app[REALTIME]
    realtime.check_open()
    realtime.door.check_origin(request)
    realtime.door.ticket_of(request)
    transport = request.transport
    # What is wrong with the request itself is said before its ticket is spent.
    kind: type[SsePeer] = OpsPeer if wants_ops(request) else SsePeer
    channels = _channels(request, realtime.settings.subscriptions)
    watched = watched_channels(request, channels)
    last_id = _one(request.headers.getall("Last-Event-ID", []))
    given = last_id or _one(request.query.getall("since", []))
    since = decode(given, realtime.hub.shards) if given else None
    secret = secret_of(last_id) if last_id else None
    stream = await realtime.door.admit_stream(request, channels, secret)
    response = web.StreamResponse(headers=HEADERS)
    response.force_close()
    assert transport is not None
    end_when_silent(transport, realtime.settings.heartbeat)
    peer = kind(realtime, stream, response, transport)
    realtime.hub.join(peer)
    realtime.keeper.take(peer)
    try:
        refused = await _authorise(peer, realtime, channels)
        realtime.check_open()
        if peer.ending is not None:
            raise RealtimeUnavailable()
        await response.prepare(request)
        CONNECTS.labels("sse", "resumed" if stream.resumed else "opened").inc()
        await peer.serve(
            [each for each in channels if each not in refused], refused, since, watched
        )
    finally:
        realtime.keeper.release(peer)
        await peer.gone()
    return response


def wants_stream(request: web.Request) -> bool:
    """Whether who asks reads event streams, as every EventSource does."""
    return MEDIA_TYPE in request.headers.get("Accept", "")


def again(request: web.Request, error: DomainError) -> web.Response:
    """A stream that says to come back, and ends: for a refusal that passes by itself."""
    # An id goes with it: where a stream's first event has none, the client may forget its own.
    last_id = request.headers.get("Last-Event-ID", "")
    try:
        secret_of(last_id)
    except CursorInvalid:
        last_id = ""
    wait = retry_ms() + int(1000 * (error.retry_after or 0))
    says = {"code": int(Close.TRY_AGAIN_LATER), "reason": error.detail}
    ops = request.query.get("frames") == "ops"
    gone = message("close", **says) if ops else sse("close", says)
    head = f"retry: {wait}\n" + (f"id: {last_id}\n" if last_id else "")
    return web.Response(body=head.encode() + gone, headers=HEADERS)


def passes(error: DomainError) -> bool:
    """Whether a refusal may be over at the next try."""
    return error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL)


async def _authorise(
    peer: SsePeer, realtime: Realtime, channels: list[str]
) -> dict[str, DomainError]:
    """The channels the user may not see, and why. Raises a DomainError unless some are left.

    A stream begins with all of its channels or not at all, unless it can say of each why not.
    One that goes on has lost those that are gone by now, and its client cannot name others.
    """
    while True:
        authority = peer.authority
        refused: dict[str, DomainError] = {}
        for channel in channels:
            try:
                await peer.authorise(realtime.authorise, channel)
            except DomainError as error:
                if passes(error) or not (peer.stream.resumed or peer.tells_refusals):
                    raise
                refused[channel] = error
        if authority == peer.authority:
            break
    if len(refused) == len(channels) and (peer.stream.resumed or not peer.tells_refusals):
        raise refused[channels[0]]
    return refused


def _one(given: list[str]) -> str:
    if len(given) > 1:
        raise CursorInvalid("Two cursors were given where one is meant.")
    return given[0] if given else ""


def _channels(request: web.Request, limit: int) -> list[str]:
    channels = list(dict.fromkeys(request.query.getall("channel", [])))
    if not channels:
        raise ChannelMissing()
    if len(channels) > limit:
        raise TooManySubscriptions(f"A connection may have {limit} channels.")
    if not all(is_channel(channel) for channel in channels):
        raise FrameInvalid("channel must be a text such as org or project:{id}.")
    return channels
