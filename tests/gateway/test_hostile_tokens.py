"""Public attack lists for JWTs, against the running gateway: 401 for each, and soon.

RFC 8725 (JWT best current practices), RFC 9068 (access tokens), CVE-2015-9235 (algorithm
confusion), CVE-2018-0114 (embedded keys), CVE-2022-21449 (signatures of zero). What
test_tokens.py has is not repeated here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from gateway_client import Api, Tenant
from raw_http import send_raw
from test_tokens import Forge, b64, forge, part

from infra.embedded.running import RunningStack

__all__ = ["forge"]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""
UNKNOWN = "auth.token_invalid"


def raw_signed(forge: Forge, header: bytes, payload: bytes) -> str:
    """Signed with the real key, whatever the two parts are."""
    text = f"{b64(header)}.{b64(payload)}"
    loaded = serialization.load_pem_private_key(forge.private.encode(), password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(loaded.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def header_of(forge: Forge, **more: Any) -> dict[str, Any]:
    return {"alg": "ES256", "kid": forge.kid, "typ": "at+jwt", **more}


def as_text(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


async def refused(api: Api, tokens: dict[str, str]) -> None:
    """Each is refused as a token that is none, with a proper problem."""
    for name, token in tokens.items():
        answer = await api.as_(token).get("/v1/me")
        assert answer.status == 401, f"{name}: {answer}"
        assert answer.is_problem(401)["code"] == UNKNOWN, f"{name}: {answer}"
        challenge = 'Bearer realm="grid8", error="invalid_token"'
        assert answer.headers["WWW-Authenticate"] == challenge, name


async def test_raw_signed_makes_tokens_that_are_taken(api: Api, forge: Forge) -> None:
    """Else everything here would be refused for a reason of its own."""
    token = raw_signed(forge, as_text(header_of(forge)), as_text(forge.claims))
    assert (await api.as_(token).get("/v1/me")).status == 200


async def test_no_algorithm_but_ours(api: Api, forge: Forge) -> None:
    body = forge.real.split(".")[1]
    zero = b64(bytes(64))
    names: list[Any] = [
        "none", "None", "NONE", "nOnE", "none ", " none", "none\x00", "", "null", "es256", "ES256K",
        "ES384", "ES512", "RS256", "PS256", "HS256", "HS384", "HS512", "EdDSA", "dir", None, True,
        0, [], ["ES256"], {"alg": "ES256"},
    ]  # fmt: skip
    for name in names:
        head = part({"alg": name, "kid": forge.kid, "typ": "at+jwt"})
        real = raw_signed(forge, as_text(header_of(forge, alg=name)), as_text(forge.claims))
        await refused(
            api,
            {
                f"{name}, unsigned": f"{head}.{body}.",
                f"{name}, zero": f"{head}.{body}.{zero}",
                f"{name}, really signed": real,
            },
        )


async def test_the_public_key_is_no_shared_secret(api: Api, forge: Forge) -> None:
    loaded = serialization.load_pem_public_key(forge.public)
    encoding, shape = serialization.Encoding, serialization.PublicFormat
    published = (await api.get("/.well-known/jwks.json")).json
    [jwk] = published["keys"]
    forms = {
        "PEM": forge.public,
        "PEM, stripped": forge.public.strip(),
        "PEM, CRLF": forge.public.replace(b"\n", b"\r\n"),
        "PEM without its lines": b"".join(forge.public.splitlines()[1:-1]),
        "DER": loaded.public_bytes(encoding.DER, shape.SubjectPublicKeyInfo),
        "point": loaded.public_bytes(encoding.X962, shape.UncompressedPoint),
        "point, compressed": loaded.public_bytes(encoding.X962, shape.CompressedPoint),
        "JWK": json.dumps(jwk).encode(),
        "JWK, compact": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "JWK set": json.dumps(published).encode(),
        "x": jwk["x"].encode(),
        "kid": forge.kid.encode(),
        "nothing": b"",
    }
    digests = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
    for name, secret in forms.items():
        for algorithm, digest in digests.items():
            for said in (algorithm, "ES256"):
                text = f"{part(header_of(forge, alg=said))}.{part(forge.claims)}"
                mac = hmac.new(secret, text.encode(), digest).digest()
                await refused(
                    api,
                    {
                        f"{algorithm} of {name}, said to be {said}": f"{text}.{b64(mac)}",
                        f"the same as long as ours: {name}": f"{text}.{b64(mac.ljust(64, b'x')[:64])}",
                    },
                )


async def test_no_psychic_signature(api: Api, forge: Forge) -> None:
    """CVE-2022-21449: r and s that are zero modulo the order prove nothing."""
    head, body, real = forge.real.split(".")
    r = int.from_bytes(base64.urlsafe_b64decode(real + "==")[:32])
    s = int.from_bytes(base64.urlsafe_b64decode(real + "==")[32:])
    edge = (0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1)
    pairs = [(one, other) for one in edge for other in edge]
    pairs += [(r, 0), (0, s), (s, r), (r, ORDER), (ORDER, s), (ORDER - r, s)]
    tokens = {
        f"{one:x}, {other:x}": f"{head}.{body}.{b64(one.to_bytes(32) + other.to_bytes(32))}"
        for one, other in pairs
    }
    for name, raw in {
        "DER of zeros": bytes.fromhex("3006020100020100"),
        "one byte": b"\0",
        "63 bytes": bytes(63),
        "65 bytes": bytes(65),
        "96 bytes": bytes(96),
        "132 bytes": bytes(132),
        "the real one, twice": base64.urlsafe_b64decode(real + "==") * 2,
    }.items():
        tokens[name] = f"{head}.{body}.{b64(raw)}"
    await refused(api, tokens)


async def test_no_key_comes_with_the_token(api: Api, forge: Forge) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32)),
        "y": b64(numbers.y.to_bytes(32)),
        "kid": forge.kid,
    }
    where = "http://127.0.0.1:9/"
    for more in (
        {"jwk": jwk},
        {"jwk": jwk, "kid": "mine"},
        {"jku": where},
        {"jku": "file:///etc/passwd"},
        {"x5u": where},
        {"x5c": [base64.b64encode(key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )).decode()]},
        {"x5t": "x"},
        {"epk": jwk},
        {"iss": where},
    ):  # fmt: skip
        own = forge.own_key(**more)
        real = raw_signed(forge, as_text(header_of(forge, **more)), as_text(forge.claims))
        await refused(api, {f"own key, {more}": own, f"real key, {more}": real})


KIDS: tuple[Any, ...] = (
    "", " ", ".", "..", "../../../../../../dev/null", "/dev/null", "..\\..\\windows\\win.ini",
    "/proc/self/environ", "file:///etc/passwd", "http://127.0.0.1:9/", "x' UNION SELECT 'a' --",
    "' OR '1'='1", "$(sleep 9)", "`sleep 9`", "| sleep 9", "%2e%2e%2f", "\x00", "a\r\nb", "\ud800",
    "\u202e", "x" * 2500, "__proto__", "constructor", "$ne", 0, 1, -1, 1.5, True, None, [], {},
    {"$ne": None}, {"$gt": ""}, [["x"]],
)  # fmt: skip


async def test_a_kid_is_a_name_and_nothing_else(api: Api, forge: Forge) -> None:
    for kid in (
        *KIDS,
        forge.kid.upper() + "X",
        f"{forge.kid} ",
        f"{forge.kid}\x00",
        f"./{forge.kid}",
    ):
        head = as_text(header_of(forge, kid=kid))
        await refused(api, {repr(kid)[:60]: raw_signed(forge, head, as_text(forge.claims))})
        head = as_text({"alg": "HS256", "kid": kid, "typ": "at+jwt"})
        text = f"{b64(head)}.{part(forge.claims)}"
        mac = b64(hmac.new(b"", text.encode(), hashlib.sha256).digest())
        await refused(api, {f"HS256 of nothing, {kid!r}"[:80]: f"{text}.{mac}"})


async def test_a_token_of_another_kind_is_none(api: Api, forge: Forge) -> None:
    for typ in ("JWT", "jwt", "AT+JWT", "id_token+jwt", "dpop+jwt", "logout+jwt", "JOSE", "", None, 1,
                [], ["at+jwt"], "at+jwt "):  # fmt: skip
        head = as_text(header_of(forge, typ=typ))
        await refused(api, {f"typ {typ!r}": raw_signed(forge, head, as_text(forge.claims))})
    without = {name: value for name, value in header_of(forge).items() if name != "typ"}
    await refused(api, {"no typ": raw_signed(forge, as_text(without), as_text(forge.claims))})
    for more in (
        {"crit": ["exp"]}, {"crit": []}, {"crit": None}, {"crit": "b64"}, {"b64": False},
        {"b64": False, "crit": ["b64"]}, {"cty": "JWT"}, {"zip": "DEF"}, {"x": 1},
    ):  # fmt: skip
        head = as_text(header_of(forge, **more))
        await refused(api, {str(more): raw_signed(forge, head, as_text(forge.claims))})


async def test_claims_are_what_they_must_be(api: Api, forge: Forge) -> None:
    now = int(time.time())
    wrong: dict[str, tuple[Any, ...]] = {
        "exp": (now, now - 1, 0, -1, -(10**30), 10**30, 1e300, now + 99.5, str(now + 99), "", None,
                True, [now + 99], {"$gt": 0}, now * 1000),
        "nbf": (now + 600, 10**30, str(now), 1.5, None, True, [now], {}),
        "iat": (now + 600, 10**30, str(now), 1.5, None, True, [now], {}),
        "aud": ("", "grid", "grid8 ", "GRID8", "other", None, 1, True, [], ["other"], ["grid8"],
                ["grid8", "other"], [["grid8"]], {"grid8": 1}),
        "iss": ("", "grid", "Grid8", "http://grid8", None, 1, True, [], ["grid8"], {"grid8": 1}),
        "sub": ("", None, 1, True, [], {}, [forge.claims["sub"]], {"$ne": None}),
        "sid": (None, 1, True, [], {}, [forge.claims["sid"]], {"$ne": None}),
    }  # fmt: skip
    for name, values in wrong.items():
        for value in values:
            claims = {**forge.claims, "exp": now + 99, name: value}
            token = raw_signed(forge, as_text(header_of(forge)), as_text(claims))
            answer = await api.as_(token).get("/v1/me")
            # A session that is none is refused as such: nothing of it is looked up by other means.
            assert answer.is_problem(401)["code"] in (UNKNOWN, "auth.session_ended"), (
                f"{name}={value!r}: {answer}"
            )
        claims = {each: value for each, value in forge.claims.items() if each != name}
        token = raw_signed(forge, as_text(header_of(forge)), as_text(claims))
        await refused(api, {f"no {name}": token})


async def test_what_is_no_object_of_claims_is_refused(api: Api, forge: Forge) -> None:
    head = as_text(header_of(forge))
    nested = raw_signed(forge, head, as_text(forge.claims)).encode()
    for body in (
        b"", b"null", b"[]", b"1", b'"x"', b"true", b"{", b"{}", b"\xff\xfe", nested,
        as_text({"jwt": forge.real}), b'{"a":' * 500 + b"1" + b"}" * 500, b"NaN",
        as_text(forge.claims) + b"x", as_text(forge.claims).decode().encode("utf-16"),
    ):  # fmt: skip
        await refused(api, {str(body[:40]): raw_signed(forge, head, body)})
    for head in (b"", b"null", b"[]", b"1", b"{}", b"{", b"\xff", b'{"alg":"ES256"}'):
        await refused(api, {str(head): raw_signed(forge, head, as_text(forge.claims))})


async def test_a_token_has_one_spelling(api: Api, forge: Forge) -> None:
    """What a lenient decoder passes over would make one token into many."""
    head, body, signature = forge.real.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = last[last.index(signature[-1]) | 1]
    tokens = {
        "padding": forge.real + "=",
        "more padding": forge.real + "==",
        "padding of the header": f"{head}==.{body}.{signature}",
        "unused bits": forge.real[:-1] + unused,
        "other alphabet": f"{head}.{body}.{signature[:-2]}+/",
        "percent": forge.real.replace(".", "%2E"),
        "a dot more": forge.real + ".",
        "a dot before": "." + forge.real,
        "dots": "." * 3000,
        "many parts": ".".join("a" * 1000),
        "JWE": ".".join([part({"alg": "dir", "enc": "A128GCM"}), "", b64(b"iv"), b64(b"c"), b64(b"t")]),
        "trailing": forge.real + "x",
        "leading": "x" + forge.real,
        "twice": forge.real + forge.real,
        "junk in the signature": f"{head}.{body}.{signature[:9]}!{signature[9:]}",
        "a tilde in the signature": f"{head}.{body}.{signature[:9]}~{signature[9:]}",
        "junk in the body": f"{head}.{body[:9]}!{body[9:]}.{signature}",
        "a quote": f'"{forge.real}"',
        "JSON, flattened": json.dumps(
            {"protected": head, "payload": body, "signature": signature}, separators=(",", ":")
        ),
        "JSON, general": json.dumps(
            {"payload": body, "signatures": [{"protected": head, "signature": signature}]},
            separators=(",", ":"),
        ),
        "upper case": forge.real.upper(),
        "as long as is looked at": "a" * 4000,
    }  # fmt: skip
    await refused(api, tokens)


HEADERS = {
    "bytes behind": b"Bearer %s\xff",
    "no-break space": b"Bearer\xc2\xa0%s",
    "a tab inside": b"Bearer %s\tx",
    "full width": "Bearer %s．x".encode(),
    "zero width": "Bearer \u200b%s".encode(),
    "comma": b"Bearer %s, Bearer x",
    "parameters": b'Bearer token="%s"',
    "scheme twice": b"Bearer Bearer %s",
    "Negotiate": b"Negotiate %s",
    "DPoP": b"DPoP %s",
}


@pytest.mark.parametrize("name", HEADERS)
async def test_no_header_that_nearly_is_one(name: str, stack: RunningStack, forge: Forge) -> None:
    value = HEADERS[name] % forge.real.encode()
    answer = await send_raw(
        stack.gateway_url,
        b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: " + value + b"\r\n\r\n",
    )
    assert answer.status in (400, 401), answer.raw
    assert b"application/problem+json" in answer.raw


async def test_huge_tokens_are_refused_before_they_are_read(
    stack: RunningStack, forge: Forge, alpha: Tenant
) -> None:
    started = time.monotonic()
    for size in (5_000, 8_000, 9_000, 100_000, 1_000_000):
        token = forge.real.encode() + b"a" * size
        answer = await send_raw(
            stack.gateway_url,
            b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + b"\r\n\r\n",
        )
        # The server may close before it has taken all of it.
        assert answer.status in (400, 401, None), answer.raw[:300]
    assert time.monotonic() - started < 10
    assert (await alpha.owner.api.get("/v1/me")).status == 200


async def test_a_thousand_forged_tokens_at_once_hold_nobody_up(
    api: Api, forge: Forge, alpha: Tenant
) -> None:
    head, body, _ = forge.real.split(".")
    forged = [f"{head}.{body}.{b64(number.to_bytes(64))}" for number in range(1000)]
    answers = asyncio.gather(*(api.as_(token).get("/v1/me") for token in forged))
    assert (await alpha.owner.api.get("/v1/me")).status == 200
    assert {answer.status for answer in await answers} == {401}
