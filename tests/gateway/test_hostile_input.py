"""Hostile requests beyond bad input: injected headers, huge fields, look-alikes, odd numbers."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any
from urllib.parse import quote

import pytest
from gateway_client import PASSWORD, Answer, Api, Asker, Tenant, new_person
from gateway_stack import GatewayLog
from raw_http import RawAnswer, send_raw
from test_bad_input import COMMANDS, LISTS, address, named

from contracts.permissions import PlatformPermission
from gateway.routes import ROUTES
from gateway.table import Route
from infra.embedded.running import RunningStack

MIB = 1024 * 1024
TEXTS = [route for route in COMMANDS if route.body_fields]
TENANTS = [route for route in LISTS if not isinstance(route.allow, PlatformPermission)]
"""Lists that show one tenant's."""
FILTERS = [
    route
    for route in ROUTES
    if route.parameters is not None and not route.path.startswith("/files/")
]


async def get_raw(stack: RunningStack, headers: bytes, path: bytes = b"/v1/me") -> RawAnswer:
    return await send_raw(
        stack.gateway_url, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n"
    )


# --- fields ------------------------------------------------------------------------------


@pytest.mark.parametrize("route", **named(TEXTS))
async def test_a_field_of_a_megabyte_is_refused(route: Route, alpha: Tenant, asker: Asker) -> None:
    path = address(route, alpha)
    for field in route.body_fields:
        for text in ("x" * (MIB - 200), "x" * (MIB + 1), "é" * (MIB // 2 - 200), "a@" * (MIB // 4)):
            body = json.dumps({field: text}, ensure_ascii=False).encode()
            answer = await asker(route)(
                route.method, path, data=body, headers={"Content-Type": "application/json"}
            )
            problem = answer.is_problem(413, 422)
            if answer.status == 422:
                pointers = [each["pointer"] for each in problem["errors"]]
                assert any(each.startswith(f"/{field}") for each in pointers), str(answer)
            assert len(answer.body) < 20_000


LOOKALIKES = {
    "Cyrillic a": "\u0430cme",
    "Greek o": "ac\u03bfme",
    "full width": "\uff41\uff43\uff4d\uff45",
    "mathematical": "\U0001d41acme",
    "dotless i": "acm\u0131",
    "long s": "acme\u017f",
    "Kelvin": "\u212aacme",
    "ligature": "\ufb01rm",
    "combining": "acme\u0301",
    "zero width": "ac\u200bme",
    "zero width joiner": "ac\u200dme",
    "soft hyphen": "ac\u00adme",
    "right to left": "\u202eemca",
    "byte order mark": "\ufeffacme",
    "other hyphen": "ac\u2010me",
    "Arabic digits": "acme\u0661",
}


@pytest.mark.parametrize("name", LOOKALIKES)
async def test_a_slug_that_looks_like_another_is_refused(name: str, alpha: Tenant) -> None:
    slug = LOOKALIKES[name]
    answer = await alpha.owner.api.post("/v1/orgs", {"name": "Look-alike", "slug": slug})
    assert answer.is_problem(422)["errors"][0]["pointer"] == "/slug"
    answer = await alpha.owner.api.patch(f"/v1/orgs/{alpha.org}", {"slug": slug})
    assert answer.is_problem(422)["errors"][0]["pointer"] == "/slug"


@pytest.mark.parametrize("name", LOOKALIKES)
async def test_an_address_that_looks_like_another_is_refused(
    name: str, api: Api, alpha: Tenant
) -> None:
    """Two people could not tell them apart, and a mail system may take one for the other."""
    word = LOOKALIKES[name]
    rest = {"password": PASSWORD, "name": "Look-alike"}
    for email in (f"{word}@example.com", f"a.{word}@example.com"):
        answer = await api.post("/v1/auth/register", {"email": email, **rest})
        assert answer.is_problem(422)["errors"][0]["pointer"] == "/email", str(answer)
    signing_in = {"email": f"{word}@example.com", "password": PASSWORD}
    (await api.post("/v1/auth/sessions", signing_in)).is_problem(401, 422)
    member = {"email": f"{word}@example.com", "role": "viewer"}
    answer = await alpha.owner.api.post(f"/v1/orgs/{alpha.org}/members", member)
    answer.is_problem(404, 422)


# --- parameters --------------------------------------------------------------------------

NOT_A_LIMIT = (
    "NaN", "nan", "inf", "-inf", "Infinity", "1.0", "1.", ".5", "1e2", "1E2", "+1", "%2B1", "%201",
    "1%20", "%091", "1_0", "1,000", "0x10", "0b1", "0o7", "-0", "-5", "0", "201", "1;2", "true",
    "None", "null", "[]", "%D9%A1", "%EF%BC%91", "%E0%A5%A7", "%C2%B2", "%E2%91%A0", "1%00", "1%0a",
    "9" * 19, "9" * 4000, "%F0%9D%9F%8F", "--1", "1-1", "'1'", "%221%22",
)  # fmt: skip


@pytest.mark.parametrize("route", **named(LISTS))
async def test_a_limit_is_a_number_in_digits(route: Route, alpha: Tenant, asker: Asker) -> None:
    path = address(route, alpha)
    for value in NOT_A_LIMIT:
        answer = await asker(route).get(f"{path}?limit={value}")
        assert answer.is_problem(422)["errors"][0]["pointer"] == "limit", f"{value}: {answer}"
    for value in ("1", "007", "200"):
        assert (await asker(route).get(f"{path}?limit={value}")).status == 200


HOSTILE_TEXTS = (
    "%00", "a%00b", "%ED%A0%80", "%ED%BF%BF", "%FF%FE", "%C0%AF", "%F4%90%80%80", "%EF%BF%BF",
    "%E2%80%AE", "%0D%0AX-Injected:%201", "%1B[31m", "$where", "%7B%22$ne%22:1%7D", ".*", "(a%2B)%2B$",
    "%5B", "%5C", "'%20OR%201=1--", "%3Cscript%3E", "..%2F..%2F", "%25s%25n", "x" * 7000,
)  # fmt: skip


@pytest.mark.parametrize("route", **named(FILTERS))
async def test_no_text_in_a_filter_breaks_anything(
    route: Route, alpha: Tenant, beta: Tenant, asker: Asker
) -> None:
    assert route.parameters is not None
    path = address(route, alpha)
    for name in route.parameters.model_fields:
        for value in HOSTILE_TEXTS:
            answer = await asker(route)(route.method, f"{path}?{name}={value}")
            assert answer.status < 300 or answer.is_problem(), str(answer)
            assert "X-Injected" not in answer.headers
            if route.tenant:
                assert beta.marker not in answer.body.decode()


@pytest.mark.parametrize("route", **named(LISTS))
async def test_a_cursor_from_elsewhere_shows_nothing_from_there(
    route: Route, alpha: Tenant, beta: Tenant, asker: Asker
) -> None:
    cursors = set()
    for one in (alpha, beta):
        for other in TENANTS:
            own = {"org": one.org, "team": one.team, "brand": one.brand, "asset": one.asset}
            page = await one.owner.api.get(f"{address(other, alpha, **own)}?limit=1")
            assert page.status == 200, str(page)
            cursors.add(page.json["next_cursor"])
    names = ("cursor", "after")
    assert route.parameters is not None
    [name] = [each for each in names if each in route.parameters.model_fields]
    for cursor in cursors - {None}:
        answer = await asker(route).get(f"{address(route, alpha)}?{name}={quote(cursor)}")
        assert answer.status == 200 or answer.is_problem(422), str(answer)
        for secret in beta.secrets() if route in TENANTS else ():
            assert secret not in answer.body.decode()


# --- headers -----------------------------------------------------------------------------

SPLITTERS = {
    "CR": b"\r", "LF and a space": b"\n ", "NUL": b"\0", "form feed": b"\x0c",
    "vertical tab": b"\x0b", "escape": b"\x1b[31m", "NEL": b"\xc2\x85", "line separator": b"\xe2\x80\xa8",
    "encoded": b"%0d%0a", "overlong": b"\xe5\x98\x8a\xe5\x98\x8d", "delete": b"\x7f",
}  # fmt: skip
ECHOED = (b"X-Request-Id", b"Idempotency-Key", b"If-Match", b"Origin", b"Prefer", b"traceparent",
          b"If-None-Match", b"User-Agent", b"X-Forwarded-For", b"Accept", b"Content-Type", b"Range",
          b"Cookie", b"Access-Control-Request-Method")  # fmt: skip


@pytest.mark.parametrize("name", SPLITTERS)
async def test_no_header_becomes_two(name: str, stack: RunningStack, alpha: Tenant) -> None:
    token = alpha.owner.tokens["access_token"].encode()
    log = GatewayLog(stack.logs / "gateway.log")
    for header in ECHOED:
        answer = await get_raw(
            stack,
            b"Authorization: Bearer " + token + b"\r\n"
            + header + b": a" + SPLITTERS[name] + b"Set-Cookie: injected=1\r\n",
        )  # fmt: skip
        assert answer.status is not None, header
        assert answer.status < 500, answer.raw
        assert "set-cookie" not in answer.headers, answer.raw
        assert b"injected" not in answer.raw.partition(b"\r\n\r\n")[0], answer.raw
    assert not [line for line in log.text().splitlines() if line.startswith(("Set-", "a"))]


async def test_a_path_cannot_write_lines_into_the_log(stack: RunningStack) -> None:
    log = GatewayLog(stack.logs / "gateway.log")
    mark = secrets.token_hex(6)
    for path in (f"/v1/%0aFORGED{mark}", f"/v1/%0d%0aFORGED{mark}", f"/v1/%1b[2KFORGED{mark}",
                 f"/v1/%C2%85FORGED{mark}", f"/v1/%E2%80%A8FORGED{mark}"):  # fmt: skip
        await get_raw(stack, b"", path.encode())
    said = log.text()
    lines = [line for line in said.splitlines() if mark in line]
    assert len(lines) == 5, lines
    assert all("path=" in line for line in lines), lines
    assert "\x1b[2K" not in said


async def test_a_host_is_not_believed(stack: RunningStack, alpha: Tenant) -> None:
    for host in (
        b"evil.example",
        b"evil.example:99999",
        b"",
        b"a b",
        b"[::1",
        b"\xff",
        b"x" * 4000,
    ):
        body = json.dumps({"name": secrets.token_hex(6)}).encode()
        answer = await send_raw(
            stack.gateway_url,
            b"POST /v1/orgs/%s/brands HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Host: evil.example\r\n"
            b"Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s"
            % (
                alpha.org.encode(),
                host,
                alpha.owner.tokens["access_token"].encode(),
                len(body),
                body,
            ),
        )
        assert answer.status in (201, 400), answer.raw
        assert b"evil" not in answer.raw, answer.raw
        if answer.status == 201:
            assert answer.headers["location"].startswith("/v1/orgs/"), answer.raw


@pytest.mark.parametrize(
    "agent",
    [
        b"x" * 8000,
        b"\x1b]0;owned\x07\x1b[2J" + b"y" * 100,
        b"tab\there",
        b"\xff\xfe\xe2\x80\xae",
        b"<script>alert(1)</script>",
        b"'; DROP TABLE users; --",
    ],
)
async def test_a_user_agent_is_kept_harmless(agent: bytes, api: Api, stack: RunningStack) -> None:
    person = await new_person(api, "Agent")
    body = json.dumps({"email": person.email, "password": PASSWORD}).encode()
    answer = await send_raw(
        stack.gateway_url,
        b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"User-Agent: %s\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: %d\r\n\r\n%s"
        % (agent, len(body), body),
        wait=10,
    )
    assert answer.status in (201, 400), answer.raw
    listed = (await person.api.get("/v1/auth/sessions")).json["items"]
    assert len(listed) == (2 if answer.status == 201 else 1)
    for session in listed:
        assert session["agent"].isascii()
        assert session["agent"].isprintable()
        assert len(session["agent"]) <= 512
        assert session["address"] == "127.0.0.1", "no proxy is trusted here"
    for path in stack.logs.glob("*.log"):
        assert b"\x1b]0;owned" not in path.read_bytes()


async def test_a_forwarded_address_is_ignored_where_no_proxy_is_trusted(
    stack: RunningStack, alpha: Tenant
) -> None:
    token = alpha.owner.tokens["access_token"].encode()
    for value in (b"203.0.113.9", b"x" * 8000, b"\xff, %%", b"::1, 1.2.3.4", b"'--", b""):
        log = GatewayLog(stack.logs / "gateway.log")
        answer = await get_raw(
            stack,
            b"Authorization: Bearer " + token + b"\r\n"
            b"X-Forwarded-For: " + value + b"\r\nForwarded: for=203.0.113.9\r\n"
            b"X-Real-IP: 203.0.113.9\r\n",
        )
        assert answer.status == 200, answer.raw
        assert "203.0.113.9" not in log.text()


async def test_many_hostile_requests_at_once_leave_the_gateway_well(
    stack: RunningStack, alpha: Tenant
) -> None:
    junk = [
        b"Authorization: Bearer " + secrets.token_bytes(20).hex().encode() * size + b"\r\n"
        for size in (1, 50, 150)
    ]
    answers = await asyncio.gather(*(get_raw(stack, junk[n % 3]) for n in range(150)))
    assert {answer.status for answer in answers} <= {400, 401}
    mine: Answer = await alpha.owner.api.get("/v1/me")
    assert mine.status == 200


def test_the_lists_are_all_of_them() -> None:
    """The generated tests above are of routes that there are."""
    assert len(TEXTS) >= 8
    assert len(LISTS) >= 6
    found: dict[str, Any] = {route.operation: route for route in FILTERS}
    assert {"listAudit", "listBrands", "listEvents"} <= found.keys()
