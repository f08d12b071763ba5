"""Signing in: delays, devices, suspension, and what is not even tried."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import RedisError

from bus.broker import connect
from bus.outcomes import find_outcome
from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import EndSessions, OpenSession
from contracts.envelope import Envelope
from contracts.mail.types import MailTemplate
from contracts.types import now
from handlers.auth.documents import Device, User
from handlers.auth.queries import list_sessions
from handlers.auth.worker import built
from infra.attempts import Attempts
from infra.embedded.ports import free_port
from infra.passwords import Passwords
from infra.settings import AuthSettings
from tests.handlers.auth.conftest import Auth, Clock
from tests.handlers.auth.somebody import (
    AWAY,
    EMAIL,
    HOME,
    olga,
    refreshed,
    refreshing,
    registering,
    signed_in,
    signing_in,
)

WRONG, TOO_MANY = "auth.credentials_wrong", "auth.too_many_attempts"


def guessing(email: str = EMAIL, address: str = AWAY) -> OpenSession:
    return signing_in(email, "wrong pass phrase", address=address)


async def failure_of(auth: Auth, command: OpenSession) -> dict[str, Any]:
    message = Envelope.of_command(command, source="/t")
    with pytest.raises(Exception, match="auth"):
        await auth.carry_out(message)
    outcome = await find_outcome(auth.database, message.id, ["auth"])
    assert outcome is not None
    assert outcome.failure is not None
    return outcome.failure.model_dump()


# delays


async def test_after_five_failures_the_next_waits_known_or_not(
    auth: Auth, hashes: Counter[str], clock: Clock
) -> None:
    await auth.do(registering())
    ends = []
    for email, address in ((EMAIL, AWAY), ("nobody@example.com", HOME)):
        hashes.clear()
        five = [await auth.code_of(guessing(email, address)) for _ in range(5)]
        failure = await failure_of(auth, guessing(email, address))
        ends.append((five, failure, dict(hashes)))
    assert ends[0] == ends[1], "nothing tells whether there is an account"
    five, failure, counted = ends[0]
    assert five == [WRONG] * 5
    assert failure["code"] == TOO_MANY
    assert 0 < failure["retry_after"] <= 1
    assert counted == {"checkpw": 5}, "within the delay no password is looked at"
    clock.now += 1.1
    assert await auth.code_of(signing_in(address=AWAY)) == "done"
    assert await auth.code_of(guessing()) == WRONG, "a success forgets what was before"


async def test_of_a_hundred_wrong_passwords_at_once_few_are_tried(
    auth: Auth, hashes: Counter[str]
) -> None:
    await auth.do(registering())
    hashes.clear()
    ends = await asyncio.gather(*(auth.code_of(guessing()) for _ in range(100)))
    assert Counter(ends) == {WRONG: 5, TOO_MANY: 95}
    assert hashes == {"checkpw": 5}


async def test_an_attacker_elsewhere_does_not_lock_the_owner_out(auth: Auth) -> None:
    await signed_in(auth)
    ends = [await auth.code_of(guessing()) for _ in range(7)]
    assert ends[-1] == TOO_MANY
    assert await auth.code_of(signing_in(address="203.0.113.5")) == TOO_MANY
    assert await auth.code_of(signing_in(address=HOME)) == "done"


async def test_while_redis_is_away_no_password_is_looked_at(
    auth: Auth, hashes: Counter[str], auth_settings: AuthSettings
) -> None:
    await auth.do(registering())
    away = connect(f"redis://127.0.0.1:{free_port()}/0")
    attempts = Attempts(away, free=5, free_of_address=20, longest=900, decay=1800)
    table = built(auth.passwords, auth.sessions, auth.keys, attempts, auth_settings, patience=10)
    hashes.clear()
    command = signing_in()
    unit = UnitOfWork(Envelope.of_command(command, source="/t"), "auth")
    with pytest.raises((RedisError, OSError)):
        await table[OpenSession](command, unit)
    assert not hashes
    assert unit.effects == []
    await away.aclose()


async def test_a_refusal_of_a_user_is_in_the_log_and_of_nobody_is_not(auth: Auth) -> None:
    await auth.do(registering())
    await auth.code_of(guessing())
    await auth.code_of(guessing("nobody@example.com"))
    (event,) = await auth.events("auth.signin.refused")
    assert event["data"] == {
        "user_id": (await olga()).id,
        "address": AWAY,
        "agent": "curl",
        "reason": WRONG,
    }


# what is not even tried


async def test_a_sign_in_whose_caller_is_long_gone_is_dropped(
    auth: Auth, hashes: Counter[str]
) -> None:
    await auth.do(registering())
    hashes.clear()
    message = Envelope.of_command(signing_in(), source="/t")
    late = message.model_copy(update={"time": now() - timedelta(seconds=11)})
    with pytest.raises(Exception, match=r"auth\.sign_in_late"):
        await auth.carry_out(late)
    assert not hashes
    for _ in range(20):
        again = Envelope.of_command(guessing(), source="/t")
        with pytest.raises(Exception, match=r"auth\.sign_in_late"):
            await auth.carry_out(again.model_copy(update={"time": late.time}))
    assert await auth.code_of(signing_in()) == "done", "and counts for nothing"


# suspension


async def suspend() -> None:
    await User.find_one().update({"$set": {"suspended_at": now()}, "$inc": {"revision": 1}})


async def test_who_is_suspended_is_told_so_after_the_right_password_alone(auth: Auth) -> None:
    await auth.do(registering())
    await suspend()
    assert await auth.code_of(signing_in()) == "auth.user_suspended"
    assert await auth.code_of(guessing()) == WRONG
    assert await auth.events("auth.session.opened") == []


async def test_a_suspension_is_not_overtaken_by_a_sign_in(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is suspended after it was read, and before the session is committed."""
    await auth.do(registering())
    real, checked = Passwords.check, 0

    async def check(self: Passwords, password: str, stored: str | None) -> bool:
        nonlocal checked
        checked += 1
        if checked == 1:
            await suspend()
        return await real(self, password, stored)

    monkeypatch.setattr(Passwords, "check", check)
    assert await auth.code_of(signing_in()) == "auth.user_suspended"
    assert checked == 2
    assert await auth.events("auth.session.opened") == []
    assert await auth.redis.keys("grid8:session:*") == []


