"""Who listens to a channel just now, at whichever notifier."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bus.streams import address_of
from contracts.actor import Actor
from contracts.realtime.errors import PresenceUnknown
from contracts.realtime.views import PresenceView, PresentView
from gateway.dispatch import respond
from gateway.limits import parse_parameters
from gateway.state import Gateway
from handlers.channels import authorise
from infra.presence.rosters import find_present


class PresenceParameters(BaseModel):
    """Where it is asked about."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    channel: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description="A channel that you may listen to: org, project:{id} or asset:{id}.",
        ),
    ]


async def get_presence(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """The people who listen to a channel, who came first before the others."""
    channel: str = parse_parameters(request, PresenceParameters)["channel"]
    await authorise(actor, channel)
    if channel == "me":
        raise PresenceUnknown("Nobody but you is on the channel me.")
    present = await find_present(
        gateway.context.publisher.pipeline.execute_all, address_of(actor.tenant, channel)
    )
    listed = present[: gateway.settings.notifier.presence_listed]
    view = PresenceView(
        channel=channel,
        total=len(present),
        members=tuple(
            PresentView(user=each.user, since=each.at, connections=each.connections)
            for each in listed
        ),
    )
    return respond(request, 200, view.model_dump(mode="json"), {"Cache-Control": "no-store"})
