"""What mail answers."""

from __future__ import annotations

from pydantic import Field

from contracts.base import View
from contracts.mail.types import MailFailure, MailStatus, MailTemplate
from contracts.types import Id, Instant, Revision


class MailView(View):
    """One mail of the delivery log: never its secret."""

    id: Id
    to: str
    template: MailTemplate
    status: MailStatus
    failure: MailFailure | None = None
    detail: str | None = Field(None, description="What the SMTP server said when it refused.")
    user_id: Id | None = None
    organization_id: Id | None = None
    cause: str = Field(description="Id of the message because of which it is sent.")
    asked_at: Instant
    ended_at: Instant | None = Field(None, description="When it was sent, or given up.")
    revision: Revision
