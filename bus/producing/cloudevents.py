"""CloudEvents 1.0 in JSON, as internal producers send them: checked, attribute by attribute.

Registered events are those that are declared: a caller imports ``contracts.catalog``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import to_json

from contracts.base import Event
from contracts.envelope import Envelope
from contracts.errors import DomainError, ErrorKind, FieldError
from contracts.types import Id, now

BATCH_LIMIT = 1000
"""Events in one batch."""
SIZE_LIMIT = 1024 * 1024
"""Bytes that one event may have as JSON; every socket that hears it is sent as many."""
DEPTH = 50
"""Levels of nesting in ``data``; MongoDB takes a hundred."""

_CUSTOM = re.compile(r"custom(\.[a-z0-9][a-z0-9_-]*)+", re.ASCII)
_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_URI_REFERENCE = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+", re.ASCII)
_JSON = re.compile(r"(application/json|[a-z0-9.-]+/[\w.+-]+\+json)\s*(;.*)?", re.A | re.I)
_OWN_SOURCE = "/grid8/"

_TAKEN = {
    *("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data"),
    *("dataversion", "org", "correlationid", "traceparent"),
}
_DROPPED = {"dataschema", "tracestate"}
_OURS = {"actor", "role", "session", "causationid", "replyto", "revision"}

_org: TypeAdapter[str] = TypeAdapter(Id)
_time: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class EventsInvalid(DomainError):
    """What was sent is not a CloudEvent, or none that is taken; ``errors`` names each attribute."""

    code = "event_invalid"
    kind = ErrorKind.INVALID
    title = "The event is not valid"


class _Wrong(ValueError):
    def __init__(self, attribute: str, detail: str, code: str = "invalid") -> None:
        super().__init__(detail)
        self.error = FieldError(pointer=attribute, code=code, detail=detail)


def read_events(
    document: Any, *, org: str | None = None, by_operator: bool = False
) -> list[Envelope]:
    """The events in a parsed JSON document: one CloudEvent, or an array of them.

    ``org`` is the organization they must belong to, and do when they name none. A type is
    ``custom.<name>``, which needs an organization, or that of a registered event, whose data
    must fit its contract. Other domains believe a registered event: an organization's
    producer may send only those that are ``producible``, and none in our own name
    (``/grid8/…``); an operator on the machine (``by_operator``) may send any.
    Their ids are still the producer's: see ``bus.producing.accept.produce``.
    Raises EventsInvalid with all that is wrong; pointers begin with the place in the array.
    """
    many = isinstance(document, list)
    items = document if many else [document]
    if not 1 <= len(items) <= BATCH_LIMIT:
        raise EventsInvalid(f"A batch holds 1 to {BATCH_LIMIT} events, not {len(items)}.")
    if org is not None:
        try:
            _organization(org)
        except _Wrong as refused:
            raise EventsInvalid(f"/org: {refused.error.detail}", errors=[refused.error]) from None
    errors: list[FieldError] = []
    envelopes = []
    for index, item in enumerate(items):
        prefix = f"/{index}" if many else ""
        found, wrong = _read(item, org, by_operator)
        errors += [each.model_copy(update={"pointer": f"{prefix}{each.pointer}"}) for each in wrong]
        envelopes += [found] if found is not None else []
    if errors:
        named = "; ".join(f"{each.pointer or '/'}: {each.detail}" for each in errors[:5])
        raise EventsInvalid(named, errors=errors[:100])
    return envelopes


def _read(
    item: Any, org: str | None, by_operator: bool
) -> tuple[Envelope | None, list[FieldError]]:
    if not isinstance(item, Mapping):
        return None, [FieldError(pointer="", code="invalid", detail="must be a JSON object")]
    errors = [error.error for error in _attributes(item)]
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        try:
            values[name] = check(item.get(name))
        except _Wrong as wrong:
            errors.append(wrong.error)
    if errors:
        return None, errors
    if org is not None:
        if values["org"] not in (None, org):
            return None, [_Wrong("/org", f"must be {org} or absent").error]
        values["org"] = org
    if not by_operator and values["source"].startswith(_OWN_SOURCE):
        taken = f"must not begin with {_OWN_SOURCE}, which is ours"
        return None, [_Wrong("/source", taken, "reserved").error]
    try:
        return _of_contract(values, by_operator), []
    except _Wrong as wrong:
        return None, [wrong.error]
    except ValidationError as error:
        return None, [
            FieldError(
                pointer="/data" + "".join(f"/{part}" for part in each["loc"]),
                code=each["type"],
                detail=each["msg"],
            )
            for each in error.errors(include_input=False, include_url=False)
        ]


def _attributes(item: Mapping[str, Any]) -> Iterator[_Wrong]:
    for name in item:
        if name in _TAKEN or name in _DROPPED:
            continue
        if name in _OURS:
            yield _Wrong(f"/{name}", "is set by Grid8, not by a producer", "reserved")
        elif name == "data_base64":
            yield _Wrong("/data_base64", "binary data is not taken; send JSON in data")
        elif _NAME.fullmatch(name):
            yield _Wrong(f"/{name}", "is no attribute that is kept; put it into data", "unknown")
        else:
            yield _Wrong(
                f"/{name}", "an attribute's name is lower-case letters and digits", "unknown"
            )


def _of_contract(values: dict[str, Any], by_operator: bool) -> Envelope:
    wire, version = values["type"], values["dataversion"]
    if wire.startswith("custom."):
        if values["org"] is None:
            raise _Wrong("/org", f"{wire} needs an organization", "missing")
        return Envelope(**values)
    contract = Event.of_wire(wire, version)
    if contract is None:
        raise _Wrong(
            "/type",
            f"{wire} version {version} is neither custom.<name> nor a registered event",
            "unknown",
        )
    if not by_operator and not contract.producible:
        raise _Wrong(
            "/type",
            f"{wire} is told by Grid8 alone; a producer's own type is custom.<name>",
            "not_producible",
        )
    event = contract.model_validate(values["data"])
    subject = str(getattr(event, contract.subject))
    if values["subject"] not in (None, subject):
        raise _Wrong("/subject", f"must be the {contract.subject} of data, or absent")
    data = event.model_dump(mode="json", exclude_unset=True)
    return Envelope(**{**values, "subject": subject, "data": data})


def _text(name: str, limit: int, pattern: re.Pattern[str] | None = None, says: str = "") -> Any:
    def check(value: Any) -> str:
        if value is None:
            raise _Wrong(f"/{name}", "is required", "missing")
        if not isinstance(value, str) or not 0 < len(value) <= limit or not value.isprintable():
            raise _Wrong(f"/{name}", f"must be a string of 1 to {limit} printable characters")
        if pattern is not None and not pattern.fullmatch(value):
            raise _Wrong(f"/{name}", says)
        return value

    return check


def _or_none(check: Any) -> Any:
    return lambda value: None if value is None else check(value)


def _specversion(value: Any) -> str:
    if value != "1.0":
        code = "missing" if value is None else "invalid"
        raise _Wrong("/specversion", 'must be "1.0"', code)
    return "1.0"


def _type(value: Any) -> str:
    wire: str = _text("type", 200)(value)
    if wire.partition(".")[0] == "custom" and not _CUSTOM.fullmatch(wire):
        raise _Wrong("/type", "must be custom.<name>: lower-case words with dots between")
    return wire


def _when(value: Any) -> datetime:
    if value is None:
        return now()
    try:
        if not isinstance(value, str):
            raise TypeError
        return _time.validate_python(value).astimezone(UTC)
    except (ValueError, TypeError):
        raise _Wrong("/time", "must be an RFC 3339 time with its offset") from None
    except OverflowError:
        raise _Wrong("/time", "must be within the years 1 to 9999 in UTC") from None


def _media_type(value: Any) -> str:
    if value is not None and not (isinstance(value, str) and _JSON.fullmatch(value)):
        raise _Wrong("/datacontenttype", "must be a JSON media type, or absent")
    return "application/json"


def _version(value: Any) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise _Wrong("/dataversion", "must be a whole number from 1")
    return value


def _organization(value: Any) -> str:
    try:
        return _org.validate_python(value, strict=True)
    except ValidationError:
        raise _Wrong("/org", "must be the id of an organization") from None


def _data(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong("/data", "must be a JSON object")
    _storable(value, "/data", DEPTH)
    if len(to_json(value)) > SIZE_LIMIT:
        raise _Wrong("/data", f"must not be larger than {SIZE_LIMIT} bytes as JSON", "too_large")
    return value


def _storable(value: Any, at: str, levels: int) -> None:
    """Raise _Wrong for JSON that MongoDB could not keep as it is."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise _Wrong(at, "must fit into 64 bits")
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        raise _Wrong(at, "must be a finite number")
    if isinstance(value, str):
        _encodable(value, at)
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise _Wrong(at, f"must not be nested more than {DEPTH} levels deep")
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(name, str):
            _encodable(name, at)
            if "\0" in name:
                raise _Wrong(at, "a name must not hold a NUL character")
        _storable(part, f"{at}/{name}", levels - 1)


def _encodable(text: str, at: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Wrong(at, "must be valid Unicode") from None


_CHECKS: dict[str, Any] = {
    "specversion": _specversion,
    "id": _text("id", 128),
    "source": _text("source", 200, _URI_REFERENCE, "must be a URI or the path of one"),
    "type": _type,
    "time": _when,
    "subject": _or_none(_text("subject", 200)),
    "datacontenttype": _media_type,
    "dataversion": _version,
    "data": _data,
    "org": _or_none(_organization),
    "correlationid": _or_none(_text("correlationid", 128)),
    "traceparent": _or_none(
        _text(
            "traceparent",
            55,
            re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"),
            "must be a W3C traceparent",
        )
    ),
}
