"""Mails: asked for once, sent once, and what becomes of those that cannot be sent."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from bus import streams
from bus.committer import Committer
from bus.middleware import retried
from bus.paging import Cursor
from contracts.actor import Actor
from contracts.envelope import Envelope
from contracts.mail.commands import DeliverMail, SendMail
from contracts.mail.types import MailFailure, MailStatus, MailTemplate
from contracts.sealed import Sealed
from contracts.types import new_id, now, rfc3339
from handlers.mail.documents import Mail
from handlers.mail.queries import list_mails
from tests.bus.desk import Refused
from tests.bus.probe import until
from tests.handlers.mail.conftest import PostRoom
from tests.infra.smtp_servers import part

TOKEN = "vt_s3cr3t"
VERIFY = SendMail(
    to="ann@example.org",
    template=MailTemplate.VERIFY_ADDRESS,
    values={"name": "Ann"},
    token=Sealed(TOKEN),
    account="usr_1",
)
TAKEN = SendMail(to="ann@example.org", template=MailTemplate.ADDRESS_TAKEN, values={"name": "Ann"})


async def queued(room: PostRoom, command: SendMail = VERIFY, **envelope: Any) -> Envelope:
    """Ask for a mail; the command that is to deliver it."""
    await room.do(command, **envelope)
    [deliver] = await room.sent()
    return deliver


def aged(deliver: Envelope, mail: Mail, age: timedelta) -> Any:
    return mail.set({Mail.asked_at: now() - age})


async def test_a_mail_that_is_asked_for_is_queued_with_its_token_sealed(room: PostRoom) -> None:
    deliver = await queued(room, actor=Actor(user="usr_1", org="org_1"))
    [mail] = await room.mails()
    assert (mail.status, mail.to, mail.user_id) == (MailStatus.QUEUED, VERIFY.to, "usr_1")
    assert mail.organization_id == "org_1"
    assert mail.token is not None
    assert mail.token.startswith("sealed.")
    assert TOKEN not in str(await room.database["mails"].find_one())
    assert deliver.type == "mail.message.deliver"
    assert deliver.data == {"mail_id": mail.id}
    assert room.post.tries == 0


async def test_an_address_is_mailed_a_few_invitations_an_hour_whoever_invites_it(
    room: PostRoom,
) -> None:
    values = {"organization": "Acme", "inviter": "Ann", "role": "viewer", "expires": rfc3339(now())}
    invitation = SendMail(
        to="bob@example.org",
        template=MailTemplate.INVITATION,
        values=values,
        token=Sealed(TOKEN),
    )
    for number in range(12):
        await room.do(invitation, actor=Actor(user=f"usr_{number}", org=f"org_{number}"))
    await room.do(invitation.model_copy(update={"to": "eve@example.org"}))
    await room.do(TAKEN.model_copy(update={"to": "bob@example.org"}))
    ends = Counter((mail.to, mail.template, mail.failure) for mail in await room.mails())
    assert ends == {
        ("bob@example.org", "invitation", None): 10,
        ("bob@example.org", "invitation", MailFailure.TOO_MANY): 2,
        ("eve@example.org", "invitation", None): 1,
        ("bob@example.org", "address_taken", None): 1,
    }
    assert len(await room.sent()) == 12
    for mail in await room.mails():
        assert (mail.token is None) == (mail.failure is not None or not mail.linked)
    await Mail.find().update({"$set": {"asked_at": now() - timedelta(hours=1)}})
    await queued(room, invitation)


async def test_a_mail_is_sent_and_its_token_is_gone_then(room: PostRoom) -> None:
    await room.carry_out(await queued(room))
    [mail] = await room.mails()
    assert (mail.status, mail.token) == (MailStatus.SENT, None)
    assert mail.ended_at is not None
    [message] = room.post.taken
    assert message["Message-ID"] == f"<{mail.id}@grid8.localhost>"
    assert message["To"] == "ann@example.org"
    assert TOKEN in part(message, "plain")
    [event] = await room.events()
    assert event["type"] == "mail.message.sent"
    assert event["data"] == {
        "mail_id": mail.id,
        "template": "verify_address",
        "user_id": "usr_1",
    }


async def test_two_commands_of_one_cause_are_one_mail_to_each_recipient(room: PostRoom) -> None:
    """As when an event is replayed: the commands that it causes then have other ids."""
    cause = Envelope.of_command(VERIFY, source="/grid8/tests")
    for salt in ("first", "replayed"):
        await room.carry_out(cause.caused_command(VERIFY, salt=salt))
    await room.carry_out(cause.caused_command(TAKEN, salt="another template"))
    other = VERIFY.model_copy(update={"to": "bob@example.org"})
    await room.carry_out(cause.caused_command(other, salt="another recipient"))
    await room.run_sent()
    assert len(room.post.taken) == len(await room.mails()) == 3
    assert len({message["Message-ID"] for message in room.post.taken}) == 3


async def test_of_a_hundred_that_ask_at_once_for_one_mail_one_is_sent(room: PostRoom) -> None:
    cause = Envelope.of_command(VERIFY, source="/grid8/tests")
    asked = [cause.caused_command(VERIFY, salt=str(number)) for number in range(100)]
    await asyncio.gather(*(room.carry_out(each) for each in asked))
    await room.run_sent()
    assert len(room.post.taken) == 1
    assert len(await room.events("mail.message.sent")) == 1


async def test_a_mail_sent_twice_in_the_queue_is_sent_once(room: PostRoom) -> None:
    deliver = await queued(room)
    await room.carry_out(deliver)
    await room.carry_out(deliver.model_copy(update={"id": new_id("cmd")}))
    assert len(room.post.taken) == 1
    assert len(await room.events()) == 1


async def test_a_mail_is_not_sent_by_two_whose_command_was_published_again_meanwhile(
    room: PostRoom,
) -> None:
    deliver = await queued(room)
    put_back = retried("mail", deliver.type, "asked")
    before = put_back._value.get()
    room.post.gate.clear()
    first = asyncio.create_task(room.carry_out(deliver))
    await until(lambda: room.post.tries == 1, "the server has it")
    second = asyncio.create_task(room.carry_out(deliver))
    await until(
        lambda: room.post.tries > 1 or put_back._value.get() > before, "the other has tried"
    )
    room.post.gate.set()
    await asyncio.gather(first, second)
    assert room.post.tries == 1
    assert len(await room.events("mail.message.sent")) == 1


async def test_a_commit_that_fails_after_the_server_has_the_mail_does_not_send_it_again(
    room: PostRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = await queued(room)
    commit, failures = Committer.commit, iter([True, True])

    async def failing(self: Committer, unit: Any) -> Any:
        if next(failures, False):
            raise AutoReconnect("the primary is gone")
        return await commit(self, unit)

    monkeypatch.setattr(Committer, "commit", failing)
    await room.carry_out(deliver)
    assert room.post.tries == 1
    [mail] = await room.mails()
    assert mail.status is MailStatus.SENT


async def test_a_mail_that_the_server_refuses_for_good_has_failed_and_says_why(
    room: PostRoom,
) -> None:
    room.post.rcpt_answers = ["550 5.1.1 no such user here"]
    await room.carry_out(await queued(room))
    [mail] = await room.mails()
    assert (mail.status, mail.failure) == (MailStatus.FAILED, MailFailure.REFUSED)
    assert mail.detail == "550 5.1.1 no such user here"
    assert mail.token is None
    [event] = await room.events()
    assert event["type"] == "mail.message.failed"
    assert event["data"] == {
        "mail_id": mail.id,
        "template": "verify_address",
        "reason": "refused",
        "status": 550,
        "user_id": "usr_1",
    }
    assert await room.dead() == []


async def test_a_mail_that_is_put_off_is_not_tried_until_then_and_sent_in_the_end(
    room: PostRoom,
) -> None:
    room.post.answers = ["451 try later"] * 4
    await room.carry_out(await queued(room))
    assert room.post.tries == 5
    assert room.post.sessions == 5
    [mail] = await room.mails()
    assert mail.status is MailStatus.SENT
    assert len(room.post.taken) == 1


async def test_a_link_that_is_too_old_is_not_sent_and_nobody_is_asked(room: PostRoom) -> None:
    deliver = await queued(room)
    [mail] = await room.mails()
    await aged(deliver, mail, timedelta(hours=25))
    await room.carry_out(deliver)
    [mail] = await room.mails()
    assert (mail.status, mail.failure) == (MailStatus.FAILED, MailFailure.EXPIRED)
    assert mail.token is None
    assert room.post.sessions == 0
    [event] = await room.events()
    assert event["data"]["reason"] == "expired"


async def test_a_link_that_says_when_it_ends_is_not_sent_after_that(room: PostRoom) -> None:
    for host, after in (("over", -1), ("good", 60)):
        expires = rfc3339(now() + timedelta(seconds=after))
        values = {"name": "Ann", "expires": expires}
        await room.do(VERIFY.model_copy(update={"to": f"ann@{host}.example", "values": values}))
    await room.run_sent()
    assert {mail.to: mail.failure for mail in await room.mails()} == {
        "ann@over.example": MailFailure.EXPIRED,
        "ann@good.example": None,
    }
    assert [to for _, to in room.post.envelopes] == ["ann@good.example"]


async def test_a_notice_is_still_sent_when_a_link_would_not_be(room: PostRoom) -> None:
    deliver = await queued(room, TAKEN)
    [mail] = await room.mails()
    await aged(deliver, mail, timedelta(hours=25))
    await room.carry_out(deliver)
    assert len(room.post.taken) == 1


async def test_what_the_text_needs_and_has_not_got_makes_a_dead_letter_that_names_it(
    room: PostRoom,
) -> None:
    message = Envelope.of_command(
        SendMail(to="ann@example.org", template=MailTemplate.RESET_PASSWORD, values={"other": "x"}),
        source="/grid8/tests",
    )
    stream = streams.commands("mail")
    await room.redis.xgroup_create(stream, "mail", id="0", mkstream=True)
    # What the desk hands to the handler by hand is in its hand for the stream too.
    await room.redis.xadd(stream, {"a": "b"}, id="1-0")
    await room.redis.xreadgroup("mail", "desk", {stream: ">"})
    with pytest.raises(Refused, match="internal_error"):
        await room.carry_out(message)
    [letter] = await room.dead()
    said = letter[b"reason"].decode()
    assert "the mail reset_password needs address, name, token" in said
    assert await room.mails() == []


async def test_a_mail_that_is_no_longer_known_is_nobodys(room: PostRoom) -> None:
    await room.do(DeliverMail(mail_id="mail_gone"))
    assert await room.events() == []
    assert room.post.sessions == 0


async def test_the_log_shows_mails_by_address_fate_and_template_but_no_secret(
    room: PostRoom,
) -> None:
    room.post.rcpt_answers = ["550 no"]
    await room.do(VERIFY)
    await room.run_sent()
    await room.do(TAKEN)
    await room.do(TAKEN.model_copy(update={"to": "bob@example.org"}))
    await room.run_sent()
    admin, newest = Actor(user="usr_admin"), Cursor(sort="-created_at")
    everything = await list_mails(admin, newest)
    assert len(everything.items) == 3
    assert TOKEN not in everything.model_dump_json()
    assert "token" not in everything.model_dump_json()
    failed = await list_mails(admin, newest, status=MailStatus.FAILED)
    assert [each.detail for each in failed.items] == ["550 no"]
    to_ann = await list_mails(admin, newest, to="Ann@example.org")
    assert len(to_ann.items) == 2
    taken = await list_mails(admin, newest, template=MailTemplate.ADDRESS_TAKEN)
    assert {each.to for each in taken.items} == {"ann@example.org", "bob@example.org"}
    first = await list_mails(admin, Cursor(limit=2))
    rest = await list_mails(admin, Cursor(limit=2, cursor=first.next_cursor))
    assert (len(first.items), len(rest.items), rest.next_cursor) == (2, 1, None)


async def test_mails_are_forgotten_after_the_retention(room: PostRoom) -> None:
    await queued(room)
    [mail] = await room.mails()
    assert mail.forget_at - mail.asked_at == timedelta(days=90)
    stored = await room.database["mails"].find_one(mail.id)
    assert stored is not None
    assert isinstance(stored["forget_at"], datetime), "only dates expire"
    indexes = await room.database["mails"].index_information()
    assert indexes["retention"]["expireAfterSeconds"] == 0
    assert indexes["retention"]["key"] == [("forget_at", 1)]
