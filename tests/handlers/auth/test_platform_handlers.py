"""Platform administration at the desk: sessions that end, mails, and admins who meet."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from contracts.actor import Actor
from contracts.auth.commands import (
    AppointAdmin,
    ChangeUser,
    EndUserSessions,
    Impersonate,
    OpenSession,
    RegisterUser,
)
from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from contracts.permissions import PlatformRole
from contracts.sealed import Sealed, unseal
from handlers.auth.documents import User
from handlers.auth.queries import find_platform_role, list_sessions
from infra.sessions import Session
from tests.handlers.auth.conftest import Auth

PASSWORD = "correct horse battery"


async def registered(auth: Auth, name: str) -> Actor:
    email = f"{name}@example.com"
    await auth.do(RegisterUser(email=email, password=Sealed(PASSWORD), name=name))
    user = await User.find_one({"email": email})
    assert user is not None
    return Actor(user=user.id)


async def an_admin(auth: Auth, name: str) -> Actor:
    actor = await registered(auth, name)
    await auth.do(AppointAdmin(email=f"{name}@example.com", promote=True))
    return actor


async def signed_in(auth: Auth, name: str) -> dict[str, Any]:
    command = OpenSession(email=f"{name}@example.com", password=Sealed(PASSWORD))
    tokens: dict[str, Any] = await auth.do(command)
    return tokens


async def told(auth: Auth) -> list[SendMail]:
    """The mails to those who were suspended."""
    found = await auth.mails()
    return [each for each in found if each.template is MailTemplate.ACCOUNT_SUSPENDED]


async def test_suspending_ends_the_sessions_and_mails_why(auth: Auth) -> None:
    admin, user = await an_admin(auth, "adele"), await registered(auth, "ulf")
    sessions = [(await signed_in(auth, "ulf"))["session_id"] for _ in range(2)]
    await auth.do(ChangeUser(user=user.user, status="suspended", reason="spam"), admin)
    assert await auth.run_sent() == ["auth.session.end_all"]
    assert await list_sessions(user, auth.sessions) == []
    ended = await auth.events("auth.session.revoked")
    assert {each["data"]["session_id"] for each in ended} == set(sessions)
    (mail,) = await told(auth)
    assert (mail.to, mail.account) == ("ulf@example.com", user.user)
    assert mail.values == {"name": "ulf", "reason": "spam"}


async def test_suspending_again_does_nothing_again(auth: Auth) -> None:
    admin, user = await an_admin(auth, "adele"), await registered(auth, "ulf")
    for _ in range(2):
        await auth.do(ChangeUser(user=user.user, status="suspended"), admin)
    (event,) = await auth.events("auth.user.suspended")
    assert event["revision"] == 2
    (mail,) = await told(auth)
    assert mail.values["reason"] == "none"
    user_now = await auth.do(ChangeUser(user=user.user, reason="no change"), admin)
    assert user_now["revision"] == 2


async def test_a_sign_in_that_was_looked_up_before_the_suspension_leaves_no_session(
    auth: Auth,
) -> None:
    """The session is stored between the suspension's commit and its sweep, or after both."""
    admin, user = await an_admin(auth, "adele"), await registered(auth, "ulf")
    answers = await asyncio.gather(
        *(auth.code_of(signing_in("ulf")) for _ in range(10)),
        auth.code_of(ChangeUser(user=user.user, status="suspended"), admin),
        *(auth.code_of(signing_in("ulf")) for _ in range(10)),
    )
    await auth.run_sent()
    assert set(answers) <= {"done", "auth.user_suspended", "auth.too_many_attempts"}
    assert await auth.sessions.of(user.user) == []


def signing_in(name: str) -> OpenSession:
    return OpenSession(email=f"{name}@example.com", password=Sealed(PASSWORD))


