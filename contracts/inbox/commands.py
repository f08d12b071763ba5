"""What may be asked of the inbox. Whose it is, is in the envelope, but for what it asks itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.base import Command, IfRevision, absent
from contracts.inbox.types import KindKey, Muted, PreferenceChange
from contracts.types import Id, Instant

AT_ONCE = 500
"""Notifications that can be named in one request."""


class ReadNotification(Command):
    """Mark a notification as read."""

    wire = "inbox.notification.read"

    notification: Id


class UnreadNotification(Command):
    """Mark a notification as not read yet."""

    wire = "inbox.notification.unread"

    notification: Id


class DeleteNotification(Command):
    """Remove a notification."""

    wire = "inbox.notification.delete"

    notification: Id
    if_revision: IfRevision = None


class ReadNotifications(Command):
    """Mark many notifications as read: those named, or all, or all before a time.

    One of ``ids``, ``everything`` and ``before`` is given; an organization narrows which. Ids of nothing that is there are passed over.
    """

    wire = "inbox.notifications.read_many"

    ids: Annotated[tuple[Id, ...], Field(min_length=1, max_length=AT_ONCE)] = absent()
    everything: bool = absent()
    before: Annotated[Instant, Field(description="Whatever came before.")] = absent()
    organization_id: Id = absent()


class UpdatePreferences(Command):
    """Change which kinds are shown and mailed, and which organizations are muted."""

    wire = "inbox.preferences.update"

    kinds: Annotated[
        dict[KindKey, PreferenceChange],
        Field(min_length=1, description="By kind; kinds that are not named stay as they are."),
    ] = absent()
    muted: Annotated[
        Muted,
        Field(
            description="The organizations of which nothing is counted or mailed; all of them, in the place of those before."
        ),
    ] = absent()
    if_revision: IfRevision = None


class PlaceArrivals(Command):
    """Put what has arrived for somebody into their inbox. The inbox sends it to itself."""

    wire = "inbox.arrivals.place"

    user: Id
    arrival: Id | None = Field(
        None, description="Only if this one waits the longest: else who sent that one's does it."
    )


class SendDigest(Command):
    """Mail somebody what they have not read, if it is time. The inbox sends it to itself."""

    wire = "inbox.digest.send"

    user: Id


class LeaveOrganization(Command):
    """Remove what somebody has of an organization. The inbox sends it to itself."""

    wire = "inbox.organization.leave"

    user: Id
    organization: Id
    before: Annotated[Instant, Field(description="When they left it.")]


class EmptyOrganization(Command):
    """Remove what anybody has of an organization that is gone. The inbox sends it to itself."""

    wire = "inbox.organization.empty"

    organization: Id
    before: Instant
    after: Id | None = Field(None, description="Users up to this one are done.")


class ExpireNotifications(Command):
    """Remove what is too old from somebody's inbox. The inbox sends it to itself."""

    wire = "inbox.notifications.expire"

    user: Id
