"""The inbox's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bus.handling import Handler
from contracts.base import Command, Event
from contracts.corp.events import MemberRemoved, OrganizationDeleted
from contracts.inbox.commands import (
    DeleteNotification,
    EmptyOrganization,
    ExpireNotifications,
    LeaveOrganization,
    PlaceArrivals,
    ReadNotification,
    ReadNotifications,
    SendDigest,
    UnreadNotification,
    UpdatePreferences,
)
from contracts.inbox.events import NotificationsRead, NotificationsRemoved, PreferencesChanged
from handlers.domain import Context, Domain
from handlers.inbox import handlers, reactions, rebuilds
from handlers.inbox.clocks import clocks_of
from handlers.inbox.handlers import Digests, Expiry, Placing
from handlers.inbox.mailing import Mailing
from handlers.inbox.reactions import Reactions
from handlers.inbox.rules import RULES
from handlers.people import Directory
from infra.settings import InboxSettings

LINGER = 0.05
"""Most of what others tell concerns nobody's inbox, and a notification may be so much later."""

REACTIONS: dict[type[Event], Callable[..., Any]] = {
    **dict.fromkeys(RULES, Reactions.notify_whom_it_concerns),
    MemberRemoved: Reactions.part_from_the_organization,
    OrganizationDeleted: reactions.empty_the_inboxes,
}

REBUILDS: dict[type[Event], Handler] = {
    NotificationsRead: rebuilds.mark_again,
    NotificationsRemoved: rebuilds.remove_again,
    PreferencesChanged: rebuilds.choose_again,
}


def commands_of(settings: InboxSettings, mailing: Mailing) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        ReadNotification: handlers.read_notification,
        UnreadNotification: handlers.unread_notification,
        ReadNotifications: handlers.read_notifications,
        DeleteNotification: handlers.delete_notification,
        UpdatePreferences: handlers.update_preferences,
        PlaceArrivals: Placing(mailing, settings).place_arrivals,
        SendDigest: Digests(mailing).send_digest,
        LeaveOrganization: handlers.leave_organization,
        EmptyOrganization: handlers.empty_organization,
        ExpireNotifications: Expiry(settings.days).expire_notifications,
    }


def reactions_of(settings: InboxSettings, directory: Directory) -> dict[type[Event], Handler]:
    """Event → reaction."""
    bound = Reactions(directory, settings)
    return {event: getattr(bound, each.__name__, each) for event, each in REACTIONS.items()}


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """The inbox needs to know who people are. Raises LookupError without ``context.directory``."""
    if context.directory is None:
        raise LookupError("the inbox needs context.directory")
    settings = context.settings.inbox
    link_url = (settings.link_url or context.settings.gateway_url).rstrip("/")
    mailing = Mailing(context.directory, link_url)
    yield Domain(
        "inbox",
        commands_of(settings, mailing),
        reactions_of(settings, context.directory),
        rebuilds=REBUILDS,
        clocks=clocks_of(settings),
        linger=LINGER,
    )
