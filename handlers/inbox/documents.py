"""What the inbox stores."""

from __future__ import annotations

from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from bus.documents import Aggregate
from contracts.inbox.types import NotificationKind, Parameters, Preference, Subject
from contracts.types import Instant


class Part(BaseModel):
    """What one event says to one user."""

    event_id: str
    event_type: str
    at: Instant
    subject: Subject
    actor: str | None = None
    parameters: Parameters = {}


class Arrival(Aggregate):
    """That an event concerns a user; placed in their inbox by and by, many at a time.

    Its id follows from event, user and kind. It stays when it has been placed, so that the same
    event, seen again, adds nothing.
    """

    user_id: str
    organization_id: str | None = None
    notification_id: str
    kind: NotificationKind
    part: Part
    placed: bool = False
    quiet: bool = False
    """A replay makes it: nobody is told, on no socket and by no mail."""
    forget_at: Instant

    class Settings:
        name = "notification_arrivals"
        indexes = [
            IndexModel(
                [("user_id", ASCENDING), ("part.at", ASCENDING), ("_id", ASCENDING)],
                partialFilterExpression={"placed": False},
                name="waiting",
            ),
            IndexModel(
                [("created_at", ASCENDING)],
                partialFilterExpression={"placed": False},
                name="waiting_since",
            ),
            IndexModel([("forget_at", ASCENDING)], expireAfterSeconds=0, name="retention"),
        ]


class Notification(Aggregate):
    """One line of somebody's inbox. ``created_at`` is when the first of it happened."""

    user_id: str
    organization_id: str | None = None
    kind: NotificationKind
    parts: list[Part]
    """The latest first; not all of them."""
    size: int = 1
    """How many were thrown together."""
    latest_at: Instant
    read_at: Instant | None = None
    shown: bool = True
    """False where its owner wants it by mail only."""
    to_digest: bool = False

    class Settings:
        name = "notifications"
        indexes = [
            IndexModel(
                [
                    ("user_id", ASCENDING),
                    ("shown", ASCENDING),
                    ("latest_at", DESCENDING),
                    ("_id", DESCENDING),
                ],
                name="list",
            ),
            IndexModel(
                [
                    ("user_id", ASCENDING),
                    ("read_at", ASCENDING),
                    ("latest_at", DESCENDING),
                    ("_id", DESCENDING),
                ],
                name="unread",
            ),
            IndexModel([("organization_id", ASCENDING), ("user_id", ASCENDING)], name="of"),
            IndexModel([("latest_at", ASCENDING)], name="age"),
        ]


class Inbox(Aggregate):
    """What is counted of one user's notifications; its id is the user's.

    Whoever changes a notification changes it too, so its revision orders all that happens.
    """

    unread: dict[str, int] = {}
    """By organization; ``account`` for what is of none."""
    kept: int = 0
    number: int = 0
    """Counts what was read and removed: what a replay has come to."""
    digest_at: Instant | None = None
    mailed: list[Instant] = []
    """The mails of the last hour that were sent at once."""

    class Settings:
        name = "inboxes"
        indexes = [
            IndexModel(
                [("digest_at", ASCENDING)],
                partialFilterExpression={"digest_at": {"$type": "date"}},
                name="digest",
            )
        ]


class Preferences(Aggregate):
    """What somebody has chosen; its id is the user's. Who has none, has chosen nothing."""

    kinds: dict[NotificationKind, Preference] = {}
    muted: list[str] = []
    number: int = 0

    class Settings:
        name = "notification_preferences"


class Mark(Aggregate):
    """What a replay knows of a notification that it has not made yet; its id is that one's."""

    read_count: int = 0
    """It is read unless there is more in it."""
    read_at: Instant | None = None
    removed: int = 0
    """Of what arrives for it, so much was removed."""
    forget_at: Instant

    class Settings:
        name = "notification_marks"
        indexes = [
            IndexModel([("forget_at", ASCENDING)], expireAfterSeconds=0, name="retention"),
        ]


DOCUMENTS: list[type[Aggregate]] = [Arrival, Notification, Inbox, Preferences, Mark]
