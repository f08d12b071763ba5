"""The page about the interface for people, /docs: the OpenAPI document without scripts."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from aiohttp import web

from gateway.limits import parse_parameters
from gateway.state import Gateway
from gateway.web.documents import OPENAPI
from gateway.web.plain import POLICY, STYLE


async def get_docs(request: web.Request, _: Gateway, __: None) -> web.Response:
    """This interface as a page for people."""
    parse_parameters(request, None)
    return web.Response(
        text=docs_page(request.app[OPENAPI]),
        content_type="text/html",
        headers={"Content-Security-Policy": POLICY},
    )


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
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style>"
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