async def test_all_sessions_of_a_suspended_user_can_be_ended(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    await auth.do(EndSessions(user=actor.user, reason="x"))
    assert len(await list_sessions(actor, auth.sessions)) == 1, "the password is still the same"
    await suspend()
    await auth.do(EndSessions(user=actor.user, reason="suspended"))
    assert await list_sessions(actor, auth.sessions) == []
    (event,) = await auth.events("auth.session.revoked")
    assert event["data"]["reason"] == "suspended"


async def test_where_addresses_must_be_verified_nobody_else_signs_in(
    auth: Auth, auth_settings: AuthSettings
) -> None:
    strict = auth_settings.model_copy(update={"verified_only": True})
    table = built(auth.passwords, auth.sessions, auth.keys, auth.attempts, strict, patience=10)
    auth.handling.table.update(table)
    await auth.do(registering())
    for _ in range(8):
        assert await auth.code_of(signing_in()) == "auth.email_unverified", "no failure, either"
    assert await auth.code_of(guessing()) == WRONG
    await User.find_one().update({"$set": {"verified": True}})
    assert await auth.code_of(signing_in()) == "done"


# devices


async def new_devices(auth: Auth) -> list[dict[str, str]]:
    mails = [mail for mail in await auth.mails() if mail.template == MailTemplate.NEW_DEVICE]
    return [mail.values for mail in mails]


async def test_a_new_device_is_told_of_unless_it_is_the_first(auth: Auth) -> None:
    await signed_in(auth)
    await signed_in(auth)
    await signed_in(auth, address="192.0.2.77")
    assert await new_devices(auth) == []
    await signed_in(auth, address=AWAY, agent="Phone")
    (values,) = await new_devices(auth)
    assert values.pop("time").endswith("Z")
    assert values == {"name": "Olga", "address": AWAY, "agent": "Phone"}
    await signed_in(auth, address=AWAY, agent="Phone")
    assert await new_devices(auth) == []
    (event,) = await auth.events("auth.device.added")
    assert (event["data"]["address"], event["data"]["agent"]) == (AWAY, "Phone")


async def test_one_new_device_at_once_many_times_is_told_of_once(auth: Auth) -> None:
    await signed_in(auth)
    ends = await asyncio.gather(
        *(auth.code_of(signing_in(address=AWAY, agent="Phone")) for _ in range(4))
    )
    assert ends == ["done"] * 4
    assert len(await new_devices(auth)) == 1
    assert await Device.count() == 2


async def test_who_fails_to_sign_in_adds_no_device(auth: Auth) -> None:
    await signed_in(auth)
    await auth.code_of(guessing())
    assert await new_devices(auth) == []
    assert await Device.count() == 1


async def test_a_device_is_remembered_from_when_it_was_seen_last(auth: Auth) -> None:
    await signed_in(auth)
    long_ago = now() - timedelta(days=300)
    await Device.find_one().update({"$set": {"seen_at": long_ago}})
    await signed_in(auth)
    device = await Device.find_one()
    assert device is not None
    assert now() - device.seen_at < timedelta(minutes=1)


# stolen tokens, and expiry


async def test_many_with_a_stolen_token_at_once_end_the_family_and_cause_one_mail(
    auth: Auth,
) -> None:
    actor, first = await signed_in(auth)
    second = await refreshed(auth, first)
    third = await refreshed(auth, second)
    await auth.mails()
    ends = await asyncio.gather(*(auth.code_of(refreshing(first)) for _ in range(10)))
    assert set(ends) <= {"auth.refresh_token_reused", "auth.refresh_token_invalid"}
    assert "auth.refresh_token_reused" in ends
    assert await list_sessions(actor, auth.sessions) == []
    assert await auth.code_of(refreshing(third)) == "auth.refresh_token_invalid"
    (mail,) = await auth.mails()
    assert (mail.template, mail.to) == (MailTemplate.SESSION_STOLEN, EMAIL)
    assert mail.values.pop("time").endswith("Z")
    assert mail.values == {"name": "Olga", "address": "192.0.2.2", "agent": "other"}


async def test_a_session_lives_no_longer_than_it_may_however_busy(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    key = f"grid8:session:{actor.session}"
    await auth.redis.hset(key, "ends", str(time.time() + 40))
    token = await refreshed(auth, token)
    assert 0 < await auth.redis.ttl(key) <= 40
    await auth.redis.hset(key, "ends", str(time.time() - 1))
    assert await auth.code_of(refreshing(token)) == "auth.refresh_token_invalid"
    assert await auth.redis.exists(key) == 0


async def test_a_refresh_gives_an_idle_session_its_time_again(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    key = f"grid8:session:{actor.session}"
    await auth.redis.expire(key, 5)
    await refreshed(auth, token)
    assert await auth.redis.ttl(key) > 3500


async def test_each_sign_in_has_a_session_of_its_own(auth: Auth) -> None:
    """No session is taken over from before: who planted one gains nothing."""
    one, first = await signed_in(auth)
    two, second = await signed_in(auth)
    assert one.session != two.session
    assert first.split(".")[0] != second.split(".")[0]
