"""What has happened in mail. Whom it was sent to is shown to nobody but them."""

from __future__ import annotations

from pydantic import Field

from contracts.base import Event
from contracts.mail.types import MailFailure, MailTemplate
from contracts.types import Id


class MailSent(Event):
    """An SMTP server has taken a mail."""

    wire = "mail.message.sent"
    subject = "mail_id"
    private = True

    mail_id: Id
    template: MailTemplate
    user_id: Id | None = None


class MailFailed(Event):
    """A mail will not be sent: refused for good by the SMTP server, too late, or one of too many."""

    wire = "mail.message.failed"
    subject = "mail_id"
    private = True

    mail_id: Id
    template: MailTemplate
    reason: MailFailure
    status: int | None = Field(None, description="The SMTP server's reply code, if it refused.")
    user_id: Id | None = None
