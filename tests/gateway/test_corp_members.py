"""Invitations, teams and owners over HTTP, and what an open socket loses by them."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from gateway_client import Answer, Api, Person, Tenant, add_member, new_person, new_tenant, sign_in
from gateway_stack import eventually
from redis.asyncio import Redis

from bus import streams
from bus.broker import decode
from contracts.envelope import Envelope
from contracts.mail.commands import SendMail
from contracts.sealed import OPEN, use_keys
from infra.embedded.running import RunningStack
from infra.signing import derive_key

PASSWORD = "correct-horse-battery-9"


@pytest.fixture
async def post(stack: RunningStack) -> AsyncIterator[Postman]:
    key = base64.b64decode(stack.env["GRID8_SECRETS__KEYS"].split(",")[0])
    use_keys([derive_key(key, "sealed")])
    async with Redis.from_url(stack.redis_url) as redis:
        yield Postman(redis)


class Postman:
    """Reads what mail is asked to send, from now on: its stream is trimmed as it is read."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def token_for(self, email: str, *, but: str = "") -> str:
        """The token of the last mail to an address, once it is another than ``but``."""

        async def look() -> str | None:
            found = None
            for _, fields in await self._redis.xrange(streams.commands("mail")):
                sent = Envelope.model_validate_json(decode(fields))
                if sent.type != SendMail.wire:
                    continue
                mail = SendMail.model_validate(sent.data, context=OPEN)
                if mail.to == email and mail.template == "invitation" and mail.token:
                    found = mail.token.reveal()
            return found if found != but else None

        token = await eventually(look)
        assert token is not None
        return token


async def invited(tenant: Tenant, email: str, **more: Any) -> Answer:
    body = {"email": email, **more}
    return await tenant.owner.api.post(f"/v1/orgs/{tenant.org}/invitations", body)


def new_address() -> str:
    return f"ann.{secrets.token_hex(5)}@example.com"


async def registered(api: Api, email: str) -> Api:
    body = {"email": email, "password": PASSWORD, "name": "Ann"}
    assert (await api.post("/v1/auth/register", body)).status == 202
    return api.as_((await sign_in(api, email, PASSWORD)).json["access_token"])


async def test_who_is_invited_registers_accepts_and_is_in(
    api: Api, alpha: Tenant, post: Postman
) -> None:
    email = new_address()
    made = await invited(alpha, email, role="editor", team_ids=[alpha.team])
    assert made.status == 201, str(made)
    assert made.json["status"] == "pending"
    assert "token" not in made.body.decode()
    token = await post.token_for(email)
    ann = await registered(api, email)
    bob = await new_person(api, "Bob")
    body = {"token": token}
    refused = await bob.api.post("/v1/invitations/accept", body)
    assert refused.is_problem(403)["code"] == "corp.invitation_for_another"
    assert email not in refused.body.decode()
    answers = await asyncio.gather(*(ann.post("/v1/invitations/accept", body) for _ in range(50)))
    ends = Counter((answer.status, answer.code) for answer in answers)
    assert ends == {(201, None): 1, (409, "corp.invitation_accepted"): 49}
    [first] = [answer for answer in answers if answer.status == 201]
    assert first.headers["Location"] == f"/v1/orgs/{alpha.org}"
    assert (await ann.get(first.headers["Location"])).json["role"] == "editor"
    shown = await alpha.owner.api.get(made.headers["Location"])
    assert shown.json["status"] == "accepted"
    anybody = await api.post("/v1/invitations/accept", body)
    anybody.is_problem(401)


async def test_a_link_is_void_once_another_is_sent_or_it_is_revoked(
    api: Api, alpha: Tenant, post: Postman
) -> None:
    email = new_address()
    made = await invited(alpha, email)
    path = made.headers["Location"]
    token = await post.token_for(email)
    soon = await alpha.owner.api.post(f"{path}/resend")
    assert soon.is_problem(429)["code"] == "corp.invitation_sent_lately"
    assert 1 <= int(soon.headers["Retry-After"]) <= 60
    stale = await alpha.owner.api.delete(path, headers={"If-Match": '"9"'})
    stale.is_problem(412)
    assert (await alpha.owner.api.delete(path)).status == 204
    ann = await registered(api, email)
    late = await ann.post("/v1/invitations/accept", {"token": token})
    assert late.is_problem(409)["code"] == "corp.invitation_revoked"
    for status, there in (("revoked", True), ("pending", False)):
        listed = await alpha.owner.api.get(
            f"/v1/orgs/{alpha.org}/invitations?status={status}&limit=200"
        )
        ids = [each["id"] for each in listed.json["items"]]
        assert (made.json["id"] in ids) is there


