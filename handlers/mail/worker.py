"""Mail's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.base import Command, Event
from contracts.mail.commands import SendMail
from handlers.domain import Context, Domain
from handlers.mail import handlers

COMMANDS: dict[type[Command], Handler] = {SendMail: handlers.send_mail}

REACTIONS: dict[type[Event], Handler] = {}


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Mail needs an SMTP server."""
    yield Domain("mail", COMMANDS, REACTIONS)
