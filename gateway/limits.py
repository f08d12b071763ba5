"""Reading bodies and parameters: bounded, strict, with an error for each way to be wrong."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, get_args

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from bus.deadlines import Within
from contracts.errors import FieldError
from gateway.errors import (
    BodyMalformed,
    BodyTooLarge,
    MediaTypeUnsupported,
    RequestMalformed,
    ValidationFailed,
)
from gateway.problems import SHOWN, invalid, pointer

# pydantic also takes 1.0, 1_0 and +1.
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)

BODY_TIMEOUT = 30.0
"""Seconds a JSON body may take to arrive."""


async def read_body(request: web.Request, limit: int) -> bytes:
    """The whole body. Raises BodyTooLarge past ``limit`` bytes, without reading on."""
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(f"At most {limit} bytes are taken here.")
    body = bytearray()
    try:
        with Within(BODY_TIMEOUT):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > limit:
                    raise BodyTooLarge(f"At most {limit} bytes are taken here.")
    except TimeoutError as error:
        raise RequestMalformed("The body did not arrive in time.") from error
    except web.RequestPayloadError as error:
        raise RequestMalformed("The body could not be read to its end.") from error
    return bytes(body)


def parse_object(request: web.Request, body: bytes) -> dict[str, Any]:
    """The JSON object in a body; an absent body is an empty object."""
    if not body:
        return {}
    if request.content_type != "application/json":
        raise MediaTypeUnsupported("Send Content-Type: application/json.")
    parsed = parse_json(request, body)
    if not isinstance(parsed, dict):
        raise ValidationFailed(
            "The body must be a JSON object.",
            errors=[FieldError(pointer="", code="object_type", detail="must be an object")],
        )
    return parsed


def parse_json(request: web.Request, body: bytes) -> Any:
    """What a body says, whatever the kind of JSON. Raises BodyMalformed."""
    if (request.charset or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise MediaTypeUnsupported("JSON is UTF-8 (RFC 8259).")
    try:
        parsed = from_json(body, allow_inf_nan=False)
        json.loads(body, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise BodyMalformed(f"{str(error).capitalize()[:200]}.") from error
    return parsed


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    """Raise ValueError for a name given twice: two readers would take two values for it."""
    if len(pairs) > 1 and len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is given twice in an object")


def unknown_fields(names: list[str], detail: str, *, prefix: str = "") -> ValidationFailed:
    """Names that are not known here, as a problem."""
    return ValidationFailed(
        detail,
        errors=[
            FieldError(
                pointer=prefix + (pointer(name) if prefix else name[:200]),
                code="extra_forbidden",
                detail="is not known here",
            )
            for name in names[:SHOWN]
        ],
    )


def _is_whole(annotation: Any) -> bool:
    """Whether a parameter is a whole number, where it is given."""
    return annotation is int or any(_is_whole(each) for each in get_args(annotation))


def parse_parameters(request: web.Request, model: type[BaseModel] | None) -> dict[str, Any]:
    """The query parameters by name, validated. Unknown and repeated ones are refused."""
    names = list(request.query)
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise ValidationFailed(
            "A query parameter may be given once.",
            errors=[
                FieldError(pointer=name[:200], code="repeated", detail="given more than once")
                for name in repeated[:SHOWN]
            ],
        )
    if model is None:
        if not names:
            return {}
        raise unknown_fields(names, "This address takes no query parameters.")
    for name in names:
        info = model.model_fields.get(name)
        if (
            info is not None
            and _is_whole(info.annotation)
            and not _INTEGER.fullmatch(request.query[name])
        ):
            detail = "must be a whole number, in digits"
            raise ValidationFailed(
                f"{name}: {detail}",
                errors=[FieldError(pointer=name, code="int_parsing", detail=detail)],
            )
    try:
        found = model.model_validate(dict(request.query))
    except ValidationError as error:
        raise invalid(error, prefix="") from error
    return {name: getattr(found, name) for name in model.model_fields}
