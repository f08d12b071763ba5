"""Accounts over HTTP: what is answered, what is mailed, and which sessions live on."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pyotp
import pytest
from gateway_client import PASSWORD, Answer, Api, new_person, sign_in
from gateway_stack import eventually

from bus.broker import connect
from bus.documents import Database
from infra import mongo
from infra.embedded.running import RunningStack
from infra.settings import MongoSettings

OTHER = "quite another pass phrase"


class Mails:
    """What was mailed: the documents, and the links in the mails that the sink took."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def to(self, email: str, template: str, count: int = 1) -> list[dict[str, Any]]:
        """Those to somebody, once there are so many."""
        wanted = {"to": email, "template": template}
        mails = self._database["mails"]
        return await eventually(
            lambda: mails.find(wanted).sort("_id").to_list(), lambda found: len(found) >= count
        )

    async def token(self, email: str, template: str) -> str:
        """The secret of the link in the last one."""
        mail = (await self.to(email, template))[-1]
        token = await eventually(lambda: self._token(mail["_id"]))
        assert token is not None
        return token

    async def _token(self, id: str) -> str | None:
        for path in self._folder.glob("*.eml"):
            letter = message_from_bytes(path.read_bytes(), policy=default)
            assert isinstance(letter, EmailMessage)
            if not letter["Message-ID"].startswith(f"<{id}@"):
                continue
            body = letter.get_body(("plain",))
            assert body is not None
            found = re.search(r"#token=(\S+)", body.get_content())
            assert found, body
            return found[1]
        return None


@pytest.fixture
async def mails(stack: RunningStack) -> AsyncIterator[Mails]:
    client, database = mongo.connect(
        MongoSettings(url=stack.mongo_url, database=stack.env["GRID8_MONGO__DATABASE"])
    )
    yield Mails(database, stack.mails)
    await client.close()


def refresh(api: Api, token: str) -> Any:
    return api.as_(None).post("/v1/auth/sessions/refresh", {"refresh_token": token})


async def test_from_registering_to_a_reset_password(api: Api, mails: Mails) -> None:
    person = await new_person(api, "Ann")
    assert (await person.api.get("/v1/me")).json["verified"] is False
    token = await mails.token(person.email, "verify_address")
    made = await api.post("/v1/auth/verify-email", {"token": token})
    assert (made.status, made.body) == (204, b"")
    assert (await person.api.get("/v1/me")).json["verified"] is True
    used = await api.post("/v1/auth/verify-email", {"token": token})
    assert used.is_problem(422)["code"] == "auth.link_invalid"

    forgot = await api.post("/v1/auth/password/forgot", {"email": person.email.upper()})
    assert (forgot.status, forgot.json) == (202, {"email": person.email})
    token = await mails.token(person.email, "reset_password")
    body = {"token": token, "password": "password123"}
    refused = (await api.post("/v1/auth/password/reset", body)).is_problem(422)
    assert refused["code"] == "auth.password_refused"
    assert refused["errors"][0]["pointer"] == "/password"
    assert (await api.post("/v1/auth/password/reset", {**body, "password": OTHER})).status == 204
    (await sign_in(api, person.email)).is_problem(401)
    assert (await sign_in(api, person.email, OTHER)).status == 201
    ended = await eventually(lambda: person.api.get("/v1/me"), lambda a: a.status == 401, within=5)
    assert ended.code == "auth.session_ended"
    (await refresh(api, person.tokens["refresh_token"])).is_problem(401)
    assert await mails.to(person.email, "password_changed")


@pytest.mark.parametrize("path", ["password/forgot", "verify-email/resend"])
async def test_what_is_asked_for_by_mail_is_answered_alike_for_everybody(
    api: Api, path: str
) -> None:
    person = await new_person(api, "Known")
    unknown = f"{secrets.token_hex(6)}@example.com"
    answers = [
        await api.post(f"/v1/auth/{path}", {"email": email}) for email in (person.email, unknown)
    ]
    assert [(each.status, each.json) for each in answers] == [
        (202, {"email": person.email}),
        (202, {"email": unknown}),
    ]
    assert {*answers[0].headers} == {*answers[1].headers}


