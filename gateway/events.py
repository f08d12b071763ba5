"""Events of an organization's producers over HTTP: into the log once each, all or none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import Field
from redis.exceptions import RedisError

from bus.producing.accept import Accepted, produce
from contracts.actor import Actor
from contracts.base import View
from contracts.envelope import Envelope
from contracts.types import new_id
from gateway.cloudevents import BATCH, PREFIX, STRUCTURED, read_request
from gateway.dispatch import respond, traceparent_of
from gateway.errors import DependencyDown
from gateway.idempotency import Answer, Claim
from gateway.limits import parse_parameters, read_body
from gateway.patience import patience
from gateway.state import Gateway


class AcceptedEvent(View):
    """One event that is in the log."""

    id: str = Field(description="As its producer named it.")
    event_id: str = Field(description="As the feed names it.")
    repeated: bool = Field(description="Whether it was accepted before, or twice in one batch.")


class AcceptedEvents(View):
    """In the order in which they were sent."""

    items: tuple[AcceptedEvent, ...]


async def publish_events(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Send CloudEvents 1.0: one, a batch, or the data of one with its attributes in ce- headers.

    All are accepted or none, and each once: an event with the source and id of one before is
    found to be ``repeated``. On the answer, 202, they are in the event log.
    """
    parse_parameters(request, None)
    body = await read_body(request, gateway.settings.gateway.body_limit)
    envelopes = [
        _attributed(each, request, actor) for each in read_request(request, body, actor.tenant)
    ]
    async with _claimed(request, gateway, actor, body) as claim:
        with patience():
            accepted = await produce(
                gateway.committer, gateway.context.publisher, gateway.context.database, envelopes
            )
        if claim is None:
            return _answer(request, accepted, [each.repeated for each in accepted])
        if claim.answer is not None:
            assert claim.answer.body is not None
            first = set(claim.answer.body["repeated"])
            flags = [number in first for number in range(len(accepted))]
            return _answer(request, accepted, flags, {"Idempotent-Replayed": "true"})
        # The ids can be found again; with them, an answer could be as large as the batch.
        repeated = [number for number, each in enumerate(accepted) if each.repeated]
        with patience():
            await gateway.idempotency.answered(claim, Answer(202, {}, {"repeated": repeated}))
        return _answer(request, accepted, [each.repeated for each in accepted])


def _attributed(envelope: Envelope, request: web.Request, actor: Actor) -> Envelope:
    """The event, with who sent it."""
    return envelope.model_copy(
        update={
            "actor": actor.user,
            "role": actor.role,
            "session": actor.session,
            "impersonator": actor.impersonator,
            "address": request["address"],
            "correlationid": envelope.correlationid or request["id"],
            "traceparent": envelope.traceparent or traceparent_of(request),
        }
    )


@asynccontextmanager
async def _claimed(
    request: web.Request, gateway: Gateway, actor: Actor, body: bytes
) -> AsyncIterator[Claim | None]:
    """The Idempotency-Key, if there is one; given back when the events could not be accepted."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        yield None
        return
    headers = (f"{name.lower()}: {value}" for name, value in request.headers.items())
    said = sorted(each for each in headers if each.startswith((PREFIX, "content-type:")))
    fingerprint = gateway.idempotency.fingerprint(request.method, request.path, body, *said)
    with patience():
        claim = await gateway.idempotency.claim(actor.caller, key, fingerprint, new_id("clm"))
    try:
        yield claim
    except BaseException:
        # Those in the log already are found to be there when they are sent again.
        if claim.answer is None:
            with contextlib.suppress(RedisError, OSError, DependencyDown), patience():
                await gateway.idempotency.release(claim)
        raise


def _answer(
    request: web.Request,
    accepted: Sequence[Accepted],
    repeated: Sequence[bool],
    headers: dict[str, str] | None = None,
) -> web.Response:
    items = [
        {"id": each.id, "event_id": each.event, "repeated": flag}
        for each, flag in zip(accepted, repeated, strict=True)
    ]
    return respond(request, 202, {"items": items}, headers)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_TEXT = {"type": "string", "minLength": 1}
_EVENT = {
    "type": "object",
    "description": "A CloudEvent 1.0.",
    "required": ["specversion", "id", "source", "type"],
    "additionalProperties": False,
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "maxLength": 128, "description": "Unique beside its source."},
        "source": {**_TEXT, "maxLength": 200, "description": "A URI, or the path of one."},
        "type": {
            "type": "string",
            "maxLength": 200,
            "pattern": r"^custom(\.[a-z0-9][a-z0-9_-]*)+$",
        },
        "time": _or_null({"type": "string", "format": "date-time"}),
        "subject": _or_null({**_TEXT, "maxLength": 200}),
        "datacontenttype": {"enum": ["application/json", None]},
        "data": _or_null({"type": "object"}),
        "dataversion": _or_null({"type": "integer", "minimum": 1, "maximum": 2**31 - 1}),
        "dataschema": {"description": "Not kept."},
        "tracestate": {"description": "Not kept."},
        "org": _or_null({"type": "string", "description": "The organization itself, or absent."}),
        "correlationid": _or_null({**_TEXT, "maxLength": 128}),
        "traceparent": _or_null(
            {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}
        ),
    },
}
MEDIA: dict[str, Any] = {
    STRUCTURED: {"schema": _EVENT},
    BATCH: {"schema": {"type": "array", "minItems": 1, "maxItems": 1000, "items": _EVENT}},
    "application/json": {
        "schema": {
            "type": "object",
            "description": (
                "Binary mode: this is `data`; the attributes are headers, as in `ce-type`, "
                "percent-encoded."
            ),
        }
    },
}
