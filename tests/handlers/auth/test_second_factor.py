"""The second factor: turned on, asked for, used once, turned off."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pyotp
import pytest

from contracts.actor import Actor
from contracts.auth.commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    EndSecondFactor,
    ForgetPassword,
    ResetPassword,
)
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed, unseal
from contracts.types import now
from handlers.auth.documents import SecondFactor, User
from handlers.auth.queries import get_profile
from tests.handlers.auth.conftest import Auth
from tests.handlers.auth.somebody import EMAIL, OTHER, PASSWORD, olga, signed_in, signing_in


@dataclass
class App:
    """An authenticator app, whose owner can wait."""

    secret: str
    step: int

    def code(self) -> str:
        return str(pyotp.TOTP(self.secret).generate_otp(self.step))


@dataclass
class Factor:
    """A second factor that is on."""

    actor: Actor
    app: App
    recovery: list[str]


def beginning(password: str = PASSWORD) -> BeginSecondFactor:
    return BeginSecondFactor(password=Sealed(password))


def ending(otp: str, password: str = PASSWORD) -> EndSecondFactor:
    return EndSecondFactor(password=Sealed(password), otp=Sealed(otp))


async def begun(auth: Auth, actor: Actor) -> App:
    view = await auth.do(beginning(), actor)
    return App(unseal(view["secret"]), int(now().timestamp() // 30))


async def time_passes(user: str) -> None:
    """As if every code so far had been of long ago."""
    await SecondFactor.find_one(SecondFactor.id == user).update({"$set": {"step": 0}})


@pytest.fixture
async def on(auth: Auth) -> Factor:
    """Olga's account, with the second factor on, and none of its codes used."""
    actor, _ = await signed_in(auth)
    app = await begun(auth, actor)
    view = await auth.do(ConfirmSecondFactor(otp=Sealed(app.code())), actor)
    await time_passes(actor.user)
    return Factor(actor, app, [unseal(code) for code in view["recovery_codes"]])


