"""OpenAPI 3.1, generated from the table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.json_schema import models_json_schema

from contracts.permissions import GRANTS, PLATFORM_GRANTS, Permission, PlatformPermission
from gateway.admission import LIMIT_HEADERS
from gateway.parameters import TEMPLATE, parameters_shown
from gateway.table import Access, Route, has_secrets, is_page
from infra.problems import MEDIA_TYPE, Problem

_STATUS_TEXT = {
    "200": "Done",
    "201": "Made",
    "202": "Accepted; see the status URL",
    "204": "Done, nothing to show",
    "206": "A part of the file",
    "304": "Not modified",
    "400": "Malformed",
    "401": "Not signed in",
    "403": "Not allowed",
    "404": "Not found, or another tenant's",
    "409": "In conflict with what is there",
    "410": "Expired",
    "412": "Changed since it was read",
    "413": "Too large",
    "415": "Media type not supported",
    "416": "Range outside of the file",
    "422": "Not valid",
    "423": "Locked; try again in a moment",
    "429": "Too many; see Retry-After",
    "460": "The checksum does not fit",
    "503": "A dependency is down; try again",
}


class Accepted(BaseModel):
    """A command that has been accepted and will be carried out."""

    command_id: str
    status_url: str


def body_model(route: Route) -> type[BaseModel]:
    """The body of a command route: its fields without those that come from elsewhere."""
    assert route.contract is not None
    fields = {name: route.contract.model_fields[name] for name in route.body_fields}
    extra: dict[str, Any] | None = {"minProperties": 1} if route.method == "PATCH" else None
    model: type[BaseModel] = create_model(
        route.contract.__name__,
        __config__=ConfigDict(extra="forbid", json_schema_extra=extra),
        __doc__=route.contract.__doc__,
        **{name: (info.annotation, info) for name, info in fields.items()},  # type: ignore[call-overload]
    )
    return model


def build(routes: Sequence[Route], *, server: str, version: str) -> dict[str, Any]:
    """The document."""
    bodies = {id(route): body_model(route) for route in routes if route.body_fields}
    views = {route.answers for route in routes if route.answers} | {Problem, Accepted}
    inputs = [(model, "validation") for model in bodies.values()]
    outputs = [(view, "serialization") for view in sorted(views, key=lambda view: view.__name__)]
    references, definitions = models_json_schema(
        [*inputs, *outputs],  # type: ignore[list-item]
        ref_template=TEMPLATE,
    )
    paths: dict[str, Any] = {}
    for route in routes:
        path = re.sub(r"{(\w+):[^}]+}", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(
            route, references, bodies.get(id(route))
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Grid8",
            "version": version,
            "description": (
                "Creative management and dynamic ads. Writes are commands: they are answered "
                "with the result, or 202 with a status URL. Errors are problem details "
                "(RFC 9457)."
            ),
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


_UPLOADS = ("uploadAsset", "uploadVersion")


def _operation(
    route: Route, references: dict[Any, Any], body: type[BaseModel] | None
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": [
            *_path_parameters(route),
            *_headers(route),
            *parameters_shown(route.parameters),
        ],
        "responses": _responses(route, references),
        "security": [] if route.allow is Access.PUBLIC else [{"bearer": []}],
    }
    if isinstance(route.allow, Permission):
        roles = [role.value for role, granted in GRANTS.items() if route.allow in granted]
        operation["description"] = f"Needs `{route.allow.value}`: {', '.join(roles)}."
        operation["x-permission"] = route.allow.value
    elif isinstance(route.allow, PlatformPermission):
        platform = [role.value for role, has in PLATFORM_GRANTS.items() if route.allow in has]
        operation["description"] = f"Needs `{route.allow.value}`: platform {', '.join(platform)}."
        operation["x-permission"] = route.allow.value
    elif route.allow is Access.KNOWN:
        operation["description"] = "Needs a signed-in user, or an API key."
    if body is not None:
        operation["requestBody"] = {
            "required": route.method == "PATCH"
            or any(info.is_required() for info in body.model_fields.values()),
            "content": {"application/json": {"schema": references[(body, "validation")]}},
        }
    elif route.media:
        operation["requestBody"] = {"required": True, "content": dict(route.media)}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": 80 if name != "key" else 1024,
            },
        }
        for name in route.in_path
    ]


def _headers(route: Route) -> list[dict[str, Any]]:
    headers = []
    if route.method in ("POST", "PATCH", "DELETE") and (
        route.kind == "command" or route.operation in (*_UPLOADS, "publishEvents")
    ):
        headers.append(
            _header(
                "Idempotency-Key",
                "The same key and request again gives the first answer, for 24 h.",
                {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            )
        )
        if _may_wait(route) and route.operation != "publishEvents":
            headers.append(
                _header("Prefer", "respond-async answers 202 at once.", {"type": "string"})
            )
    headers += [{"name": n, "in": "header", "schema": s} for n, s in route.headers.items()]
    if "if_match" in route.injected.values():
        headers.append(
            _header(
                "If-Match",
                'The revision that was read, as in "3".',
                {"type": "string", "pattern": r'^"\d{1,15}"$'},
            )
        )
    return headers


def _header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _responses(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    answers: dict[str, Any] = {str(route.status): _success(route, references)}
    if (route.kind == "command" and _may_wait(route)) or route.operation in _UPLOADS:
        answers["202"] = _json("202", references[(Accepted, "serialization")])
    if route.operation in ("getFile", "getTransformed"):
        answers["206"] = {"description": _STATUS_TEXT["206"], "content": _bytes()}
        answers["416"] = {"description": _STATUS_TEXT["416"]}
    if (
        route.kind == "query"
        and route.revised
        and route.answers
        and "revision" in route.answers.model_fields
    ) or route.operation in ("getFile", "getTransformed"):
        answers["304"] = {"description": _STATUS_TEXT["304"]}
    for status in _refusals(route):
        answers[status] = {
            "description": _STATUS_TEXT[status],
            "content": {MEDIA_TYPE: {"schema": references[(Problem, "serialization")]}},
        }
    answers["429"]["headers"] = LIMIT_HEADERS
    return dict(sorted(answers.items()))


def _may_wait(route: Route) -> bool:
    """Whether a status URL can tell the outcome later."""
    return route.allow is not Access.PUBLIC and not has_secrets(route.answers)


def _refusals(route: Route) -> list[str]:
    found = ["400", "404", "422", "429", "503"]
    if route.allow is not Access.PUBLIC or route.contract is not None:
        found.append("401")
    if route.allow is not Access.PUBLIC:
        found.append("403")
    if route.method != "GET":
        found += ["409", "413", "415"]
    if "if_match" in route.injected.values():
        found.append("412")
    found += map(str, route.refusals)
    if route.contract is not None and route.contract.domain() == "auth":
        found.append("429")
    return sorted(found)


def _success(route: Route, references: dict[Any, Any]) -> dict[str, Any]:
    text = _STATUS_TEXT[str(route.status)]
    if route.answers is None:
        if route.status == 204:
            return {"description": text}
        if route.produces == "application/json":
            return {
                "description": text,
                "content": {"application/json": {"schema": {"type": "object"}}},
            }
        return {"description": text, "content": _bytes(route.produces)}
    answer = _json(str(route.status), references[(route.answers, "serialization")])
    if "revision" in route.answers.model_fields:
        answer["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The revision."}}
    if route.location is not None or route.operation in _UPLOADS:
        answer.setdefault("headers", {})["Location"] = {"schema": {"type": "string"}}
    if is_page(route.answers):
        answer["description"] = "One page"
    if route.kind == "custom" and route.status == 202:
        answer["description"] = "In the event log"
    return answer


def _json(status: str, schema: Any) -> dict[str, Any]:
    return {
        "description": _STATUS_TEXT[status],
        "content": {"application/json": {"schema": schema}},
    }


def _bytes(media_type: str = "*/*") -> dict[str, Any]:
    if media_type == "text/html":
        return {"text/html": {"schema": {"type": "string"}}}
    return {"*/*": {"schema": {"type": "string", "format": "binary"}}}


def _tag(path: str) -> str:
    """The heading of a path: what it is about, in one word."""
    if path.startswith("/v1/orgs/{org}/"):
        return path.split("/")[4]
    if path.startswith("/v1/"):
        return {"orgs": "organizations", "me": "auth"}.get(path.split("/")[2], path.split("/")[2])
    return "files" if path.startswith("/files") else "about"
