from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from handlers.corp.handlers import Invitations, Members
from handlers.corp.worker import REACTIONS, commands_of
from tests.bus.desk import Desk, desk


@pytest.fixture
async def corp(mongo_url: str, redis_url: str) -> AsyncIterator[Desk]:
    invitations = Invitations(timedelta(days=7), timedelta(seconds=60))
    table = {**commands_of(Members(direct=True), invitations), **REACTIONS}
    async with desk("corp", table, mongo_url=mongo_url, redis_url=redis_url, logical=2) as made:
        yield made