async def test_it_is_on_once_a_code_confirms_it(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    app = await begun(auth, actor)
    assert await auth.code_of(signing_in()) == "done", "begun is not on"
    assert not (await get_profile(actor)).mfa
    wrong = ConfirmSecondFactor(otp=Sealed("000000" if app.code() != "000000" else "000001"))
    assert await auth.code_of(wrong, actor) == "auth.otp_refused"
    await auth.mails()
    view = await auth.do(ConfirmSecondFactor(otp=Sealed(app.code())), actor)
    assert len({unseal(code) for code in view["recovery_codes"]}) == 10
    assert (await get_profile(actor)).mfa
    assert await auth.code_of(signing_in()) == "auth.otp_required"
    (mail,) = await auth.mails()
    assert mail.template == MailTemplate.SECOND_FACTOR_CHANGED
    assert mail.values == {"name": "Olga", "change": "enabled"}
    (event,) = await auth.events("auth.second_factor.changed")
    assert event["data"] == {"user_id": actor.user, "enabled": True}


async def test_beginning_again_replaces_a_secret_that_was_not_confirmed(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    first = await begun(auth, actor)
    second = await begun(auth, actor)
    assert first.secret != second.secret
    wrong = await auth.code_of(ConfirmSecondFactor(otp=Sealed(first.code())), actor)
    assert wrong == "auth.otp_refused"
    assert await auth.code_of(ConfirmSecondFactor(otp=Sealed(second.code())), actor) == "done"


async def test_it_is_begun_and_ended_with_the_password_alone_known_to_its_owner(
    auth: Auth, on: Factor
) -> None:
    assert await auth.code_of(beginning("wrong one"), on.actor) == "auth.current_password_wrong"
    assert await auth.code_of(beginning(), on.actor) == "auth.second_factor_on"
    wrong = ending(on.app.code(), "wrong one")
    assert await auth.code_of(wrong, on.actor) == "auth.current_password_wrong"
    assert (await olga()).mfa


async def test_a_secret_is_not_replaced_that_is_confirmed_while_it_is_begun_anew(
    auth: Auth, on: Factor
) -> None:
    before = await SecondFactor.get(on.actor.user)
    # As the user was a moment before it was confirmed.
    await User.find_one(User.id == on.actor.user).update({"$set": {"mfa": False}})
    assert await auth.code_of(beginning(), on.actor) == "auth.second_factor_on"
    assert await SecondFactor.get(on.actor.user) == before


async def test_there_is_nothing_to_confirm_or_to_end_where_nothing_was_begun(auth: Auth) -> None:
    actor, _ = await signed_in(auth)
    confirm = ConfirmSecondFactor(otp=Sealed("123456"))
    assert await auth.code_of(confirm, actor) == "auth.second_factor_off"
    assert await auth.code_of(ending("123456"), actor) == "auth.second_factor_off"


async def test_signing_in_takes_password_and_code(auth: Auth, on: Factor) -> None:
    assert await auth.code_of(signing_in()) == "auth.otp_required"
    wrong = await auth.code_of(signing_in(password="wrong pass phrase", otp=on.app.code()))
    assert wrong == "auth.credentials_wrong", "the code is not told apart without the password"
    assert await auth.code_of(signing_in(otp="123 45")) == "auth.otp_wrong"
    assert await auth.code_of(signing_in(otp=on.app.code())) == "done"


async def test_a_code_is_taken_once_even_by_many_at_once(auth: Auth, on: Factor) -> None:
    otp = on.app.code()
    ends = await asyncio.gather(*(auth.code_of(signing_in(otp=otp)) for _ in range(5)))
    assert Counter(ends)["done"] == 1
    assert set(ends) <= {"done", "auth.otp_wrong", "auth.too_many_attempts"}
    assert len(await auth.events("auth.session.opened")) == 2
    assert await auth.code_of(signing_in(otp=otp)) in ("auth.otp_wrong", "auth.too_many_attempts")


async def test_a_recovery_code_stands_in_for_the_app_once(auth: Auth, on: Factor) -> None:
    code = on.recovery[0]
    ends = await asyncio.gather(*(auth.code_of(signing_in(otp=code)) for _ in range(4)))
    assert Counter(ends)["done"] == 1
    assert await auth.code_of(signing_in(otp=on.recovery[1].upper())) == "done"
    factor = await SecondFactor.get(on.actor.user)
    assert factor is not None
    assert len(factor.recovery) == 8


async def test_codes_are_not_guessed_faster_by_asking_without_one_in_between(
    auth: Auth, on: Factor
) -> None:
    ends = []
    for number in range(8):
        ends.append(await auth.code_of(signing_in(otp=f"wrong {number}")))
        await auth.code_of(signing_in())
    assert Counter(ends) == {"auth.otp_wrong": 5, "auth.too_many_attempts": 3}
    assert await auth.code_of(signing_in(otp=on.app.code())) == "auth.too_many_attempts"


async def test_asking_for_the_code_is_no_failure(auth: Auth, on: Factor) -> None:
    for _ in range(12):
        assert await auth.code_of(signing_in()) == "auth.otp_required"
    assert await auth.code_of(signing_in(otp=on.app.code())) == "done"


async def test_it_is_turned_off_with_password_and_code(auth: Auth, on: Factor) -> None:
    await auth.mails()
    assert await auth.code_of(ending("000 00"), on.actor) == "auth.otp_refused"
    assert await auth.code_of(ending(on.recovery[3]), on.actor) == "done"
    assert await auth.code_of(signing_in()) == "done"
    assert await SecondFactor.count() == 0
    (mail,) = await auth.mails()
    assert mail.values == {"name": "Olga", "change": "disabled"}


async def test_neither_secret_nor_recovery_codes_are_stored_in_clear(
    auth: Auth, on: Factor
) -> None:
    stored = []
    for name in await auth.database.list_collection_names():
        stored += map(repr, await auth.database[name].find().to_list())
    stored += [repr(await auth.redis.dump(key)) for key in await auth.redis.keys("*")]
    for secret in (on.app.secret, *on.recovery, *(code.replace("-", "") for code in on.recovery)):
        assert not [each for each in stored if secret in each]


async def reset(auth: Auth) -> None:
    await auth.mails()
    await auth.do(ForgetPassword(email=EMAIL))
    token = await auth.token(MailTemplate.RESET_PASSWORD)
    await auth.do(ResetPassword(token=Sealed(token), password=Sealed(OTHER)))


async def test_a_reset_does_not_turn_it_off(auth: Auth, on: Factor) -> None:
    await User.find_one().update({"$set": {"verified": True}})
    await reset(auth)
    assert await auth.code_of(signing_in(password=OTHER)) == "auth.otp_required"


async def test_of_an_address_that_nobody_had_verified_a_reset_does(auth: Auth, on: Factor) -> None:
    """Whoever registered it may not have been its owner, and would keep them out for good."""
    await reset(auth)
    assert await auth.code_of(signing_in(password=OTHER)) == "done"
    assert await SecondFactor.count() == 0
