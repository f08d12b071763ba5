"""From a request to a command or a query, and from its outcome to a response."""

from __future__ import annotations

import math
import re
from contextlib import nullcontext
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import from_json, to_json
from redis.exceptions import RedisError

from bus.accepted import Waiting
from bus.deadlines import Within
from bus.middleware import current_traceparent
from bus.publisher import added, stream_of
from bus.replies import Outcome
from contracts.actor import Actor
from contracts.base import Command
from contracts.envelope import Envelope
from contracts.errors import ErrorKind, Failure
from contracts.sealed import OPEN, REVEAL
from gateway.admission import admit
from gateway.errors import (
    CommandLost,
    DependencyDown,
    ReplyLate,
    RouteUnknown,
)
from gateway.idempotency import Answer, Claim
from gateway.intake import command_of
from gateway.limits import parse_parameters, read_body
from gateway.patience import patience
from gateway.scopes import act_in_body, act_in_path, depends_on_brand, judge_reach
from gateway.state import Gateway
from gateway.table import Route, has_secrets
from infra.problems import MEDIA_TYPE, STATUS, challenge, problem_body

SOURCE = "/grid8/gateway"
_LATER = (STATUS[ErrorKind.RATE_LIMITED], STATUS[ErrorKind.UNAVAILABLE])
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


async def dispatch(request: web.Request, route: Route, gateway: Gateway) -> web.StreamResponse:
    """Answer one request. Raises DomainError for whatever is wrong with it."""
    actor = await admit(request, route, gateway)
    if any(not _ID.fullmatch(request.match_info[name]) for name in route.ids_in_path):
        raise RouteUnknown("An id in the address is not one.")
    in_a_brand = actor is not None and depends_on_brand(route, actor)
    acting = actor
    if in_a_brand:
        with patience():
            acting = await act_in_path(route, actor, request.match_info)
    if route.kind == "query":
        return await _answer_query(request, route, actor)
    if route.kind == "command":
        body = await read_body(request, gateway.settings.gateway.body_limit)
        parameters = parse_parameters(request, route.parameters)
        command = await command_of(request, route, actor, body, parameters)
        with patience():
            if in_a_brand:
                acting = await act_in_body(route, actor, acting, command)
            command = await judge_reach(route, actor, command)
        print_of_request: tuple[str | bytes, ...] = (request.method, request.path, body)
        if request.query_string:
            print_of_request += (request.query_string,)
        carry = route.carry or carry_out
        return await carry(request, route, gateway, acting, command, print_of_request)
    assert route.function is not None
    # A file, and a body, may take as long as their client does.
    waits = route.method == "GET" and route.produces == "application/json" and route.hurried
    with patience() if waits else nullcontext():
        answer: web.StreamResponse = await route.function(request, gateway, actor)
    return answer


async def _answer_query(request: web.Request, route: Route, actor: Actor | None) -> web.Response:
    assert route.function is not None
    assert route.parameters is not None
    given = parse_parameters(request, route.parameters)
    for name, model in route.grouped.items():
        given[name] = model.model_construct(
            **{field: given.pop(field) for field in model.model_fields}
        )
    path = {name: request.match_info[name] for name in route.in_path if name != "org"}
    with patience():
        view: BaseModel = await route.function(actor, **path, **given)
    return respond(request, route.status, view.model_dump(mode="json"), revised=route.revised)


def respond(
    request: web.Request,
    status: int,
    body: dict[str, Any] | None,
    headers: dict[str, str] | None = None,
    *,
    revised: bool = True,
) -> web.Response:
    """A JSON response with its ETag; 304 when a GET named the same one and is ``revised``."""
    more = dict(headers or {})
    if body is not None and isinstance(body.get("revision"), int):
        more["ETag"] = f'"{body["revision"]}"'
        if revised and request.method in ("GET", "HEAD") and _is_known(request, more["ETag"]):
            return web.Response(status=304, headers=more)
    if body is None:
        return web.Response(status=status, headers=more)
    return web.Response(
        body=to_json(body), status=status, headers=more, content_type="application/json"
    )


def _is_known(request: web.Request, etag: str) -> bool:
    """Whether If-None-Match names the ETag, compared weakly (RFC 9110, 13.1.2)."""
    named = ",".join(request.headers.getall("If-None-Match", [])).split(",")
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in named)


async def carry_out(
    request: web.Request,
    route: Route,
    gateway: Gateway,
    actor: Actor | None,
    command: Command,
    print_of_request: tuple[bytes | str, ...],
) -> web.Response:
    """Send a command, wait for its outcome, answer; once per Idempotency-Key."""
    id = gateway.senders.new_id(actor.user if actor else None, command.domain())
    claim: Claim | None = None
    key = request.headers.get("Idempotency-Key")
    if key is not None:
        caller = actor.caller if actor else f"address {request['address']}"
        fingerprint = gateway.idempotency.fingerprint(*print_of_request)
        with patience():
            claim = await gateway.idempotency.claim(caller, key, fingerprint, id)
        if claim.answer is not None:
            return render(request, route, claim.answer, {"Idempotent-Replayed": "true"})
        id = claim.command
    # Unless it was lost, the command may yet be carried out: the key stays with it.
    try:
        answer = await send(request, route, gateway, actor, command, id)
    except CommandLost:
        if claim is not None:
            await gateway.idempotency.release(claim)
        raise
    if actor is not None and route.present is not None and answer.status == route.status:
        view = await route.present(actor, answer.body)
        answer.body = view.model_dump(mode="json")
    if claim is not None:
        with patience():
            if answer.status in _LATER:
                # Nothing was done, and the same request may be made again: with the same key.
                await gateway.idempotency.release(claim)
            else:
                await gateway.idempotency.answered(claim, answer)
    return render(request, route, answer)


