"""One mail a day of what is unread."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.inbox.commands import SendDigest
from contracts.types import now
from handlers.inbox.counting import counted
from handlers.inbox.documents import Notification
from handlers.inbox.mailing import Mailing


@dataclass(frozen=True, slots=True)
class Digests:
    """The handler, with what it needs to mail."""

    mailing: Mailing

    async def send_digest(self, command: SendDigest, uow: UnitOfWork) -> None:
        """Mail what is unread since the last digest. The inbox says that it is due, and not twice."""
        count = await counted(command.user)
        if count is None or count.inbox.digest_at is None or count.inbox.digest_at > now():
            return  # somebody was quicker
        count.inbox.digest_at = None
        count.stage(uow)
        found = await Notification.find({"user_id": command.user, "to_digest": True}).to_list()
        for each in found:
            each.to_digest = False
            uow.save(each)
        unread = [each for each in found if each.read_at is None]
        await self.mailing.send(command.user, unread, uow, daily=True)
