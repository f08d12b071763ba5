"""Files that a browser is given: the realtime client, its types, and the page that uses it.

They are as old as the installation, and are asked for again with the ETag that they came with:
modules of two versions never meet in one page for longer than a reload.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from inspect import cleandoc
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

from gateway.limits import parse_parameters
from gateway.serving.conditions import names
from gateway.state import Gateway
from gateway.table import Access, Route, custom
from infra.settings import Settings
from infra.tickets import sse_url, ws_url

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    # There is no registered type for TypeScript; readers of it go by the name.
    "ts": "text/plain",
}


class Served(NamedTuple):
    """A file of this package, where it is served, and as which operation."""

    path: str
    file: str
    operation: str
    summary: str


SERVED = (
    Served(
        "/live", "live.html", "get_live_page", "The page that shows what happens, as it happens."
    ),
    Served("/web/live.css", "live.css", "get_live_style", "The style sheet of /live."),
    Served("/web/live.js", "live.js", "get_live_module", "The module of /live."),
    *(
        Served(
            f"/web/live/{name}.js",
            f"live/{name}.js",
            f"get_live_{name}_module",
            f"A part of the module of /live: {what}.",
        )
        for name, what in (
            ("account", "who is signed in"),
            ("feed", "the list of events"),
            ("status", "how it is connected"),
            ("work", "how far work is"),
        )
    ),
    Served(
        "/web/realtime.js",
        "realtime.js",
        "get_realtime_module",
        "The realtime client for browsers, an ES module.",
    ),
    Served(
        "/web/realtime.d.ts",
        "realtime.d.ts",
        "get_realtime_types",
        "The types of the realtime client, for TypeScript.",
    ),
    *(
        Served(
            f"/web/realtime/{name}.js",
            f"realtime/{name}.js",
            f"get_realtime_{name}_module",
            f"A part of the realtime client: {what}.",
        )
        for name, what in (
            ("channel", "what one channel has heard"),
            ("connection", "keeping one line open"),
            ("cursors", "comparing cursors"),
            ("errors", "errors"),
            ("line", "what a line is"),
            ("pacing", "pauses and timers"),
            ("socket", "a WebSocket"),
            ("stream", "an event stream"),
            ("streamed", "what a stream of several channels is asked for"),
            ("tickets", "asking for tickets"),
        )
    ),
)


def served_route(served: Served) -> Route:
    """The route of a file."""

    async def get(request: web.Request, gateway: Gateway, _: None) -> web.Response:
        parse_parameters(request, None)
        text, etag = read(served.file)
        headers = {
            "Cache-Control": "no-cache",
            "ETag": etag,
            "Content-Security-Policy": policy(gateway.settings),
        }
        if names(request, "If-None-Match", etag, weakly=True):
            return web.Response(status=304, headers=headers)
        return web.Response(
            text=text, content_type=media_type(served), charset="utf-8", headers=headers
        )

    get.__name__ = served.operation
    get.__doc__ = cleandoc(served.summary)
    return custom("GET", served.path, get, allow=Access.PUBLIC, produces=media_type(served))


def media_type(served: Served) -> str:
    """The media type of a file, by its extension."""
    return _TYPES[served.file.rpartition(".")[2]]


def policy(settings: Settings) -> str:
    """What a page of ours may do: it asks the gateway, and listens to the notifier."""
    urls = (urlsplit(each) for each in (ws_url(settings), sse_url(settings)))
    notifier = " ".join(f"{each.scheme}://{each.netloc}" for each in urls)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {notifier}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def read(file: str) -> tuple[str, str]:
    """The text of a file of this package, and its ETag."""
    text = (files(__package__) / file).read_text("utf-8")
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
