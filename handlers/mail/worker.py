"""Mail's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.base import Command, Event
from contracts.mail.commands import DeliverMail, SendMail
from handlers.domain import Context, Domain
from handlers.mail.handlers import Mails
from infra.mail_notes import MailNotes
from infra.mailer import Mailer

REACTIONS: dict[type[Event], Handler] = {}

AT_ONCE = 16
"""Mails under way: what sends them waits for a server, and hardly works itself."""


def commands_of(mails: Mails) -> dict[type[Command], Handler]:
    """Command → handler."""
    return {
        SendMail: mails.send_mail,
        DeliverMail: mails.deliver_mail,
    }


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Mail needs an SMTP server."""
    settings = context.settings
    mailer = Mailer(settings.mail, context.breakers)
    mails = Mails(mailer, MailNotes(context.redis), settings.mail, settings.link_url)
    try:
        yield Domain(
            "mail",
            commands_of(mails),
            REACTIONS,
            checks={"smtp": mailer.check},
            slow_slots=AT_ONCE,
        )
    finally:
        await mailer.close()
