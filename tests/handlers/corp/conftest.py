from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from handlers.corp.worker import COMMANDS, REACTIONS
from tests.bus.desk import Desk, desk


@pytest.fixture
async def corp(mongo_url: str, redis_url: str) -> AsyncIterator[Desk]:
    table = {**COMMANDS, **REACTIONS}
    async with desk("corp", table, mongo_url=mongo_url, redis_url=redis_url, logical=2) as made:
        yield made
