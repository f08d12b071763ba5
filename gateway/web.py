"""Pages and documents about the interface: /, /openapi.json, /docs, /problems."""

from __future__ import annotations

import json
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
        ("/openapi.json", "the interface, for machines (OpenAPI 3.1)"),
        ("/problems", "every error code"),
        ("/health", "whether this process is alive"),
        ("/ready", "whether it has all that it needs"),
    )
    rows = "".join(
        f'<tr><td><a href="{path}">{path}</a></td><td>{escape(what)}</td></tr>'
        for path, what in links
    )
    return _page("Grid8", f"<table>{rows}</table>")


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
        return _page("Problem", _table([view]))
    return respond(request, 200, view.model_dump(mode="json"), {"Vary": "Accept"})


async def get_problem_kinds(request: web.Request, _: Gateway, __: None) -> web.Response:
    """Every problem there is."""
    parse_parameters(request, None)
    kinds = [_kind(error) for error in DomainError.all().values()]
    if _is_browser(request):
        return _page("Problems", _table(kinds))
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


def _page(title: str, content: str) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}body{{display:block}}</style>"
        f"<main><h1>{title}</h1>{content}</main></html>"
    )
    headers = {"Content-Security-Policy": _POLICY, "Vary": "Accept"}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def get_docs(request: web.Request, _: Gateway, __: None) -> web.Response:
    """This interface as a page for people."""
    parse_parameters(request, None)
    return web.Response(
        text=docs_page(request.app[OPENAPI]),
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY},
    )


_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2563eb}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:16rem 1fr}
nav{border-right:1px solid var(--line);padding:1.5rem 1rem;position:sticky;top:0;height:100vh;
overflow:auto;font-size:13px}
nav h2{font-size:12px;text-transform:uppercase;letter-spacing:.06em;margin:1.2rem 0 .3rem;opacity:.7}
nav a{display:block;color:inherit;text-decoration:none;padding:.1rem 0;white-space:nowrap;
overflow:hidden;text-overflow:ellipsis}
nav a:hover{color:var(--accent)}
main{padding:2rem 2.5rem 6rem;max-width:62rem;min-width:0}
h1{margin:0 0 .5rem}h2.tag{margin:2.5rem 0 .5rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0;background:var(--soft)}
summary{cursor:pointer;padding:.6rem .9rem;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary code{font-size:14px}summary span{opacity:.75}
.m{font:700 12px ui-monospace,monospace;min-width:4.2rem;color:var(--accent)}
.in{padding:0 1rem 1rem}table{border-collapse:collapse;width:100%;font-size:13.5px}
td,th{text-align:left;padding:.3rem .6rem;border-top:1px solid var(--line);vertical-align:top}
pre{overflow:auto;background:var(--soft);border:1px solid var(--line);border-radius:6px;
padding:.7rem;font-size:12.5px}
@media(max-width:800px){body{display:block}nav{display:none}main{padding:1rem}}
@media(max-width:600px){tr{display:block;border-top:1px solid var(--line);padding:.4rem 0}th{display:none}
td{display:inline-block;border:0;padding:.1rem .6rem .1rem 0;max-width:100%}
code{overflow-wrap:anywhere}}
"""


def docs_page(document: dict[str, Any]) -> str:
    """The OpenAPI document as one page of HTML, without scripts."""
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    links = "".join(
        f"<h2>{escape(tag)}</h2>"
        + "".join(
            f'<a href="#{escape(operation["operationId"])}">{escape(operation["summary"].rstrip("."))}</a>'
            for _, _, operation in operations
        )
        for tag, operations in by_tag.items()
    )
    sections = "".join(
        f'<h2 class="tag">{escape(tag)}</h2>'
        + "".join(_operation(*each, document=document) for each in operations)
        for tag, operations in by_tag.items()
    )
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<nav><strong>Grid8 API</strong> {escape(info['version'])}{links}</nav>"
        f"<main><h1>Grid8 API</h1><p>{escape(info['description'])}</p>"
        f'<p>Machine-readable: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). '
        f"Server: <code>{escape(document['servers'][0]['url'])}</code></p>{sections}</main></html>"
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], *, document: dict[str, Any]
) -> str:
    parts = [
        f"<p>{escape(operation.get('description', 'Public.' if not operation['security'] else 'Needs a signed-in user.'))}</p>"
    ]
    if operation["parameters"]:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
            f"<td>{escape(_type(each['schema']))}{'' if each.get('required') else ', optional'}</td>"
            f"<td>{escape(each.get('description', ''))}</td></tr>"
            for each in operation["parameters"]
        )
        parts.append(f"<table><tr><th>Parameter<th>In<th>Type<th></tr>{rows}</table>")
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        parts.append(f"<h4>Body: {escape(media_type)}</h4>{_schema(body['schema'], document)}")
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(answer['description'])}</td>"
        f"<td>{_answer_type(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h4>Answers</h4><table>{rows}</table>")
    for answer in operation["responses"].values():
        for media_type, body in answer.get("content", {}).items():
            if media_type == "application/json" and "$ref" in body["schema"]:
                parts.append(_schema(body["schema"], document))
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>'
        f'<span class="m">{method}</span><code>{escape(path)}</code>'
        f"<span>{escape(operation['summary'])}</span></summary>"
        f'<div class="in">{"".join(parts)}</div></details>'
    )


def _answer_type(answer: dict[str, Any]) -> str:
    return ", ".join(
        f"{escape(media_type)} <code>{escape(body['schema'].get('$ref', '').rpartition('/')[2])}</code>"
        for media_type, body in answer.get("content", {}).items()
    )


def _schema(schema: dict[str, Any], document: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = document["components"]["schemas"].get(name, schema)
    title = f"<p><code>{escape(name)}</code></p>" if name else ""
    return f"{title}<pre>{escape(json.dumps(found, indent=2, ensure_ascii=False))}</pre>"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    return str(schema.get("const", schema.get("type", "any")))
