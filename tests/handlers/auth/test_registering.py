"""Registration and verification: what is told to whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from contracts.auth.commands import RegisterUser, ResendVerification, VerifyEmail
from contracts.corp.events import InvitationAccepted
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from contracts.types import now
from handlers.auth.documents import Link, Notice, User
from infra.random_tokens import digest_of
from tests.handlers.auth.conftest import Auth
from tests.handlers.auth.somebody import EMAIL, OTHER, olga, registering, signing_in

VERIFY, TAKEN = MailTemplate.VERIFY_ADDRESS, MailTemplate.ADDRESS_TAKEN
INVALID = "auth.link_invalid"


def verifying(token: str) -> VerifyEmail:
    return VerifyEmail(token=Sealed(token))


async def link_moved(by: timedelta) -> None:
    """The one link there is, as if it had been mailed earlier."""
    link = await Link.find_one()
    assert link is not None
    await Link.find_one().update(
        {"$set": {"issued_at": link.issued_at - by, "expires_at": link.expires_at - by}}
    )


async def test_whoever_registers_is_mailed_a_link_that_verifies_the_address(auth: Auth) -> None:
    await auth.do(registering())
    (mail,) = await auth.mails()
    user = await olga()
    assert (mail.to, mail.template, mail.account) == (EMAIL, VERIFY, user.id)
    assert mail.values.keys() == {"name", "expires"}
    assert mail.values["name"] == "Olga"
    assert mail.token is not None
    assert not user.verified
    await auth.do(verifying(mail.token.reveal()))
    assert (await olga()).verified
    (event,) = await auth.events("auth.user.verified")
    assert event["data"] == {"user_id": user.id}


async def test_a_link_verifies_once_even_if_used_by_many_at_once(auth: Auth) -> None:
    await auth.do(registering())
    token = await auth.token(VERIFY)
    ends = await asyncio.gather(*(auth.code_of(verifying(token)) for _ in range(20)))
    assert Counter(ends) == {"done": 1, INVALID: 19}
    assert await auth.code_of(verifying(token)) == INVALID
    assert len(await auth.events("auth.user.verified")) == 1


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 512, "\x00", "é", "../..", "g8r_a.1.b"])
async def test_a_made_up_link_verifies_nothing(auth: Auth, token: str) -> None:
    await auth.do(registering())
    assert await auth.code_of(verifying(token)) == INVALID
    assert not (await olga()).verified


async def test_a_link_verifies_for_a_day(auth: Auth) -> None:
    await auth.do(registering())
    token = await auth.token(VERIFY)
    await link_moved(timedelta(hours=24))
    assert await auth.code_of(verifying(token)) == INVALID
    await link_moved(timedelta(minutes=-1))
    assert await auth.code_of(verifying(token)) == "done"


async def test_only_a_digest_of_a_link_is_stored(auth: Auth) -> None:
    await auth.do(registering())
    token = await auth.token(VERIFY)
    stored = []
    for name in await auth.database.list_collection_names():
        stored += map(repr, await auth.database[name].find().to_list())
    stored += [repr(await auth.redis.dump(key)) for key in await auth.redis.keys("*")]
    assert not [each for each in stored if token in each]
    assert [each for each in stored if digest_of(token) in each]


async def test_links_expire_in_mongodb_by_themselves(auth: Auth) -> None:
    for collection in ("links", "notices", "devices"):
        index = (await auth.database[collection].index_information())["expiry"]
        assert "expireAfterSeconds" in index


async def test_another_link_is_mailed_once_a_minute_and_ends_the_one_before(auth: Auth) -> None:
    await auth.do(registering())
    first = await auth.token(VERIFY)
    again = ResendVerification(email=EMAIL)
    assert await auth.code_of(again) == "done"
    assert await auth.mails() == [], "it was mailed just now"
    await link_moved(timedelta(seconds=60))
    ends = await asyncio.gather(*(auth.code_of(again) for _ in range(10)))
    assert set(ends) == {"done"}
    second = await auth.token(VERIFY)
    assert await auth.code_of(verifying(first)) == INVALID
    assert await auth.code_of(verifying(second)) == "done"


async def test_resending_to_nobody_and_to_the_verified_is_answered_alike(auth: Auth) -> None:
    await auth.do(registering())
    await auth.do(verifying(await auth.token(VERIFY)))
    for email in (EMAIL, "nobody@example.com"):
        assert await auth.do(ResendVerification(email=email)) is None
    assert await auth.mails() == []


async def test_the_owner_of_a_taken_address_is_told_once_an_hour(auth: Auth) -> None:
    await auth.do(registering())
    await auth.mails()
    for _ in range(3):
        assert await auth.do(registering(password=OTHER)) == {"email": EMAIL}
    (mail,) = await auth.mails()
    user = await olga()
    assert (mail.to, mail.template, mail.token) == (EMAIL, TAKEN, None)
    assert mail.values == {"name": "Olga"}
    assert len(await auth.events("auth.registration.refused")) == 3
    await Notice.find_one(Notice.id == f"{user.id}:taken").update({"$set": {"expires_at": now()}})
    await auth.do(registering(password=OTHER))
    assert len(await auth.mails()) == 1
    assert (await olga()).revision == user.revision, "what others try does not change the account"


async def test_many_who_register_a_taken_address_at_once_cause_one_mail(auth: Auth) -> None:
    await auth.do(registering())
    await auth.mails()
    answers = await asyncio.gather(*(auth.do(registering(password=OTHER)) for _ in range(10)))
    assert answers == [{"email": EMAIL}] * 10
    assert [mail.template for mail in await auth.mails()] == [TAKEN]


async def test_of_many_who_register_a_free_address_at_once_one_is_mailed_a_link(auth: Auth) -> None:
    await asyncio.gather(*(auth.do(registering()) for _ in range(10)))
    templates = [mail.template for mail in await auth.mails()]
    assert templates.count(VERIFY) == 1
    assert set(templates) <= {VERIFY, TAKEN}
    assert templates.count(TAKEN) <= 1
    assert await User.count() == 1


async def test_one_address_in_two_cases_is_one_account(auth: Auth) -> None:
    await auth.do(registering())
    await auth.do(registering("OLGA@EXAMPLE.COM"))
    assert await User.count() == 1


async def test_who_registers_with_a_bad_password_costs_no_hash(
    auth: Auth, hashes: Counter[str]
) -> None:
    assert await auth.code_of(registering(password="olga123456")) == "auth.password_refused"
    assert not hashes
    assert await User.count() == 0
    assert await auth.mails() == []


async def test_a_name_cannot_write_headers_of_mails(auth: Auth) -> None:
    with pytest.raises(ValueError, match="control"):
        RegisterUser(email=EMAIL, password=Sealed("x" * 10), name="Olga\r\nBcc: bob@example.org")
    await auth.do(registering())
    assert await auth.code_of(signing_in()) == "done", "an unverified address may sign in here"


async def test_whoever_accepts_an_invitation_has_proved_the_address(auth: Auth) -> None:
    """Its token was mailed there, to nobody else."""
    await auth.do(registering())
    user = await User.find_one({"email": EMAIL})
    assert user is not None
    assert not user.verified
    accepted = InvitationAccepted(invitation_id="inv_1", member_id=user.id)
    for _ in range(2):
        await auth.react(accepted, org="org_1")
    user = await User.get(user.id)
    assert user is not None
    assert user.verified
    assert len(await auth.events("auth.user.verified")) == 1
    assert await auth.code_of(ResendVerification(email=EMAIL)) == "done"
    assert [each.template for each in await auth.mails()] == [MailTemplate.VERIFY_ADDRESS]
