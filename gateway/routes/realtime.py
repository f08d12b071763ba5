"""Routes of events, their audit, commands and realtime tickets."""

from __future__ import annotations

from contracts.permissions import Permission
from contracts.realtime.views import PresenceView
from gateway.audit import (
    AuditPage,
    AuditParameters,
    OwnAuditParameters,
    list_audit,
    list_own_audit,
)
from gateway.events import MEDIA, AcceptedEvents, publish_events
from gateway.feed import EventFeed, FeedParameters, list_events
from gateway.presence import PresenceParameters, get_presence
from gateway.realtime import TicketView, create_ticket
from gateway.status import CommandView, get_command
from gateway.table import Access, Route, custom

ORG = "/v1/orgs/{org}"

REALTIME: list[Route] = [
    custom(
        "POST",
        ORG + "/events",
        publish_events,
        allow=Permission.EVENTS_WRITE,
        answers=AcceptedEvents,
        status=202,
        media=MEDIA,
    ),
    custom(
        "GET",
        ORG + "/events",
        list_events,
        allow=Permission.EVENTS_READ,
        answers=EventFeed,
        parameters=FeedParameters,
    ),
    custom(
        "GET",
        ORG + "/audit",
        list_audit,
        allow=Permission.AUDIT_READ,
        answers=AuditPage,
        parameters=AuditParameters,
    ),
    custom(
        "GET",
        "/v1/me/audit",
        list_own_audit,
        allow=Access.SIGNED_IN,
        answers=AuditPage,
        parameters=OwnAuditParameters,
    ),
    custom("GET", "/v1/commands/{command}", get_command, allow=Access.KNOWN, answers=CommandView),
    custom(
        "GET",
        ORG + "/presence",
        get_presence,
        allow=Permission.REALTIME_SUBSCRIBE,
        answers=PresenceView,
        parameters=PresenceParameters,
    ),
    custom(
        "POST",
        ORG + "/realtime/tickets",
        create_ticket,
        allow=Permission.REALTIME_SUBSCRIBE,
        answers=TicketView,
        status=201,
    ),
]
