from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from contracts import sealed
from handlers.mail.documents import Mail
from handlers.mail.handlers import Mails
from handlers.mail.worker import commands_of
from infra.breaker import Breakers
from infra.mail_notes import MailNotes
from infra.mailer import Mailer
from infra.settings import BreakerSettings, MailSettings
from tests.bus.desk import Desk, desk
from tests.infra.smtp_servers import Post, post_office


@dataclass
class PostRoom(Desk):
    """Mail's desk, with a real SMTP server."""

    post: Post
    notes: MailNotes

    async def mails(self) -> list[Mail]:
        return await Mail.find().sort("_id").to_list()


@pytest.fixture
async def room(
    mongo_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostRoom]:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    async with (
        post_office() as post,
        desk("mail", {}, mongo_url=mongo_url, redis_url=redis_url, logical=6) as made,
    ):
        settings = MailSettings(smtp_url=post.url, timeout=5.0)
        breakers = Breakers(made.redis, BreakerSettings(threshold=5, ttl=0.3))
        mailer = Mailer(settings, breakers)
        notes = MailNotes(made.redis)
        table = commands_of(Mails(mailer, notes, settings, "https://grid8.example/account"))
        made.handling.table.update(table)
        made.handling._wires.update({(c.wire, c.wire_version): c for c in table})
        yield PostRoom(
            made.domain,
            made.redis,
            made.database,
            made.publisher,
            made.committer,
            made.handling,
            post,
            notes,
        )
        await mailer.close()
