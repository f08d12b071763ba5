"""Who did what, when and from where: the event log read backwards, over HTTP."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Annotated, Any

from aiohttp import web
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from bus.audit import AuditFilter, Place, read_audit
from bus.paging import CursorInvalid
from contracts.actor import Actor
from contracts.base import View
from contracts.envelope import Envelope
from contracts.permissions import Role
from contracts.types import TYPE_PATTERN, Instant, Time
from gateway.dispatch import respond
from gateway.limits import parse_parameters
from gateway.state import Gateway

_LATEST = 2**63 - 1

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AuditEntryView(View):
    """One thing that was done. Never a secret."""

    id: str
    time: Instant = Field(description="When it was done; of `custom.*`, as its producer says.")
    logged_at: Instant = Field(description="When it was logged.")
    type: str
    subject: str | None = Field(description="What it is about.")
    actor: str | None = Field(description="The user, or API key, who did it.")
    role: Role | None = Field(description="The role in which they did.")
    session: str | None
    impersonator: str | None = Field(description="The platform admin who acted as the actor.")
    address: str | None = Field(description="The IP address it came from.")
    org: str | None
    correlation_id: str | None = Field(description="X-Request-Id of the request that began it.")
    revision: int | None = Field(description="Of the subject, after it.")
    data: dict[str, Any]


class AuditPage(View):
    """One page, the newest first."""

    items: tuple[AuditEntryView, ...]
    next_cursor: str | None = Field(description="null on the last page.")


class OwnAuditParameters(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: Annotated[int, Field(ge=1, le=200, description="Entries on a page.")] = 50
    cursor: Annotated[
        str | None,
        Field(min_length=1, max_length=400, description="next_cursor of the page before."),
    ] = None
    type: Annotated[
        Annotated[str, StringConstraints(pattern=TYPE_PATTERN, max_length=200)] | None,
        Field(description="A type, or the beginning of several, as in `corp.*`."),
    ] = None
    since: Annotated[Time | None, Field(description="Logged at this time or later.")] = None
    until: Annotated[Time | None, Field(description="Logged before this time.")] = None
    impersonated: Annotated[
        bool | None, Field(description="Only what an admin did as somebody, or only the rest.")
    ] = None


class AuditParameters(OwnAuditParameters):
    """Which entries, and which page."""

    actor: Annotated[Text | None, Field(description="A user, or an API key.")] = None
    subject: Annotated[Text | None, Field(description="What it is about.")] = None


class PlatformAuditParameters(AuditParameters):
    """Which entries of which organization."""

    org: Annotated[Text | None, Field(description="Only of this organization.")] = None


async def list_audit(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Who did what in the organization, the newest first."""
    return await _page(request, gateway, AuditParameters, org=actor.tenant)


async def list_own_audit(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """What happened to one's own account, the newest first: sign-ins and the like."""
    return await _page(request, gateway, OwnAuditParameters, user=actor.user, private=True)


async def list_platform_audit(request: web.Request, gateway: Gateway, _: Actor) -> web.Response:
    """Who did what anywhere, the newest first; a page may be short before the last."""
    return await _page(request, gateway, PlatformAuditParameters, private=True)


async def _page(
    request: web.Request, gateway: Gateway, model: type[OwnAuditParameters], **fixed: Any
) -> web.Response:
    given = parse_parameters(request, model)
    limit, cursor = given.pop("limit"), given.pop("cursor")
    after = None if cursor is None else _decode(cursor)
    found, end = await read_audit(
        gateway.context.database, AuditFilter(**{**given, **fixed}), after, limit
    )
    page = AuditPage(
        items=tuple(_view(*each) for each in found),
        next_cursor=None if end is None else _encode(end),
    )
    return respond(request, 200, page.model_dump(mode="json"))


def _view(event: Envelope, logged: datetime) -> AuditEntryView:
    return AuditEntryView(
        id=event.id,
        time=event.time,
        logged_at=logged,
        type=event.type,
        subject=event.subject,
        actor=event.actor,
        role=event.role,
        session=event.session,
        impersonator=event.impersonator,
        address=event.address,
        org=event.org,
        correlation_id=event.correlationid,
        revision=event.revision,
        data=event.data,
    )


def _encode(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _decode(text: str) -> Place:
    try:
        logged, id = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise CursorInvalid() from error
    if type(logged) is not int or not 0 <= logged <= _LATEST or not isinstance(id, str):
        raise CursorInvalid()
    if not id.isascii() or not 0 < len(id) <= 128:
        raise CursorInvalid()
    return logged, id
