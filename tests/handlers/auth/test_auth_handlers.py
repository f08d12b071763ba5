"""Accounts and sessions: what is told to whom, and what a refresh token is good for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest

from bus import streams
from bus.broker import FIELD, encode
from bus.delivery import Delivery, Entry
from bus.handling import Policy
from contracts.actor import Actor
from contracts.auth.commands import (
    RevokeSession,
    RevokeSessions,
    UpdateProfile,
)
from contracts.envelope import Envelope
from contracts.sealed import unseal
from handlers.auth.documents import User
from handlers.auth.queries import get_profile, list_sessions
from tests.bus.desk import Refused
from tests.handlers.auth.conftest import Auth
from tests.handlers.auth.somebody import (
    EMAIL,
    PASSWORD,
    refreshed,
    refreshing,
    registering,
    signed_in,
    signing_in,
)

# accounts


async def test_registering_tells_only_the_address_and_makes_one_account(auth: Auth) -> None:
    assert await auth.do(registering()) == {"email": EMAIL}
    user = await User.find_one({"email": EMAIL})
    assert user is not None
    assert user.name == "Olga"
    assert user.password_hash.startswith("$2b$")
    (event,) = await auth.events()
    assert (event["type"], event["subject"]) == ("auth.user.registered", user.id)
    assert event.get("org") is None


async def test_a_taken_address_is_answered_the_same_and_costs_the_same(
    auth: Auth, hashes: Counter[str]
) -> None:
    first = await auth.do(registering())
    once = dict(hashes)
    second = await auth.do(registering("OLGA@Example.com", "quite another pass phrase"))
    assert first == second
    assert dict(hashes) == {name: 2 * count for name, count in once.items()}
    assert await User.count() == 1
    assert await auth.code_of(signing_in()) == "done", "the account is still its owner's"
    assert await auth.code_of(signing_in(password="quite another pass phrase")) == (
        "auth.credentials_wrong"
    )


async def test_of_many_who_register_one_address_at_once_all_are_answered_alike(
    auth: Auth,
) -> None:
    answers = await asyncio.gather(*(auth.do(registering()) for _ in range(8)))
    assert answers == [{"email": EMAIL}] * 8
    assert await User.count() == 1
    assert len(await auth.events("auth.user.registered")) == 1


async def test_a_profile_is_renamed(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    view = await auth.do(UpdateProfile(name="Olga II"), actor)
    assert (view["name"], view["revision"]) == ("Olga II", 2)
    assert (await get_profile(actor)).name == "Olga II"
    assert await auth.code_of(UpdateProfile(name="x", if_revision=1), actor) == "revision_mismatch"
    nobody = Actor(user="usr_nobody")
    assert await auth.code_of(UpdateProfile(name="x"), nobody) == "auth.user_not_found"


# signing in


async def test_an_unknown_address_and_a_wrong_password_are_one_answer_at_one_cost(
    auth: Auth, hashes: Counter[str]
) -> None:
    await auth.do(registering())
    ends = []
    for command in (signing_in("nobody@example.com"), signing_in(password="wrong pass phrase")):
        hashes.clear()
        with pytest.raises(Refused) as refused:
            await auth.do(command)
        ends.append((str(refused.value), dict(hashes)))
    assert ends[0] == ends[1]
    assert ends[0][1] == {"checkpw": 1}
    assert "auth.credentials_wrong" in ends[0][0]


async def test_signing_in_opens_a_session_that_its_tokens_name(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    assert actor.session is not None
    session = await auth.sessions.find(actor.session)
    assert session is not None
    assert (session.user, session.address, session.agent) == (actor.user, "192.0.2.1", "curl")
    (view,) = await list_sessions(actor, auth.sessions)
    assert view.current
    (event,) = await auth.events("auth.session.opened")
    assert event["data"]["session_id"] == actor.session


async def test_no_token_and_no_password_is_stored_in_clear(auth: Auth) -> None:
    _, token = await signed_in(auth)
    stored = [repr(await auth.redis.dump(key)) for key in await auth.redis.keys("*")]
    for name in await auth.database.list_collection_names():
        stored += map(repr, await auth.database[name].find().to_list())
    for secret in (PASSWORD, token, token.rpartition(".")[2]):
        assert not [each for each in stored if secret in each]


async def test_a_sign_in_that_is_carried_out_again_leaves_its_answered_token_good(
    auth: Auth,
) -> None:
    """Its effect in Redis is repeated when the entry came twice: the same session must result."""
    await auth.do(registering())
    message = Envelope.of_command(signing_in(), source="/t")
    tokens = await auth.carry_out(message)
    await deliver_again(auth, message)
    assert await auth.code_of(refreshing(unseal(tokens["refresh_token"]))) == "done"


async def deliver_again(auth: Auth, message: Envelope) -> None:
    """As another entry: a publisher that was not sure added it twice."""
    value = encode(message.wire(), id=message.id, correlation=None)
    delivery = Delivery(
        auth.redis, auth.publisher.pipeline, streams.commands("auth"), "auth", "desk", 1.0
    )
    await auth.handling.handle(Entry("9-9", {FIELD.encode(): value}, 1), delivery, Policy())


async def test_a_sign_in_delivered_twice_at_once_leaves_its_answered_token_good(
    auth: Auth,
) -> None:
    await auth.do(registering())
    for _ in range(4):
        message = Envelope.of_command(signing_in(), source="/t")
        answers = await asyncio.gather(*(auth.carry_out(message) for _ in range(3)))
        assert len({answer["refresh_token"] for answer in answers}) == 1
        assert await auth.code_of(refreshing(unseal(answers[0]["refresh_token"]))) == "done"


async def test_a_sign_in_delivered_again_does_not_revive_a_session_that_was_ended(
    auth: Auth,
) -> None:
    await auth.do(registering())
    message = Envelope.of_command(signing_in(), source="/t")
    tokens = await auth.carry_out(message)
    session = tokens["session_id"]
    user = await auth.sessions.owner(session)
    assert user is not None
    await auth.do(RevokeSession(session=session), Actor(user=user))
    await deliver_again(auth, message)
    assert await auth.sessions.owner(session) is None


# refreshing


async def test_a_refresh_token_is_exchanged_for_the_next(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    for _ in range(3):
        following = await refreshed(auth, token)
        assert following != token
        token = following
    assert actor.session is not None
    session = await auth.sessions.find(actor.session)
    assert session is not None
    assert (session.address, session.agent) == ("192.0.2.2", "other")
    assert session.counter == 4


async def test_fifty_refreshes_at_once_have_one_successor(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    following = set(await asyncio.gather(*(refreshed(auth, token) for _ in range(50))))
    assert len(following) == 1
    assert actor.session is not None
    session = await auth.sessions.find(actor.session)
    assert session is not None
    assert session.counter == 2
    assert await auth.code_of(refreshing(following.pop())) == "done"


async def test_a_used_token_used_again_after_the_grace_ends_the_session(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, token = await signed_in(auth)
    following = await refreshed(auth, token)
    assert await refreshed(auth, token) == following, "within the grace: the same successor"
    monkeypatch.setattr(auth.sessions, "_grace", 0)
    await asyncio.sleep(0.01)
    assert await auth.code_of(refreshing(token)) == "auth.refresh_token_reused"
    assert actor.session is not None
    assert await auth.sessions.find(actor.session) is None
    assert await list_sessions(actor, auth.sessions) == []
    (event,) = await auth.events("auth.session.revoked")
    assert event["data"]["reason"] == "refresh_token_reused"
    for each in (token, following):
        assert await auth.code_of(refreshing(each)) == "auth.refresh_token_invalid"


async def test_a_refresh_that_is_delivered_long_after_it_was_asked_for_is_no_theft(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, token = await signed_in(auth)
    asked = Envelope.of_command(refreshing(token), source="/grid8/tests")
    following = await refreshed(auth, token)
    await auth.mails()
    real, later = time.time, timedelta(seconds=60)
    monkeypatch.setattr("infra.sessions.time.time", lambda: real() + later.total_seconds())
    with pytest.raises(Refused, match=r"auth\.sign_in_late"):
        await auth.carry_out(asked.model_copy(update={"time": asked.time - later}))
    assert await auth.mails() == []
    assert actor.session is not None
    assert await auth.sessions.owner(actor.session) == actor.user
    assert await auth.code_of(refreshing(following)) == "done"


async def test_the_token_before_the_last_is_a_reuse_even_within_the_grace(auth: Auth) -> None:
    _, first = await signed_in(auth)
    second = await refreshed(auth, first)
    await refreshed(auth, second)
    assert await auth.code_of(refreshing(first)) == "auth.refresh_token_reused"


async def test_a_session_that_has_ended_refreshes_no_more(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, token = await signed_in(auth)
    real = time.time
    monkeypatch.setattr("infra.sessions.time.time", lambda: real() + 90_000)
    assert await auth.code_of(refreshing(token)) == "auth.refresh_token_invalid"
    monkeypatch.undo()
    assert actor.session is not None
    assert await auth.sessions.find(actor.session) is None


async def test_a_session_is_forgotten_by_redis_itself_when_it_was_idle(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    left = await auth.redis.ttl(f"grid8:session:{actor.session}")
    assert 3500 < left <= 3600


async def test_forged_and_mangled_tokens_are_refused_and_end_nothing(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    head, counter, mac = token.rsplit(".", 2)
    wrong = [
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        f"{head}.{int(counter) + 1}.{mac}",
        f"{head}.0.{mac}",
        f"{head}.-1.{mac}",
        f"{head}.{counter}.",
        f"{head}.١.{mac}",
        f"{head}.{'9' * 400}.{mac}",
        f"g8r_ses_other.{counter}.{mac}",
        f"{head}.{counter}.é",
        head,
        mac,
        "g8r_..",
        "...",
        ".",
        "x" * 512,
        "g8r_*.1.x",
        "\x00",
    ]
    for each in wrong:
        assert await auth.code_of(refreshing(each)) == "auth.refresh_token_invalid", each
    assert await auth.code_of(refreshing(token)) == "done"
    assert len(await list_sessions(actor, auth.sessions)) == 1


# signing out


async def test_a_revoked_session_is_gone_at_once_and_its_token_too(auth: Auth) -> None:
    actor, token = await signed_in(auth)
    other, other_token = await signed_in(auth)
    assert actor.session is not None
    assert await auth.code_of(RevokeSession(session=actor.session), actor) == "done"
    assert await auth.sessions.owner(actor.session) is None
    assert await auth.code_of(refreshing(token)) == "auth.refresh_token_invalid"
    again = await auth.code_of(RevokeSession(session=actor.session), actor)
    assert again == "auth.session_not_found"
    assert [each.id for each in await list_sessions(other, auth.sessions)] == [other.session]
    assert await auth.code_of(refreshing(other_token)) == "done"


async def test_nobody_revokes_anothers_session(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    assert actor.session is not None
    stranger = Actor(user="usr_stranger", session="ses_x")
    ended = await auth.code_of(RevokeSession(session=actor.session), stranger)
    assert ended == "auth.session_not_found"
    assert await auth.sessions.owner(actor.session) == actor.user


async def test_all_sessions_are_revoked_each_with_its_event(auth: Auth) -> None:
    actors = [(await signed_in(auth))[0] for _ in range(3)]
    await auth.do(RevokeSessions(), actors[0])
    assert await list_sessions(actors[0], auth.sessions) == []
    assert {event["data"]["session_id"] for event in await auth.events("auth.session.revoked")} == {
        actor.session for actor in actors
    }


async def test_a_refresh_and_a_revocation_at_once_leave_no_session(auth: Auth) -> None:
    for _ in range(5):
        actor, token = await signed_in(auth)
        assert actor.session is not None
        await asyncio.gather(
            auth.code_of(refreshing(token)),
            auth.code_of(RevokeSession(session=actor.session), actor),
        )
        assert await auth.sessions.find(actor.session) is None
        assert await auth.redis.keys(f"grid8:session:{actor.session}") == []
