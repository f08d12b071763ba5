"""Forgotten, reset and changed passwords: who may, and which sessions end."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from contracts.actor import Actor
from contracts.auth.commands import ChangePassword, EndSessions, ForgetPassword, ResetPassword
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from contracts.types import now
from handlers.auth.documents import Link
from handlers.auth.queries import list_sessions
from tests.bus.desk import Refused
from tests.handlers.auth.conftest import Auth
from tests.handlers.auth.somebody import (
    AWAY,
    EMAIL,
    OTHER,
    PASSWORD,
    olga,
    refreshing,
    registering,
    signed_in,
    signing_in,
)

RESET, CHANGED = MailTemplate.RESET_PASSWORD, MailTemplate.PASSWORD_CHANGED
INVALID = "auth.link_invalid"
FORGET = ForgetPassword(email=EMAIL)


def resetting(token: str, password: str = OTHER) -> ResetPassword:
    return ResetPassword(token=Sealed(token), password=Sealed(password))


def changing(password: str = OTHER, current: str = PASSWORD) -> ChangePassword:
    return ChangePassword(current_password=Sealed(current), password=Sealed(password))


async def forgotten(auth: Auth) -> str:
    """The token of a new link."""
    await auth.mails()
    await Link.find({"purpose": "reset"}).update({"$set": {"issued_at": now() - timedelta(days=1)}})
    await auth.do(FORGET, address=AWAY)
    return await auth.token(RESET)


# reset


async def test_a_forgotten_password_is_reset_with_the_link_that_is_mailed(auth: Auth) -> None:
    await auth.do(registering())
    await auth.mails()
    await auth.do(FORGET, address=AWAY)
    (mail,) = await auth.mails()
    assert (mail.to, mail.template) == (EMAIL, RESET)
    assert mail.values.keys() == {"name", "address", "expires"}
    assert mail.values["address"] == AWAY
    assert mail.token is not None
    await auth.do(resetting(mail.token.reveal()), address=AWAY)
    assert await auth.code_of(signing_in()) == "auth.credentials_wrong"
    assert await auth.code_of(signing_in(password=OTHER)) == "done"
    assert (await olga()).verified, "the link proved that the address is hers"
    (told,) = [each for each in await auth.mails() if each.template == CHANGED]
    assert told.values == {"name": "Olga", "address": AWAY}
    (event,) = await auth.events("auth.password.changed")
    assert event["data"]["how"] == "reset"


async def test_forgetting_the_password_of_nobody_mails_nobody(auth: Auth) -> None:
    assert await auth.do(ForgetPassword(email="nobody@example.com")) is None
    assert await auth.mails() == []


async def test_a_reset_ends_every_session(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    await signed_in(auth)
    await auth.do(resetting(await forgotten(auth)))
    assert await list_sessions(actor, auth.sessions) == []
    assert await auth.code_of(refreshing(token)) == "auth.refresh_token_invalid"
    ended = await auth.events("auth.session.revoked")
    assert [event["data"]["reason"] for event in ended] == ["password_changed"] * 2


async def test_a_link_resets_once_even_if_used_by_many_at_once(auth: Auth) -> None:
    await auth.do(registering())
    token = await forgotten(auth)
    ends = await asyncio.gather(*(auth.code_of(resetting(token)) for _ in range(10)))
    assert Counter(ends) == {"done": 1, INVALID: 9}
    assert [mail.template for mail in await auth.mails()] == [CHANGED]


async def test_who_asks_for_links_again_and_again_leaves_the_owner_one_to_use(auth: Auth) -> None:
    await auth.do(registering())
    await auth.mails()
    for _ in range(6):
        await auth.do(FORGET, address=AWAY)
        await Link.find({"purpose": "reset"}).update(
            {"$set": {"issued_at": now() - timedelta(minutes=2)}}
        )
    mails = await auth.mails()
    assert [mail.template for mail in mails] == [RESET] * 3
    assert mails[-1].token is not None
    assert await auth.code_of(resetting(mails[-1].token.reveal())) == "done"


async def test_a_newer_link_ends_the_older(auth: Auth) -> None:
    await auth.do(registering())
    first = await forgotten(auth)
    second = await forgotten(auth)
    assert await auth.code_of(resetting(first)) == INVALID
    assert await auth.code_of(resetting(second)) == "done"


async def test_another_link_is_mailed_once_a_minute(auth: Auth) -> None:
    await auth.do(registering())
    await forgotten(auth)
    for _ in range(3):
        await auth.do(FORGET)
    assert await auth.mails() == []


async def test_a_refused_password_does_not_use_the_link_up(auth: Auth) -> None:
    await auth.do(registering())
    token = await forgotten(auth)
    assert await auth.code_of(resetting(token, "olga123456")) == "auth.password_refused"
    assert await auth.code_of(signing_in()) == "done"
    assert await auth.code_of(resetting(token)) == "done"


async def test_a_link_resets_for_an_hour_and_only_passwords(auth: Auth) -> None:
    await auth.do(registering())
    verify = await auth.token(MailTemplate.VERIFY_ADDRESS)
    assert await auth.code_of(resetting(verify)) == INVALID
    token = await forgotten(auth)
    link = Link.find_one({"purpose": "reset"})
    await link.update({"$set": {"expires_at": now()}})
    assert await auth.code_of(resetting(token)) == INVALID
    assert await auth.code_of(signing_in()) == "done"


async def test_a_reset_lets_the_owner_in_again_whom_others_kept_out(auth: Auth) -> None:
    await auth.do(registering())
    for _ in range(5):
        await auth.code_of(signing_in(password="wrong pass phrase", address=AWAY))
    assert await auth.code_of(signing_in()) == "auth.too_many_attempts"
    await auth.do(resetting(await forgotten(auth)), address="192.0.2.1")
    assert await auth.code_of(signing_in(password=OTHER)) == "done"


# change


async def test_a_changed_password_ends_the_other_sessions_and_not_this_one(auth: Auth) -> None:
    other, other_token = await signed_in(auth)
    actor, token = await signed_in(auth)
    await auth.mails()
    await auth.do(changing(), actor, address=AWAY)
    assert [each.id for each in await list_sessions(actor, auth.sessions)] == [actor.session]
    assert await auth.code_of(refreshing(other_token)) == "auth.refresh_token_invalid"
    assert await auth.code_of(refreshing(token)) == "done"
    (event,) = await auth.events("auth.session.revoked")
    assert event["data"] == {
        "session_id": other.session,
        "user_id": actor.user,
        "reason": "password_changed",
    }
    (mail,) = await auth.mails()
    assert (mail.template, mail.values) == (CHANGED, {"name": "Olga", "address": AWAY})
    await auth.run_sent()
    assert len(await list_sessions(actor, auth.sessions)) == 1
    assert await auth.code_of(signing_in(password=OTHER)) == "done"


async def test_who_does_not_know_the_password_cannot_change_it_and_may_not_guess(
    auth: Auth, hashes: Counter[str]
) -> None:
    actor, _ = await signed_in(auth)
    hashes.clear()
    ends = await asyncio.gather(
        *(auth.code_of(changing(current=f"guess number {n}"), actor) for n in range(50))
    )
    assert Counter(ends) == {"auth.current_password_wrong": 5, "auth.too_many_attempts": 45}
    assert hashes == {"checkpw": 5}
    assert await auth.code_of(changing(), actor) == "auth.too_many_attempts"


async def test_a_new_password_that_is_bad_changes_nothing(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    for _ in range(7):  # and is no failure to prove who one is
        with pytest.raises(Refused, match="too easy to guess"):
            await auth.do(changing("olga123456"), actor)
    assert await auth.code_of(signing_in()) == "done"
    assert await auth.events("auth.session.revoked") == []


async def test_of_many_changes_at_once_the_first_wins(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    passwords = [f"{OTHER} {n}" for n in range(4)]
    ends = await asyncio.gather(*(auth.code_of(changing(each), actor) for each in passwords))
    assert sorted(ends) == ["auth.current_password_wrong"] * 3 + ["done"]


async def test_a_sign_in_with_the_old_password_cannot_overtake_the_change(auth: Auth) -> None:
    """Whatever is stored first: in the end no session of the old password is left."""
    actor, _ = await signed_in(auth)
    for number in range(6):
        old, new = (PASSWORD, OTHER) if number % 2 == 0 else (OTHER, PASSWORD)
        await asyncio.gather(
            *(auth.code_of(signing_in(password=old)) for _ in range(3)),
            auth.do(changing(new, old), actor),
        )
        await auth.run_sent()
        left = [each.id for each in await list_sessions(actor, auth.sessions)]
        assert left == [actor.session]


async def test_a_session_stored_too_late_is_ended_after_the_change(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    assert actor.session is not None
    session = await auth.sessions.find(actor.session)
    assert session is not None
    await auth.do(resetting(await forgotten(auth)))
    await auth.sessions.put(session)  # as by a sign-in that was under way
    fresh, _ = await signed_in(auth, OTHER)
    assert await auth.run_sent() == [EndSessions.wire]
    assert await auth.sessions.find(session.id) is None
    assert [each.id for each in await list_sessions(fresh, auth.sessions)] == [fresh.session]


async def test_somebody_who_is_gone_changes_nothing(auth: Auth) -> None:
    assert await auth.code_of(changing(), Actor(user="usr_gone")) == "auth.user_not_found"
