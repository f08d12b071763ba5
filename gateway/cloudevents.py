"""CloudEvents in a request: structured, in a batch, or binary.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
In binary mode the body is the data, and each ``ce-`` header an attribute.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web

from bus.producing.cloudevents import EventsInvalid, read_events
from contracts.envelope import Envelope
from contracts.errors import FieldError
from gateway.errors import MediaTypeUnsupported
from gateway.limits import parse_json
from gateway.problems import SHOWN

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
PREFIX = "ce-"

_JSON = re.compile(r"application/json|[a-z0-9.-]+/[\w.+-]+\+json", re.ASCII)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_IN_BODY = {
    "data": "is the body",
    "data_base64": "is the body",
    "datacontenttype": "is the header Content-Type",
}


def read_request(request: web.Request, body: bytes, org: str) -> list[Envelope]:
    """The events of an organization's producer.

    Raises MediaTypeUnsupported, BodyMalformed, or EventsInvalid, whose pointers lead into the
    body, or name a header.
    """
    media_type = request.content_type.lower()
    if media_type == STRUCTURED:
        return read_events(_of_shape(parse_json(request, body), dict, "one JSON object"), org=org)
    if media_type == BATCH:
        return read_events(_of_shape(parse_json(request, body), list, "a JSON array"), org=org)
    if media_type.startswith("application/cloudevents") or not _JSON.fullmatch(media_type):
        raise MediaTypeUnsupported(
            f"Send {STRUCTURED}, {BATCH}, or the data as application/json with ce- headers."
        )
    return _read_binary(request, parse_json(request, body) if body else None, org)


def _of_shape(document: Any, shape: type, name: str) -> Any:
    if not isinstance(document, shape):
        wrong = FieldError(pointer="", code="invalid", detail=f"must be {name}")
        raise EventsInvalid(f"/: {wrong.detail}", errors=[wrong])
    return document


def _read_binary(request: web.Request, data: Any, org: str) -> list[Envelope]:
    item: dict[str, Any] = {"data": data}
    broken: dict[str, FieldError] = {}
    for name, raw in request.headers.items():
        if not name.lower().startswith(PREFIX):
            continue
        attribute = name.lower().removeprefix(PREFIX)
        try:
            if attribute in _IN_BODY:
                raise ValueError(_IN_BODY[attribute])
            if attribute in item:
                raise ValueError("is given more than once")
            item[attribute] = _typed(attribute, decode_header(raw))
        except ValueError as error:
            pointer = f"{PREFIX}{attribute}"[:200]
            broken[attribute] = FieldError(pointer=pointer, code="invalid", detail=str(error))
    try:
        envelopes = read_events(item, org=org)
        wrong = list(broken.values())
    except EventsInvalid as error:
        others = [each for each in error.errors if each.pointer[1:] not in broken]
        wrong = [*broken.values(), *map(_in_header, others)]
        if not wrong:
            raise
    if wrong:
        named = "; ".join(f"{each.pointer or '/'}: {each.detail}" for each in wrong[:5])
        raise EventsInvalid(named, errors=wrong[:SHOWN])
    return envelopes


def _typed(attribute: str, text: str) -> str | int:
    """Every header is text; one attribute is a number."""
    if attribute == "dataversion" and re.fullmatch(r"[0-9]{1,10}", text):
        return int(text)
    return text


def _in_header(error: FieldError) -> FieldError:
    attribute = error.pointer[1:]
    if attribute == "data" or attribute.startswith("data/"):
        return error.model_copy(update={"pointer": attribute.removeprefix("data")})
    return error.model_copy(update={"pointer": PREFIX + attribute})


def decode_header(value: str) -> str:
    """The attribute in a header's value (3.1.3.2 of the binding). Raises ValueError."""
    if not value.isascii():
        raise ValueError("must be ASCII, with everything else percent-encoded")
    unquoted = _QUOTED.sub(lambda found: re.sub(r"\\(.)", r"\1", found[1]), value)
    if '"' in _QUOTED.sub("", value):
        raise ValueError("has a double quote without another")
    if re.search(r"%(?![0-9A-Fa-f]{2})", unquoted):
        raise ValueError("has a percent sign that begins no percent-encoding")
    try:
        return unquote_to_bytes(unquoted).decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 once it is percent-decoded") from None
