"""Documents about the interface: /, /openapi.json, /problems."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from inspect import cleandoc
from typing import Any

from aiohttp import web
from pydantic import Field

import bus.producing.cloudevents  # noqa: F401 - every error must be known here
import contracts.catalog  # noqa: F401 - as above
from contracts.base import View
from contracts.errors import DomainError
from gateway.dispatch import respond
from gateway.errors import RouteUnknown
from gateway.limits import parse_parameters
from gateway.state import Gateway
from gateway.web.plain import plain_page
from infra.problems import STATUS

OPENAPI = web.AppKey("openapi", dict[str, Any])


class ProblemKindView(View):
    """What an error code means."""

    code: str
    title: str
    status: int
    explanation: str | None = Field(description="What to do about it, where that is not plain.")


class ProblemKindsView(View):
    """Every error code."""

    items: tuple[ProblemKindView, ...]


async def get_index(request: web.Request, _: Gateway, __: None) -> web.Response:
    """Where to look, as a page for people."""
    parse_parameters(request, None)
    links = (
        ("/docs", "the interface, for people"),
        ("/live", "what happens in an organization, as it happens"),
        ("/openapi.json", "the interface, for machines (OpenAPI 3.1)"),
        ("/problems", "every error code"),
        ("/health", "whether this process is alive"),
        ("/ready", "whether it has all that it needs"),
    )
    rows = "".join(
        f'<tr><td><a href="{path}">{path}</a></td><td>{escape(what)}</td></tr>'
        for path, what in links
    )
    return plain_page("Grid8", f"<table>{rows}</table>")


async def get_openapi(request: web.Request, _: Gateway, __: None) -> web.Response:
    """This interface as OpenAPI 3.1."""
    parse_parameters(request, None)
    return respond(request, 200, request.app[OPENAPI])


async def get_problem_kind(request: web.Request, _: Gateway, __: None) -> web.Response:
    """What the type of a problem means."""
    parse_parameters(request, None)
    found = DomainError.all().get(request.match_info["code"])
    if found is None:
        raise RouteUnknown("There is no problem with this code.")
    view = _kind(found)
    if _is_browser(request):
        return plain_page("Problem", _table([view]))
    return respond(request, 200, view.model_dump(mode="json"), {"Vary": "Accept"})


async def get_problem_kinds(request: web.Request, _: Gateway, __: None) -> web.Response:
    """Every problem there is."""
    parse_parameters(request, None)
    kinds = [_kind(error) for error in DomainError.all().values()]
    if _is_browser(request):
        return plain_page("Problems", _table(kinds))
    view = ProblemKindsView(items=tuple(kinds))
    return respond(request, 200, view.model_dump(mode="json"), {"Vary": "Accept"})


def _kind(error: type[DomainError]) -> ProblemKindView:
    own = error.__dict__.get("__doc__")
    return ProblemKindView(
        code=error.code,
        title=error.title,
        status=STATUS[error.kind],
        explanation=" ".join(cleandoc(own).split()) if own else None,
    )


def _is_browser(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _table(kinds: Sequence[ProblemKindView]) -> str:
    rows = "".join(
        f'<tr><td><a href="/problems/{escape(each.code)}"><code>{escape(each.code)}</code></a>'
        f"</td><td>{each.status}</td><td>{escape(each.title)}</td>"
        f"<td>{escape(each.explanation or '')}</td></tr>"
        for each in kinds
    )
    return f"<table><tr><th>Code<th>Status<th>Title<th></tr>{rows}</table>"
