"""What mail stores."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel

from bus.documents import Aggregate
from contracts.mail.types import MailFailure, MailStatus, MailTemplate
from contracts.types import Instant


class Mail(Aggregate):
    """A mail that is to be sent, or was."""

    to: str
    template: MailTemplate
    values: dict[str, str] = {}
    token: str | None = None
    """Sealed; gone once the mail is sent or given up."""
    linked: bool = False
    """Whether it has, or had, a token: its link is of no use for ever."""
    user_id: str | None = None
    organization_id: str | None = None
    cause: str
    """The message because of which it is sent."""
    status: MailStatus = MailStatus.QUEUED
    failure: MailFailure | None = None
    detail: str | None = None
    """What the server said when it refused."""
    asked_at: Instant
    ended_at: Instant | None = None
    forget_at: Instant

    class Settings:
        name = "mails"
        indexes = [
            IndexModel([("to", ASCENDING), ("_id", DESCENDING)], name="to"),
            IndexModel([("status", ASCENDING), ("_id", ASCENDING)], name="status"),
            IndexModel([("forget_at", ASCENDING)], expireAfterSeconds=0, name="retention"),
        ]


DOCUMENTS: list[type[Aggregate]] = [Mail]
