"""What became of a command, as the inbox tells it."""

from __future__ import annotations

from collections.abc import Sequence

from bus.documents import INBOX, Database
from bus.replies import Outcome


async def find_outcome(database: Database, command: str, domains: Sequence[str]) -> Outcome | None:
    """The outcome of a command that one of ``domains`` has handled; None while it has not."""
    found = await database[INBOX].find_one(
        {"_id": {"$in": [f"{domain}:{command}" for domain in domains]}}
    )
    return Outcome.model_validate(found["outcome"]) if found and "outcome" in found else None