async def send(
    request: web.Request,
    route: Route,
    gateway: Gateway,
    actor: Actor | None,
    command: Command,
    id: str,
) -> Answer:
    """Send a command under an id, and wait for its outcome; handled once, however often sent.

    Raises CommandLost when it will never be carried out under this id, and DependencyDown when
    it may not have been queued.
    """
    # A status URL could not show secrets; a preference may be ignored (RFC 7240, 2).
    secret = has_secrets(route.answers)
    later = actor is not None and not secret and _prefers_async(request)
    envelope = Envelope.of_command(
        command,
        source=SOURCE,
        actor=actor,
        id=id,
        correlationid=request["id"],
        traceparent=traceparent_of(request),
        replyto=None if later or route.silent else gateway.replies.channel,
        address=request["address"],
    )
    publisher = gateway.context.publisher
    try:
        if route.silent:
            with patience():
                await publisher.execute_durably(added(envelope))
            return _silent_answer(route, command)
        if later:
            assert actor is not None
            with patience():
                await gateway.accepted.send(envelope, actor.user)
            return _accepted(id, {"Preference-Applied": "respond-async"})
        with gateway.replies.expect(id) as future:
            with patience():
                entry = await publisher.send(envelope)
            try:
                with Within(gateway.settings.gateway.reply_timeout):
                    return _answer_of(await future, route, request)
            except TimeoutError:
                pass
        user = actor.user if actor else None
        waiting = Waiting(user or "", stream_of(envelope), entry)
        with patience():
            outcome = await gateway.accepted.outcome(
                id, command.domain(), waiting, user=user, lost=CommandLost().failure()
            )
        if outcome is not None:
            return _answer_of(outcome, route, request)
        if actor is None or secret:
            # Nobody could prove later that the outcome is theirs to read, or be shown it.
            raise ReplyLate(retry_after=5)
        with patience():
            await gateway.accepted.remember(id, waiting)
        return _accepted(id)
    except (RedisError, OSError) as error:
        raise DependencyDown("The command could not be queued.", retry_after=5) from error


def traceparent_of(request: web.Request) -> str | None:
    """The trace context; the caller's own is continued also while nothing is traced here."""
    given = request.headers.get("traceparent", "")
    return current_traceparent() or (given if _TRACEPARENT.fullmatch(given) else None)


def _silent_answer(route: Route, command: Command) -> Answer:
    assert route.answers is not None
    given = {name: getattr(command, name) for name in route.answers.model_fields}
    return Answer(route.status, {}, route.answers(**given).model_dump(mode="json"))


def _accepted(id: str, headers: dict[str, str] | None = None) -> Answer:
    url = f"/v1/commands/{id}"
    return Answer(202, {"Location": url, **(headers or {})}, {"command_id": id, "status_url": url})


def _prefers_async(request: web.Request) -> bool:
    if "Prefer" not in request.headers:
        return False
    preferences = ",".join(request.headers.getall("Prefer", []))
    return any(
        part.partition(";")[0].strip().lower() == "respond-async" for part in preferences.split(",")
    )


def _answer_of(outcome: Outcome, route: Route, request: web.Request) -> Answer:
    if outcome.failure is not None and outcome.failure.code == CommandLost.code:
        raise CommandLost(retry_after=1)
    if outcome.failure is not None:
        return failed_answer(outcome.failure, request["id"])
    headers = {}
    if route.location is not None and outcome.result is not None:
        headers["Location"] = route.location.format(**{**outcome.result, **request.match_info})
    return Answer(route.status, headers, outcome.result)


def failed_answer(failure: Failure, request_id: str) -> Answer:
    """The answer that tells of a failure."""
    headers = {}
    if failure.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(failure.retry_after))
    return Answer(STATUS[failure.kind], headers, problem_body(failure, request_id), problem=True)


def render(
    request: web.Request,
    route: Route,
    answer: Answer,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """The response of an answer; secrets are revealed here and nowhere else."""
    more = {**answer.headers, **(headers or {})}
    if answer.problem:
        assert answer.body is not None
        if answer.status == 401:
            more["WWW-Authenticate"] = challenge(answer.body["code"])
        return web.Response(
            body=to_json(answer.body), status=answer.status, headers=more, content_type=MEDIA_TYPE
        )
    body = answer.body
    if body is not None and answer.status != 202 and has_secrets(route.answers):
        assert route.answers is not None
        view = route.answers.model_validate(body, context=OPEN)
        body = from_json(view.model_dump_json(context=REVEAL))
        more["Cache-Control"] = "no-store"
    return respond(request, answer.status, body, more)