async def test_what_is_wrong_with_an_invitation_is_said(api: Api, alpha: Tenant) -> None:
    member = alpha.people["viewer"]
    assert (await invited(alpha, member.email)).is_problem(409)["code"] == "corp.already_member"
    email = new_address()
    answers = await asyncio.gather(*(invited(alpha, email) for _ in range(30)))
    ends = Counter((answer.status, answer.code) for answer in answers)
    assert ends == {(201, None): 1, (409, "corp.already_invited"): 29}
    admin = alpha.people["admin"].api
    path = f"/v1/orgs/{alpha.org}/invitations"
    too_high = await admin.post(path, {"email": new_address(), "role": "owner"})
    assert too_high.is_problem(403)["code"] == "corp.role_too_high"
    for body, pointer in (
        ({"email": "nobody"}, "/email"),
        ({"email": new_address(), "role": "chief"}, "/role"),
        ({"email": new_address(), "team_ids": ["team_0"]}, "/team_ids/0"),
        ({"email": new_address(), "team_ids": [alpha.team] * 21}, "/team_ids"),
        ({"email": f"{'a' * 300}@example.com"}, "/email"),
    ):
        refused = await alpha.owner.api.post(path, body)
        assert refused.is_problem(422)["errors"][0]["pointer"] == pointer, str(refused)
    for token in ("", "x" * 513, 7, None):
        (await admin.post("/v1/invitations/accept", {"token": token})).is_problem(422)
    unknown = await admin.post("/v1/invitations/accept", {"token": "x" * 43})
    assert unknown.is_problem(404)["code"] == "corp.invitation_not_found"


async def test_invitations_of_another_tenant_are_unknown_also_by_team(
    alpha: Tenant, beta: Tenant
) -> None:
    stolen = await invited(beta, new_address(), team_ids=[alpha.team])
    assert stolen.is_problem(422)["errors"][0]["pointer"] == "/team_ids/0"
    assert alpha.marker not in stolen.body.decode()


async def test_an_organization_is_handed_over_once_however_many_ask(api: Api) -> None:
    tenant = await new_tenant(api, "Handed")
    heirs = [await add_member(api, tenant, "viewer") for _ in range(2)]
    path = f"/v1/orgs/{tenant.org}/transfer"
    for user, pointer in ((f"usr_{'0' * 26}", "/user_id"), (7, "/user_id")):
        refused = await tenant.owner.api.post(path, {"user_id": user})
        assert refused.is_problem(422)["errors"][0]["pointer"] == pointer
    answers = await asyncio.gather(
        *(tenant.owner.api.post(path, {"user_id": heirs[n % 2].id}) for n in range(50))
    )
    ends = Counter((answer.status, answer.code) for answer in answers)
    assert ends == {(200, None): 1, (403, "permission_missing"): 49}
    listed = (await heirs[0].api.get(f"/v1/orgs/{tenant.org}/members?role=owner")).json["items"]
    assert len(listed) == 1
    assert listed[0]["user_id"] in {heir.id for heir in heirs}
    assert (await tenant.owner.api.get(f"/v1/orgs/{tenant.org}")).json["role"] == "admin"
    last = next(heir for heir in heirs if heir.id == listed[0]["user_id"])
    gone = await last.api.delete(f"/v1/orgs/{tenant.org}/members/{last.id}")
    assert gone.is_problem(409)["code"] == "corp.last_owner"


# sockets


@asynccontextmanager
async def listening(
    http: aiohttp.ClientSession, person: Person, org: str, *channels: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    ticket = await person.api.post(f"/v1/orgs/{org}/realtime/tickets")
    assert ticket.status == 201, str(ticket)
    url = f"{ticket.json['ws_url']}?ticket={ticket.json['ticket']}"
    async with http.ws_connect(url) as socket:
        for channel in channels:
            await socket.send_json({"op": "subscribe", "channel": channel})
            while (await socket.receive_json(timeout=10))["op"] != "subscribed":
                pass
        yield socket


async def heard(
    socket: aiohttp.ClientWebSocketResponse, type: str, **wanted: str
) -> dict[str, Any]:
    """The first event of a type that says what is wanted, within five seconds."""
    async with asyncio.timeout(5):
        while True:
            frame = await socket.receive_json()
            if frame["op"] == "event" and frame["event"]["type"] == type:
                event: dict[str, Any] = frame["event"]["data"]
                if wanted.items() <= event.items():
                    return event


async def test_who_is_weakened_hears_of_it_and_who_is_removed_hears_no_more(
    api: Api, http: aiohttp.ClientSession
) -> None:
    tenant = await new_tenant(api, "Heard")
    owner, path = tenant.owner.api, f"/v1/orgs/{tenant.org}"
    person = await add_member(api, tenant, "viewer")
    team = await owner.post(f"{path}/teams", {"name": "crew", "role": "editor"})
    members = f"{team.headers['Location']}/members"
    async with listening(http, person, tenant.org, "org", "me") as socket:
        assert (await owner.post(members, {"user_id": person.id})).status == 201
        told = await heard(socket, "corp.member.changed")
        assert (told["role"], told["effective_role"]) == ("viewer", "editor")
        create = {"name": "mine", "brand_id": tenant.brand}
        assert (await person.api.post(f"{path}/projects", create)).status == 201
        assert (await owner.patch(f"{path}/teams/{team.json['id']}", {"role": None})).status == 200
        await heard(socket, "corp.member.changed", effective_role="viewer")
        refused = await person.api.post(f"{path}/projects", {**create, "name": "more"})
        refused.is_problem(403)
        # A weaker role may still listen; the socket stays.
        await owner.post(f"{path}/brands", {"name": "news"})
        assert (await heard(socket, "corp.brand.created"))["name"] == "news"
        assert (await owner.delete(f"{path}/members/{person.id}")).status == 204
        async with asyncio.timeout(5):
            while (frame := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                assert "after" not in frame.data
        assert socket.close_code == 4003
    (await person.api.post(f"{path}/realtime/tickets")).is_problem(404)
    left = await owner.get(f"{path}/teams/{team.json['id']}")
    assert left.json["members"] == 0