async def test_of_admins_who_demote_each_other_at_once_one_remains(auth: Auth) -> None:
    for number in range(3):
        one, two = await an_admin(auth, f"one{number}"), await an_admin(auth, f"two{number}")
        codes = await asyncio.gather(
            auth.code_of(ChangeUser(user=two.user, platform_role=None), one),
            auth.code_of(ChangeUser(user=one.user, status="suspended"), two),
        )
        assert sorted(codes) == ["done", "permission_missing"]
        left = [await find_platform_role(each) for each in (one, two)]
        assert left.count(PlatformRole.ADMIN) == 1


async def test_support_neither_suspends_nor_promotes_nor_impersonates(auth: Auth) -> None:
    admin, support = await an_admin(auth, "adele"), await registered(auth, "sue")
    user = await registered(auth, "ulf")
    await auth.do(ChangeUser(user=support.user, platform_role=PlatformRole.SUPPORT), admin)
    for command in (
        ChangeUser(user=user.user, status="suspended"),
        ChangeUser(user=user.user, platform_role=PlatformRole.ADMIN),
        Impersonate(user=user.user, reason="x"),
    ):
        assert await auth.code_of(command, support) == "permission_missing"
        assert await auth.code_of(command, user) == "permission_missing"


async def test_an_impersonation_lives_as_long_as_the_setting_says_and_is_not_refreshed(
    auth: Auth,
) -> None:
    admin, user = await an_admin(auth, "adele"), await registered(auth, "ulf")
    made = await auth.do(Impersonate(user=user.user, reason="a ticket"), admin)
    claims = auth.keys.verify(unseal(made["access_token"]))
    assert (claims.user, claims.impersonator) == (user.user, admin.user)
    session = await auth.sessions.find(made["session_id"])
    assert session is not None
    assert session.ends - session.created == 3600
    assert 3590 < await auth.redis.ttl(f"grid8:session:{session.id}") <= 3600
    assert "refresh_token" not in made
    (shown,) = await list_sessions(user, auth.sessions)
    assert shown.impersonator == admin.user
    (event,) = await auth.events("auth.user.impersonated")
    assert event["data"]["reason"] == "a ticket"


async def test_ending_the_users_sessions_ends_what_is_done_in_their_name_too(auth: Auth) -> None:
    admin, user = await an_admin(auth, "adele"), await registered(auth, "ulf")
    await auth.do(Impersonate(user=user.user, reason="x"), admin)
    await auth.do(EndUserSessions(user=user.user), admin)
    assert await auth.sessions.of(user.user) == []
    assert await auth.sessions.impersonations_of(admin.user) == []


async def test_a_session_stored_before_there_were_impersonators_is_still_read(auth: Auth) -> None:
    session = auth.sessions.new("ses_old", "usr_1", address="::1", agent="old")
    await auth.sessions.put(session)
    await auth.redis.hdel("grid8:session:ses_old", "impersonator")
    found = await auth.sessions.find("ses_old")
    assert isinstance(found, Session)
    assert asdict(found) == {**asdict(session), "impersonator": ""}


async def test_an_admin_is_appointed_once_and_a_password_is_judged(auth: Auth) -> None:
    asked = AppointAdmin(email="root@example.com")
    assert await auth.code_of(asked) == "auth.user_not_found"
    weak = AppointAdmin(email="root@example.com", name="Root", password=Sealed("aaaaaaaaaaaa"))
    assert await auth.code_of(weak) == "auth.password_refused"
    good = AppointAdmin(email="root@example.com", name="Root", password=Sealed(PASSWORD))
    assert (await auth.do(good))["platform_role"] == "admin"
    assert await auth.code_of(asked) == "done", "they are one already"
    user = await User.find_one({"email": "root@example.com"})
    assert user is not None
    assert user.verified
    assert (await auth.events("auth.user.registered"))[0]["data"]["user_id"] == user.id
    await registered(auth, "ulf")
    assert await auth.code_of(AppointAdmin(email="ulf@example.com")) == "auth.account_exists"
