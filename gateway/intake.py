"""From a body, a path and headers to a command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.actor import Actor
from contracts.base import Command
from contracts.errors import DomainError, ErrorKind, FieldError
from gateway.errors import (
    IfMatchMalformed,
    ReferenceUnknown,
    RouteUnknown,
    ValidationFailed,
)
from gateway.limits import parse_object, unknown_fields
from gateway.problems import invalid
from gateway.table import Reference, Route

_UNPRINTABLE = re.compile(r"[^ -~]")


async def command_of(
    request: web.Request,
    route: Route,
    actor: Actor | None,
    body: bytes,
    parameters: Mapping[str, Any],
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
        value = parameters.get(name) if what == "parameter" else _from_request(request, what)
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
    """Raise ReferenceUnknown when a field names what the actor cannot see.

    A field of the items of a list is written ``logos/*/asset_id``. What is there but does not
    take anything now is a conflict, and raised as what it is.
    """
    if actor is None:
        return
    seen: set[tuple[Reference, str]] = set()
    for path, find in route.references.items():
        for pointer, value in _named(given, path.split("/"), ""):
            if (find, value) in seen:
                continue
            seen.add((find, value))
            try:
                await find(actor, value)
            except DomainError as error:
                raise _unknown(error, pointer) from error


def _named(given: Any, path: list[str], pointer: str) -> Iterator[tuple[str, str]]:
    """Where a reference's path leads in a body, and what is there."""
    if not path:
        if isinstance(given, str):
            yield pointer, given
    elif path[0] == "*" and isinstance(given, list):
        for number, each in enumerate(given):
            yield from _named(each, path[1:], f"{pointer}/{number}")
    elif isinstance(given, dict) and path[0] in given:
        yield from _named(given[path[0]], path[1:], f"{pointer}/{path[0]}")


def _unknown(error: DomainError, pointer: str) -> DomainError:
    errors = [FieldError(pointer=pointer, code=error.code, detail=error.detail)]
    if error.kind is ErrorKind.CONFLICT:
        return type(error)(f"{pointer}: {error.detail}", errors=errors)
    return ReferenceUnknown(f"{pointer}: {error.detail}", errors=errors)


def _from_request(request: web.Request, what: str) -> Any:
    if what in ("barred", "gateway"):
        return None  # said once the command is known
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
