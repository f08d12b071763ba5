"""What has happened in mail. Whom it was sent to is shown to nobody but them."""

from __future__ import annotations

from contracts.base import Event
from contracts.mail.types import MailTemplate
from contracts.types import Id


class MailSent(Event):
    """An SMTP server has taken a mail."""

    wire = "mail.message.sent"
    subject = "mail_id"
    private = True

    mail_id: Id
    template: MailTemplate
    user_id: Id | None = None
