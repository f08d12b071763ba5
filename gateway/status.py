"""What became of a command that was answered 202."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web

from bus.outcomes import find_outcome
from bus.replies import Outcome
from contracts.actor import Actor
from contracts.base import View
from contracts.types import made_at, now
from gateway.dispatch import failed_answer, respond
from gateway.errors import CommandLost, CommandUnknown
from gateway.idempotency import KEPT
from gateway.limits import parse_parameters
from gateway.state import Gateway
from handlers.runtime import DOMAINS


class CommandView(View):
    """``result`` once it has succeeded, ``problem`` once it has failed."""

    command_id: str
    status: Literal["pending", "succeeded", "failed"]
    result: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None


async def get_command(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """The status of a command; only its sender may read it."""
    parse_parameters(request, None)
    id = request.match_info["command"]
    outcome = await find_outcome(gateway.context.database, id, DOMAINS)
    if outcome is None:
        outcome = await _undecided(id, gateway, actor)
    elif outcome.actor != actor.user:
        raise CommandUnknown()
    if outcome is None:
        view = CommandView(command_id=id, status="pending")
    elif outcome.failure is not None:
        problem = failed_answer(outcome.failure, request["id"]).body
        view = CommandView(command_id=id, status="failed", problem=problem)
    else:
        view = CommandView(command_id=id, status="succeeded", result=outcome.result)
    return respond(
        request,
        200,
        view.model_dump(mode="json", exclude_none=True),
        {"Cache-Control": "no-store"},
    )


async def _undecided(id: str, gateway: Gateway, actor: Actor) -> Outcome | None:
    """None while the command waits; its failure when it was lost. Raises CommandUnknown."""
    found = [await gateway.accepted.find(id, domain) for domain in DOMAINS]
    waiting = next((each for each in found if each is not None), None)
    if waiting is not None:
        domain = DOMAINS[found.index(waiting)] if waiting.user == actor.user else None
    else:
        # It may have been forgotten because Redis lost it, or because it was long ago.
        domain = gateway.senders.domain_of(id, actor.user, DOMAINS)
        if domain is not None and (now() - made_at(id)).total_seconds() > KEPT:
            domain = None
    if domain is None:
        raise CommandUnknown()
    lost = CommandLost().failure()
    return await gateway.accepted.outcome(id, domain, waiting, user=actor.user, lost=lost)
