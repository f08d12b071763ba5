"""What mail stores."""

from __future__ import annotations

from typing import Literal

from pymongo import ASCENDING, DESCENDING, IndexModel

from bus.documents import Aggregate
from contracts.mail.types import MailTemplate


class Mail(Aggregate):
    """A mail that is to be sent, or was."""

    to: str
    template: MailTemplate
    values: dict[str, str] = {}
    token: str | None = None
    """Sealed; gone once the mail is sent."""
    user_id: str | None = None
    organization_id: str | None = None
    cause: str
    """The message because of which it is sent."""
    status: Literal["queued", "sent", "failed"] = "queued"

    class Settings:
        name = "mails"
        indexes = [
            IndexModel([("to", ASCENDING), ("_id", DESCENDING)], name="to"),
            IndexModel([("status", ASCENDING), ("_id", ASCENDING)], name="status"),
        ]


DOCUMENTS: list[type[Aggregate]] = [Mail]