async def test_what_is_asked_for_by_mail_is_answered_before_anybody_looks(
    api: Api, stack: RunningStack
) -> None:
    """Else the time would tell whether there is an account: here, nobody looks at all."""
    await stack.hold("workers")
    try:
        for path in ("password/forgot", "verify-email/resend"):
            answer = await api.post(f"/v1/auth/{path}", {"email": "a@example.com"})
            assert answer.status == 202, str(answer)
    finally:
        await stack.release("workers")


async def test_a_taken_address_is_answered_alike_and_its_owner_mailed(
    api: Api, mails: Mails
) -> None:
    person = await new_person(api, "Owner")
    body = {"email": person.email, "password": OTHER, "name": "Somebody else"}
    taken = await api.post("/v1/auth/register", body)
    free = await api.post("/v1/auth/register", {**body, "email": f"x{person.email}"})
    assert (taken.status, taken.json) == (202, {"email": person.email})
    assert (free.status, free.json) == (202, {"email": f"x{person.email}"})
    (mail,) = await mails.to(person.email, "address_taken")
    assert mail["values"] == {"name": "Owner"}


@pytest.mark.parametrize(
    "email",
    ["аnn@example.org", "ann@\u212aelvin.example.org", "Ann <ann@example.org>",
     "ann@example.org\r\nBcc: b@example.org", "a" * 250 + "@example.org"],
)  # fmt: skip
async def test_what_looks_like_an_address_and_is_none_is_refused_everywhere(
    api: Api, email: str
) -> None:
    for path, more in (
        ("register", {"password": PASSWORD, "name": "x"}),
        ("sessions", {"password": PASSWORD}),
        ("password/forgot", {}),
        ("verify-email/resend", {}),
    ):
        problem = (await api.post(f"/v1/auth/{path}", {"email": email, **more})).is_problem(422)
        assert problem["errors"][0]["pointer"] == "/email"


async def test_a_changed_password_ends_the_other_sessions(api: Api) -> None:
    person = await new_person(api, "Changer")
    other = api.as_((await sign_in(api, person.email)).json["access_token"])
    assert (await other.get("/v1/me")).status == 200
    path = "/v1/auth/password"
    wrong = await person.api.post(path, {"current_password": OTHER, "password": OTHER})
    problem = wrong.is_problem(422)
    assert problem["code"] == "auth.current_password_wrong"
    assert problem["errors"][0]["pointer"] == "/current_password"
    body = {"current_password": PASSWORD, "password": OTHER}
    assert (await person.api.post(path, body)).status == 204
    await eventually(lambda: other.get("/v1/me"), lambda a: a.status == 401, within=5)
    assert (await person.api.get("/v1/me")).status == 200


async def test_a_second_factor_from_begin_to_end(api: Api, mails: Mails) -> None:
    person = await new_person(api, "Careful")
    begun = await person.api.post("/v1/auth/mfa", {"password": PASSWORD})
    assert begun.status == 201, str(begun)
    assert begun.headers["Cache-Control"] == "no-store"
    assert begun.json["uri"].startswith("otpauth://totp/Grid8:")
    totp = pyotp.TOTP(begun.json["secret"])
    confirmed = await person.api.post("/v1/auth/mfa/confirm", {"otp": totp.now()})
    assert confirmed.status == 200, str(confirmed)
    codes = confirmed.json["recovery_codes"]
    assert len(codes) == 10
    assert (await person.api.get("/v1/me")).json["mfa"] is True
    body = {"email": person.email, "password": PASSWORD}
    asked = (await api.post("/v1/auth/sessions", body)).is_problem(401)
    assert asked["code"] == "auth.otp_required"
    wrong = (await api.post("/v1/auth/sessions", {**body, "otp": "no code"})).is_problem(401)
    assert wrong["code"] == "auth.otp_wrong"
    assert (await api.post("/v1/auth/sessions", {**body, "otp": codes[0]})).status == 201
    ended = await person.api.delete("/v1/auth/mfa", body={"password": PASSWORD, "otp": codes[1]})
    assert ended.status == 204, str(ended)
    assert (await sign_in(api, person.email)).status == 201
    changes = await mails.to(person.email, "second_factor_changed", 2)
    assert [mail["values"]["change"] for mail in changes] == ["enabled", "disabled"]


