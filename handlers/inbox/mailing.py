"""Asks mail to send what somebody has not read: one mail of several notifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from handlers.inbox.documents import Notification
from handlers.inbox.wording import words_of
from handlers.people import Directory

NAMED = 8
"""Notifications that a mail names, each with its link; of the others it says how many there are."""
PREFERENCES = "/v1/me/notifications/preferences"


@dataclass(frozen=True, slots=True)
class Mailing:
    """Who is mailed where, and where the links of mails begin."""

    directory: Directory
    link_url: str

    async def send(
        self, user: str, notifications: Sequence[Notification], uow: UnitOfWork, *, daily: bool
    ) -> None:
        """Stage the mail, unless the user has no address that is proved to be theirs."""
        contact = await self.directory.contact(user)
        if contact is None or not notifications:
            return
        latest = sorted(notifications, key=lambda each: each.latest_at, reverse=True)
        titles = [words_of(each.kind, each.parts[0].parameters, each.size) for each in latest]
        number = len(latest)
        values = {
            "name": contact.name,
            "headline": titles[0][0] if number == 1 else f"{number} notifications",
            "preferences": f"{self.link_url}{PREFERENCES}",
        }
        if number > NAMED:
            values["more"] = str(number - NAMED)
        for place, (each, (title, text)) in enumerate(
            zip(latest[:NAMED], titles, strict=False), start=1
        ):
            values[f"item{place}"] = f"{title}: {text}"[:2000] if text else title
            if link := each.parts[0].subject.link:
                values[f"link{place}"] = f"{self.link_url}{link}"
        template = MailTemplate.NOTIFICATION_DIGEST if daily else MailTemplate.NOTIFICATIONS
        uow.send(SendMail(to=contact.email, template=template, values=values, account=user))
