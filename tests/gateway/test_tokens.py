"""Access tokens: every classic way to make one, and to send one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gateway_client import Api, Tenant
from jose import jwt
from raw_http import send_raw

from infra.embedded.running import RunningStack

SURROGATE = b'{"alg":"\\ud800","kid":"\\udfff"}'
NESTED = b'{"a":' * 580


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def part(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


class Forge:
    """Makes tokens like the gateway's, with whatever is wrong."""

    def __init__(self, stack: RunningStack, real: str) -> None:
        folder = Path(stack.env["GRID8_AUTH__KEYS_FOLDER"])
        self.path = sorted(folder.glob("*.pem"))[-1]
        self.kid = self.path.stem
        self.private = self.path.read_text()
        loaded = serialization.load_pem_private_key(self.private.encode(), password=None)
        self.public = loaded.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.claims: dict[str, Any] = jwt.get_unverified_claims(real)
        self.real = real

    def signed(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """With the real key."""
        wanted = {k: v for k, v in {**self.claims, **claims}.items() if v is not None}
        more = {"kid": self.kid, "typ": "at+jwt", **(headers or {})}
        token: str = jwt.encode(wanted, self.private, algorithm="ES256", headers=more)
        return token

    def hmac(self, secret: bytes, algorithm: str = "HS256", **headers: Any) -> str:
        text = (
            part({"alg": algorithm, "kid": self.kid, "typ": "at+jwt", **headers})
            + "."
            + part(self.claims)
        )
        return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    def own_key(self, **headers: Any) -> str:
        """With a key of the attacker's."""
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        token: str = jwt.encode(
            self.claims,
            key.decode(),
            algorithm="ES256",
            headers={"kid": self.kid, "typ": "at+jwt", **headers},
        )
        return token


@pytest.fixture(scope="session")
def forge(stack: RunningStack, alpha: Tenant) -> Forge:
    return Forge(stack, alpha.owner.tokens["access_token"])


async def test_the_forge_makes_tokens_that_are_taken(api: Api, forge: Forge) -> None:
    for token in (forge.real, forge.signed()):
        assert (await api.as_(token).get("/v1/me")).status == 200


async def test_no_forged_token_is_taken(api: Api, forge: Forge, beta: Tenant) -> None:
    now = int(time.time())
    head, body, signature = forge.real.split(".")
    none = {"alg": "none", "kid": forge.kid, "typ": "JWT"}
    forged = {
        "alg none": f"{part(none)}.{body}.",
        "alg None": f"{part({**none, 'alg': 'None'})}.{body}.{signature}",
        "no alg": f"{part({'kid': forge.kid})}.{body}.{signature}",
        "HS256 of the public key": forge.hmac(forge.public),
        "HS256 of the public key, said to be ES256": forge.hmac(forge.public, "ES256"),
        "HS256 of nothing": forge.hmac(b""),
        "another key": forge.own_key(),
        "another key, by jku": forge.own_key(jku="http://127.0.0.1:9/jwks.json"),
        "another key, by x5u": forge.own_key(x5u="http://127.0.0.1:9/x.pem"),
        "another key, by jwk": forge.own_key(jwk={"kty": "EC", "crv": "P-256"}),
        "unknown kid": forge.own_key(kid="nobody"),
        "kid of a file": forge.own_key(kid="../../../../dev/null"),
        "kid null": forge.own_key(kid=None),
        "kid a list": forge.own_key(kid=[forge.kid]),
        "kid a number": forge.own_key(kid=1),
        "crit": forge.signed({"crit": ["b64"], "b64": False}),
        "aud": forge.signed(aud="other"),
        "aud missing": forge.signed(aud=None),
        "iss": forge.signed(iss="other"),
        "iss missing": forge.signed(iss=None),
        "expired": forge.signed(exp=now - 1),
        "exp missing": forge.signed(exp=None),
        "exp text": forge.signed(exp="9999999999"),
        "exp a fraction": forge.signed(exp=now + 99.5),
        "not yet": forge.signed(nbf=now + 600),
        "sub missing": forge.signed(sub=None),
        "sub a list": forge.signed(sub=[forge.claims["sub"]]),
        "sub of another": forge.signed(sub=beta.owner.id),
        "sid missing": forge.signed(sid=None),
        "sid unknown": forge.signed(sid="ses_00000000000000000000000000"),
        "sid of another": forge.signed(sid=beta.owner.tokens["session_id"]),
        "sid an object": forge.signed(sid={"$ne": None}),
        "body changed": f"{head}.{part({**forge.claims, 'sub': beta.owner.id})}.{signature}",
        "signature cut": forge.real[:-4],
        "signature empty": f"{head}.{body}.",
        "signature zero": f"{head}.{body}.{b64(bytes(64))}",
        "two parts": f"{head}.{body}",
        "four parts": f"{forge.real}.x",
        "five parts": f"{forge.real}.x.y",
        "only dots": "..",
        "huge": "a" * 6000,
        "body no object": f"{head}.{part([1])}.{signature}",
        "header no object": f"{part([1])}.{body}.{signature}",
        "header no JSON": f"{part(b'x')}.{body}.{signature}",
        "header not UTF-8": f"{part(bytes([255, 254]))}.{body}.{signature}",
        "header with a surrogate": f"{part(SURROGATE)}.{body}.{signature}",
        "percent": "%00%ff",
        "a refresh token": beta.owner.tokens["refresh_token"],
    }
    for name, token in forged.items():
        answer = await api.as_(token).get("/v1/me")
        problem = answer.is_problem(401)
        assert problem["code"] in ("auth.token_invalid", "auth.session_ended"), f"{name}: {answer}"


async def test_a_token_nested_too_deeply_is_refused(api: Api) -> None:
    for token in (f"{part(b'[' * 2900)}.e30.AA", f"{part(NESTED)}.e30.AA"):
        (await api.as_(token).get("/v1/me")).is_problem(401)


async def test_a_token_is_sent_in_one_way(
    api: Api, stack: RunningStack, forge: Forge, alpha: Tenant
) -> None:
    for good in (f"bearer {forge.real}", f"BEARER {forge.real}", f"Bearer   {forge.real}"):
        answer = await api.get("/v1/me", headers={"Authorization": good})
        assert answer.status == 200, good[:12]
    for bad in (
        forge.real,
        f"Basic {forge.real}",
        f"Bearer{forge.real}",
        f"Bearer {forge.real} x",
        f"Bearer {forge.real},Bearer {forge.real}",
        f'Bearer "{forge.real}"',
        "Bearer",
        "Bearer ",
        "Basic b3duZXI6cGFzc3dvcmQ=",
    ):
        answer = await api.get("/v1/me", headers={"Authorization": bad})
        answer.is_problem(401)
    for query in ("access_token", "token", "authorization"):
        (await api.get(f"/v1/me?{query}={forge.real}")).is_problem(401)
    (await api.get("/v1/me", headers={"Cookie": f"Authorization=Bearer {forge.real}"})).is_problem(
        401
    )
    line = b"Authorization: Bearer %s\r\n" % forge.real.encode()
    twice = await send_raw(
        stack.gateway_url, b"GET /v1/me HTTP/1.1\r\nHost: x\r\n" + line * 2 + b"\r\n"
    )
    assert twice.status == 401, twice.raw


async def test_the_published_keys_verify_and_sign_nothing(api: Api, forge: Forge) -> None:
    answer = await api.get("/.well-known/jwks.json")
    keys = answer.json["keys"]
    assert [key["kid"] for key in keys] == [forge.kid]
    assert set(keys[0]) <= {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert jwt.decode(forge.real, keys[0], algorithms=["ES256"], audience="grid8", issuer="grid8")


async def test_refresh_tokens_rotate_and_their_reuse_ends_the_session(api: Api) -> None:
    from gateway_client import new_person

    person = await new_person(api, "Rotating")

    async def refresh(token: str) -> Any:
        return await api.post("/v1/auth/sessions/refresh", {"refresh_token": token})

    first = person.tokens["refresh_token"]
    second = await refresh(first)
    assert second.status == 201, str(second)
    assert second.headers["Cache-Control"] == "no-store"
    again = await refresh(first)
    assert again.json["refresh_token"] == second.json["refresh_token"], "grace of 30 s"
    third = await refresh(second.json["refresh_token"])
    assert third.status == 201
    reused = await refresh(first)
    assert reused.is_problem(401)["code"] == "auth.refresh_token_reused"
    for token in (third.json["refresh_token"], first, "g8r_x.1.y", "x", third.json["access_token"]):
        (await refresh(token)).is_problem(401)
    for counter in ("0", "1", "2", "999999999", "-1", "x"):
        head, _, mac = first.rpartition(".")
        (await refresh(f"{head.rpartition('.')[0]}.{counter}.{mac}")).is_problem(401)


async def test_what_cannot_be_parsed_does_not_put_its_token_into_the_log(
    stack: RunningStack, forge: Forge
) -> None:
    secret = forge.real.encode()
    for head in (
        b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\x00\r\n\r\n" % secret,
        b"BREW /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % secret,
        b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo : bar\r\nAuthorization: Bearer %s\r\n\r\n" % secret,
        b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer %s\r\n\r\nzz\r\n%s" % (secret, secret),
    ):
        answer = await send_raw(stack.gateway_url, head)
        assert secret not in answer.raw
    logs = b"".join(path.read_bytes() for path in stack.logs.glob("*.log"))
    assert secret[-43:] not in logs
    assert secret[:60] not in logs
