"""From a body, a path and headers to a command."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.actor import Actor
from contracts.base import Command
from contracts.errors import DomainError, FieldError
from gateway.errors import (
    IfMatchMalformed,
    ReferenceUnknown,
    RouteUnknown,
    ValidationFailed,
)
from gateway.limits import parse_object, unknown_fields
from gateway.problems import invalid
from gateway.table import Route

_UNPRINTABLE = re.compile(r"[^ -~]")


async def command_of(
    request: web.Request, route: Route, actor: Actor | None, body: bytes
) -> Command:
    """The command a request asks for. Raises DomainError for whatever is wrong with it."""
    contract = route.contract
    assert contract is not None
    given = parse_object(request, body)
    allowed = route.body_fields
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise unknown_fields(unknown, "The body has unknown fields.", prefix="/")
    if route.method == "PATCH" and not given:
        raise ValidationFailed("Name at least one field to change.")
    fields = {name: request.match_info[name] for name in route.in_path if name != "org"}
    for name, what in route.injected.items():
        value = _from_request(request, what)
        if value is not None:
            fields[name] = value
    # What was sent is validated as it came, unless something is added to it.
    whole = to_json(given | fields) if fields else body or b"{}"
    try:
        command = contract.model_validate_json(whole, strict=True)
    except ValidationError as error:
        raise _blame(error, route) from error
    await check_references(route, actor, given)
    return command


def _blame(error: ValidationError, route: Route) -> DomainError:
    """An id in the path that cannot be one means that there is no such thing."""
    if any(each["loc"] and each["loc"][0] in route.in_path for each in error.errors()):
        return RouteUnknown("An id in the address is not one.")
    return invalid(error)


async def check_references(route: Route, actor: Actor | None, given: dict[str, Any]) -> None:
    """Raise ReferenceUnknown when a field names what the actor cannot see."""
    for name, find in route.references.items():
        value = given.get(name)
        if not isinstance(value, str) or actor is None:
            continue
        try:
            await find(actor, value)
        except DomainError as error:
            detail = error.detail
            raise ReferenceUnknown(
                f"/{name}: {detail}",
                errors=[FieldError(pointer=f"/{name}", code=error.code, detail=detail)],
            ) from error


def _from_request(request: web.Request, what: str) -> Any:
    if what == "address":
        return request["address"]
    if what == "agent":
        return _UNPRINTABLE.sub("?", request.headers.get("User-Agent", "")[:512])
    value = request.headers.get("If-Match")
    if value is None or value.strip() == "*":
        return None
    named = re.fullmatch(r'\s*"(\d{1,15})"\s*', value)
    if named is None:
        raise IfMatchMalformed()
    return int(named[1])
