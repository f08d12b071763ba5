"""What of an inbox is mailed: at once or once a day, and never twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contracts.actor import Actor
from contracts.inbox.commands import (
    ReadNotifications,
    SendDigest,
    UpdatePreferences,
)
from contracts.inbox.types import MailPace, NotificationKind, PreferenceChange
from contracts.mail.types import MailTemplate
from contracts.types import now
from handlers.auth.documents import User
from handlers.inbox.documents import Inbox
from handlers.inbox.rules import next_digest
from handlers.mail.templates import check_values
from tests.handlers.inbox.letterbox import ED, LINKS, VERA, Letterbox, custom

Kind = NotificationKind


def wants(mail: MailPace, *, in_app: bool = True) -> UpdatePreferences:
    return UpdatePreferences(kinds={Kind.MENTION: PreferenceChange(in_app=in_app, mail=mail)})


async def make_due(user: str) -> None:
    past = {"$set": {"digest_at": now() - timedelta(minutes=1)}}
    done = await Inbox.get_pymongo_collection().update_one(
        {"_id": user, "digest_at": {"$ne": None}}, past
    )
    assert done.modified_count == 1


@pytest.mark.parametrize(
    ("at", "wanted"),
    [
        ("2026-11-25T06:59:59", "2026-11-25T07:00:00"),
        ("2026-11-25T07:00:00", "2026-11-26T07:00:00"),
        ("2026-12-31T23:00:00", "2027-01-01T07:00:00"),
    ],
)
def test_the_mail_of_the_day_is_due_at_its_hour(at: str, wanted: str) -> None:
    given, due = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (at, wanted))
    assert next_digest(given, 7) == due


async def test_the_mail_of_the_day_names_what_is_unread_with_links_and_comes_once(
    box: Letterbox,
) -> None:
    for number in range(9):
        data = {"mentions": [ED], "title": f"Look {number}", "link": f"/boards/{number}"}
        await box.tell(custom(data))
    assert await box.mails() == []
    assert await box.ring("inbox.digests") == [], "it is not due"
    await make_due(ED)
    assert await box.ring("inbox.digests") == ["SendDigest"]
    (mail,) = await box.mails()
    assert (mail.to, mail.template, mail.account) == (
        "ed@example.org", MailTemplate.NOTIFICATION_DIGEST, ED,
    )  # fmt: skip
    check_values(mail.template, mail.values, linked=False)
    assert mail.values["headline"] == "9 notifications"
    assert (mail.values["item1"], mail.values["link1"]) == ("Look 8", f"{LINKS}/boards/8")
    assert ("item9" in mail.values, mail.values["more"]) == (False, "1")
    assert mail.values["preferences"] == f"{LINKS}/v1/me/notifications/preferences"

    assert await box.ring("inbox.digests") == []
    await box.tell(custom({"mentions": [ED], "title": "Only this"}))
    await make_due(ED)
    await box.ring("inbox.digests")
    (mail,) = await box.mails()
    assert mail.values["headline"] == "Only this"


async def test_many_clocks_at_once_send_one_mail_of_the_day(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED]}))
    await make_due(ED)
    await asyncio.gather(*(box.do(SendDigest(user=ED)) for _ in range(20)))
    assert len(await box.mails()) == 1


async def test_where_all_is_read_there_is_no_mail(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED]}))
    await box.do(ReadNotifications(everything=True), Actor(user=ED))
    await make_due(ED)
    await box.ring("inbox.digests")
    assert await box.mails() == []
    await box.do(SendDigest(user="usr_nobody"))


async def test_who_wants_it_at_once_is_mailed_at_once_and_not_without_end(box: Letterbox) -> None:
    await box.do(wants("instant"), Actor(user=ED))
    await box.do(wants("off"), Actor(user=VERA))
    await box.tell(custom({"mentions": [ED, VERA], "title": "Look", "text": "at this"}))
    (mail,) = await box.mails()
    assert (mail.to, mail.template) == ("ed@example.org", MailTemplate.NOTIFICATIONS)
    check_values(mail.template, mail.values, linked=False)
    assert (mail.values["headline"], mail.values["item1"]) == ("Look", "Look: at this")
    for _ in range(4):
        await box.tell(custom({"mentions": [ED]}))
    assert len(await box.mails()) == 1, "two an hour, and the rest with the mail of the day"
    await make_due(ED)
    await box.ring("inbox.digests")
    (mail,) = await box.mails()
    assert mail.values["headline"] == "3 notifications"


async def test_what_is_wanted_by_mail_alone_is_in_no_list(box: Letterbox) -> None:
    await box.do(wants("daily", in_app=False), Actor(user=ED))
    await box.tell(custom({"mentions": [ED]}))
    assert await box.of(ED) == []
    assert (await box.unread(ED)).count == 0
    assert [each["type"] for each in await box.told(ED)] == ["inbox.preferences.changed"]
    await make_due(ED)
    await box.ring("inbox.digests")
    assert len(await box.mails()) == 1


async def test_an_address_that_nobody_has_proved_is_not_mailed(box: Letterbox) -> None:
    await User.get_pymongo_collection().update_one({"_id": ED}, {"$set": {"verified": False}})
    await box.do(wants("instant"), Actor(user=ED))
    await box.tell(custom({"mentions": [ED]}))
    assert await box.mails() == []
    assert len(await box.of(ED)) == 1