async def test_too_many_failures_are_told_to_wait_and_use_no_key_up(api: Api) -> None:
    email = f"{secrets.token_hex(6)}@example.com"
    answers = await asyncio.gather(*(sign_in(api, email, "wrong pass phrase") for _ in range(30)))
    refused = [each for each in answers if each.status == 429]
    assert {each.status for each in answers} == {401, 429}
    assert len(refused) > 15, "few are tried, also where each takes long"
    assert refused[0].is_problem(429)["code"] == "auth.too_many_attempts"
    assert int(refused[0].headers["Retry-After"]) >= 1
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"email": email, "password": "wrong pass phrase"}

    async def ask() -> Answer:
        return await api.post("/v1/auth/sessions", body, headers=headers)

    later = await eventually(ask, lambda answer: answer.status != 429)
    assert later.status == 401, "a 429 is not what this key is answered for ever"
    assert (await ask()).headers["Idempotent-Replayed"] == "true"


async def test_of_two_hundred_refreshes_at_once_there_is_one_successor(api: Api) -> None:
    person = await new_person(api, "Many tabs")
    token = person.tokens["refresh_token"]
    answers = await asyncio.gather(*(refresh(api, token) for _ in range(200)))
    assert {answer.status for answer in answers} == {201}
    (following,) = {answer.json["refresh_token"] for answer in answers}
    assert (await refresh(api, following)).status == 201


async def test_a_stolen_token_ends_the_family_and_its_owner_is_mailed_once(
    api: Api, mails: Mails, stack: RunningStack
) -> None:
    person = await new_person(api, "Robbed")
    stolen, session = person.tokens["refresh_token"], person.tokens["session_id"]
    following = (await refresh(api, stolen)).json["refresh_token"]
    assert (await refresh(api, stolen)).json["refresh_token"] == following, "within the grace"
    redis = connect(stack.env["GRID8_REDIS__URL"])
    key = f"grid8:session:{session}"
    rotated = float((await redis.hget(key, "rotated")) or 0)
    await redis.hset(key, "rotated", str(rotated - 31))  # as if it were long ago
    await redis.aclose()
    ends = await asyncio.gather(*(refresh(api, stolen) for _ in range(20)))
    assert {each.status for each in ends} == {401}
    assert "auth.refresh_token_reused" in {each.code for each in ends}
    (await refresh(api, following)).is_problem(401)
    await eventually(lambda: person.api.get("/v1/me"), lambda a: a.status == 401, within=5)
    (mail,) = await mails.to(person.email, "session_stolen")
    assert mail["values"]["name"] == "Robbed"
    assert mail["values"]["address"] == "127.0.0.1"


async def test_a_new_device_is_mailed_of_and_listed(api: Api, mails: Mails) -> None:
    person = await new_person(api, "Traveller")
    body = {"email": person.email, "password": PASSWORD}
    signed = await api.post("/v1/auth/sessions", body, headers={"User-Agent": "Phone/1"})
    assert signed.status == 201
    (mail,) = await mails.to(person.email, "new_device")
    assert mail["values"]["agent"] == "Phone/1"
    listed = (await person.api.get("/v1/auth/sessions")).json["items"]
    assert "Phone/1" in {each["agent"] for each in listed}
