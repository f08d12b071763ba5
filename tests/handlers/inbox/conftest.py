from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bus.handling import Handling
from handlers.directory import People
from handlers.inbox.mailing import Mailing
from handlers.inbox.worker import commands_of, reactions_of
from handlers.runtime import DOMAINS, init_documents
from infra.settings import InboxSettings
from tests.bus.desk import desk
from tests.handlers.inbox.letterbox import LINKS, SETTINGS, Letterbox


def table_of(settings: InboxSettings) -> dict:  # type: ignore[type-arg]
    people = People()
    return {**commands_of(settings, Mailing(people, LINKS)), **reactions_of(settings, people)}


@pytest.fixture
async def box(mongo_url: str, redis_url: str) -> AsyncIterator[Letterbox]:
    async with desk(
        "inbox", table_of(SETTINGS), mongo_url=mongo_url, redis_url=redis_url, logical=7
    ) as made:
        # Who is a member, and where they are mailed, is what corp and auth have stored.
        await init_documents(made.database, DOMAINS)
        made_of = (
            made.domain, made.redis, made.database, made.publisher, made.committer, made.handling,
        )  # fmt: skip
        box = Letterbox(*made_of)
        await box.furnish()
        yield box


__all__ = ["Handling", "box"]
