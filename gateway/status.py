"""What became of a command that was answered 202."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web

from bus import streams
from bus.outcomes import find_outcome
from contracts.actor import Actor
from contracts.base import View
from gateway.dispatch import failed_answer, respond
from gateway.errors import CommandUnknown
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
    sender = await gateway.context.redis.get(streams.accepted(id))
    outcome = await find_outcome(gateway.context.database, id, DOMAINS)
    sent_by = outcome.actor if outcome else sender.decode() if isinstance(sender, bytes) else None
    if sent_by != actor.user:
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
