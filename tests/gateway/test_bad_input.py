"""Whatever is sent, the answer is a problem of the 4xx kind that says what was wrong."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any, get_args

import pytest
from gateway_client import TUS, Answer, Api, Asker, Tenant, notified
from raw_http import RawAnswer, send_raw

from gateway.routes import ROUTES
from gateway.table import Route
from infra.embedded.running import RunningStack

COMMANDS = [route for route in ROUTES if route.kind == "command"]
WITH_BODY = [route for route in COMMANDS if route.body_fields]
LISTS = [r for r in ROUTES if r.parameters is not None and "limit" in r.parameters.model_fields]


def named(routes: list[Route]) -> dict[str, Any]:
    return {"argvalues": routes, "ids": [route.operation for route in routes]}


def address(route: Route, tenant: Tenant, **other: str) -> str:
    ids = {
        "org": tenant.org,
        "user": tenant.people["viewer"].id,
        "brand": tenant.brand,
        "project": tenant.project,
        "asset": tenant.asset,
        "version": "1",
        "team": tenant.team,
        "holder": tenant.team,
        "invitation": tenant.invitation,
        "folder": tenant.folder,
        "upload": tenant.upload,
        "session": "ses_00000000000000000000000000",
        "key_id": "key_00000000000000000000000000",
        "command": "cmd_00000000000000000000000000",
        "notification": "ntf_00000000000000000000000000",
        "presigned": "upl_00000000000000000000000000",
        "key": "orgs/x/blobs/y",
        "code": "nothing",
        **other,
    }
    return re.sub(r"{(\w+)[^}]*}", lambda found: ids[found[1]], route.path)


NOT_JSON = {
    "empty braces cut": b"{",
    "text": b"hello",
    "trailing comma": b'{"name":"x",}',
    "two values": b'{"name":"x"} {}',
    "comment": b'{/* */"name":"x"}',
    "single quotes": b"{'name':'x'}",
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"name":-Infinity}',
    "BOM": b'\xef\xbb\xbf{"name":"x"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "UTF-32": '{"name":"x"}'.encode("utf-32"),
    "Latin-1": '{"name":"é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"name":"\xc0\xaf"}',
    "surrogate in UTF-8": b'{"name":"\xed\xa0\x80"}',
    "lone surrogate escape": b'{"name":"\\ud800"}',
    "raw control character": b'{"name":"a\x00b"}',
    "deep arrays": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"name":' * 50_000 + b"1" + b"}" * 50_000,
    "nulls": b"\x00" * 64,
    "gzip magic": b"\x1f\x8b\x08\x00" + b"x" * 30,
    "twice the same key": b'{"name":"x","name":"y"}',
    "twice the same key, escaped": b'{"name":"x","n\\u0061me":"y"}',
}
NO_OBJECT = (b"null", b"[]", b'"x"', b"1", b"true", b"[{}]", b"1e999", b"9" * 5000, b"-0.0")
MAY_BE_EMPTY = ("team_ids", "colors", "fonts", "logos", "muted")
NOT_A_STRING: tuple[Any, ...] = (None, 1, 1.5, True, [], {}, ["x"], {"$ne": None}, 10**400)


@pytest.mark.parametrize("route", **named(WITH_BODY))
async def test_what_is_not_json_is_malformed(route: Route, alpha: Tenant, asker: Asker) -> None:
    path = address(route, alpha)
    headers = {"Content-Type": "application/json"}
    for name, body in NOT_JSON.items():
        answer = await asker(route)(route.method, path, data=body, headers=headers)
        assert answer.is_problem(400)["code"] == "body_malformed", f"{name}: {answer}"
    for body in NO_OBJECT:
        answer = await asker(route)(route.method, path, data=body, headers=headers)
        assert answer.is_problem(400, 422)["detail"], str(answer)


@pytest.mark.parametrize("route", **named(WITH_BODY))
async def test_a_field_that_is_wrong_is_named(route: Route, alpha: Tenant, asker: Asker) -> None:
    path = address(route, alpha)
    for field in route.body_fields:
        for value in NOT_A_STRING:
            answer = await asker(route)(route.method, path, {field: value})
            assert answer.status < 500, str(answer)
            if value is None:
                continue  # null may be a value of this field
            if field == "tags" and value in ([], ["x"]):
                continue
            if (field in MAY_BE_EMPTY and value == []) or (
                field in ("grace", "bytes") and value == 1 and value is not True
            ):
                continue
            if field == "everything" and value is True:
                continue
            problem = answer.is_problem(422)
            pointers = [each["pointer"] for each in problem["errors"]]
            assert any(each == f"/{field}" or each.startswith(f"/{field}/") for each in pointers), (
                str(answer)
            )
        for text in ("", " ", "\x00", "a\x00b", "x" * 100_000, "\u202e" * 999, "\uffff", "\udbff"):
            body = json.dumps({field: text}).encode()
            answer = await asker(route)(
                route.method, path, data=body, headers={"Content-Type": "application/json"}
            )
            answer.is_problem(400, 401, 409, 422, 404)


@pytest.mark.parametrize("route", **named(COMMANDS))
async def test_unknown_fields_are_named_and_refused(
    route: Route, alpha: Tenant, asker: Asker
) -> None:
    for field in (
        "zzz",
        "if_revision",
        "actor",
        "address",
        "org",
        "a/b~c",
        "",
        "x" * 5000,
        "__proto__",
    ):
        answer = await asker(route)(route.method, address(route, alpha), {field: 1})
        problem = answer.is_problem(422)
        assert [each["code"] for each in problem["errors"]] == ["extra_forbidden"], str(answer)
        pointer = "/" + field.replace("~", "~0").replace("/", "~1")
        assert pointer.startswith(problem["errors"][0]["pointer"]), str(answer)
        assert len(problem["errors"][0]["pointer"]) >= min(len(pointer), 200)
    many = await asker(route)(
        route.method, address(route, alpha), {f"f{n}": 1 for n in range(20_000)}
    )
    assert len(many.is_problem(422)["errors"]) <= 50


@pytest.mark.parametrize("route", **named(WITH_BODY))
async def test_a_body_of_another_type_is_refused(route: Route, alpha: Tenant, asker: Asker) -> None:
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/jsonp",
        ";;;",
        "x" * 4000,
    ):
        answer = await asker(route)(
            route.method,
            address(route, alpha),
            data=b'{"name":"x"}',
            headers={"Content-Type": media_type},
        )
        answer.is_problem(415)


@pytest.mark.parametrize("route", **named(ROUTES))
async def test_unknown_and_repeated_parameters_are_refused(
    route: Route, alpha: Tenant, asker: Asker
) -> None:
    path = address(route, alpha)
    wanted = (403,) if route.path.startswith("/files/") else (404, 422)
    for query in ("zzz=1", "limit=1&limit=2", "%00=%00", "=", "a&b&c", "%ED%A0%80=1", "z=%FF"):
        answer = await asker(route)(route.method, f"{path}?{query}")
        answer.is_problem(*wanted)
    many = "&".join(f"p{n}" for n in range(1300))
    answer = await asker(route)(route.method, f"{path}?{many}")
    assert len(answer.is_problem(*wanted).get("errors", [])) <= 50


def sorts_of(route: Route) -> tuple[str, ...]:
    assert route.parameters is not None
    sort = route.parameters.model_fields.get("sort")
    return () if sort is None else get_args(sort.annotation)


@pytest.mark.parametrize("route", **named(LISTS))
async def test_pages_are_asked_for_properly(route: Route, alpha: Tenant, asker: Asker) -> None:
    path = address(route, alpha)

    def cursor(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()

    for name, values in {
        "limit": (
            "0",
            "-1",
            "201",
            str(10**9),
            "1.5",
            "x",
            "",
            "9" * 5000,
            "%D9%A1",
            "1e1",
            "0x1",
            "+",
        ),
        "sort": ("name", "", "-", "created_at,-created_at", "$where", "CREATED_AT"),
        "cursor": (
            "",
            "x",
            "%00",
            "====",
            "a" * 401,
            "%ED%A0%80",
            cursor(None),
            cursor([]),
            cursor({"a": 1, "b": 2}),
            cursor(["created_at", {"$gt": ""}]),
            cursor(["created_at", 1]),
            cursor(["-created_at", "brd_x"]),
            cursor(["created_at", "brd_x", 1]),
        ),
    }.items():
        for value in values:
            if name == "sort" and value in sorts_of(route):
                continue
            answer = await asker(route).get(f"{path}?{name}={value}")
            problem = answer.is_problem(422)
            assert problem["errors"][0]["pointer"] == name, str(answer)


async def test_a_cursor_made_by_hand_of_half_a_character_is_refused(alpha: Tenant) -> None:
    raw = base64.urlsafe_b64encode(json.dumps(["created_at", "\ud800"]).encode()).decode()
    answer = await alpha.owner.api.get(f"/v1/orgs?cursor={raw}")
    assert answer.is_problem(422)["code"] == "cursor_invalid"


@pytest.mark.parametrize("route", **named([route for route in ROUTES if route.in_path]))
async def test_an_id_that_cannot_be_one_is_not_found(route: Route, alpha: Tenant) -> None:
    for bad in (
        "..",
        "%2e%2e",
        "%2F",
        "a%2Fb",
        "%00",
        "%0d%0aX-Injected:1",
        "x" * 2000,
        "%ED%A0%80",
        "%FF",
        "%C3%A9",
        "%F0%9F%98%80",
        "'%20or%201=1",
        "$ne",
        "{}",
        "brd_x:usr_y",
        "%25",
        "%",
        "%zz",
        ";",
    ):
        for name in route.in_path:
            path = address(route, alpha, **{name: bad})
            answer = await alpha.owner.api(
                route.method, path, {} if route.method == "PATCH" else None
            )
            answer.is_problem(403, 404, 405, 422)
            assert "X-Injected" not in answer.headers
            if name == "org":
                assert answer.status in (404, 405), str(answer)


@pytest.mark.parametrize(
    "route", **named([route for route in COMMANDS if "if_match" in route.injected.values()])
)
async def test_a_malformed_if_match_is_refused(route: Route, alpha: Tenant, asker: Asker) -> None:
    body = {field: "active" if field == "status" else "x" for field in route.body_fields[:1]}
    if "role" in route.body_fields[:1]:
        body = {"role": "viewer"}
    if "colors" in route.body_fields:
        body = {"colors": []}
    if "muted" in route.body_fields:
        body = {"muted": []}
    ids = {}
    if "notification" in route.in_path:
        ids = {"notification": await notified(alpha)}
    if "key_id" in route.in_path:
        key = {"name": "x", "scopes": ["asset:read"]}
        made = await alpha.owner.api.post(f"/v1/orgs/{alpha.org}/api-keys", key)
        body, ids = {}, {"key_id": made.json["id"]}
    if "/trash/" in route.path:
        made = await alpha.owner.api.post(f"/v1/orgs/{alpha.org}/assets", data=b"thrown away")
        ids = {"asset": made.json["id"]}
        await alpha.owner.api.delete(f"/v1/orgs/{alpha.org}/assets/{made.json['id']}")
    for value in ("1", '""', '"x"', 'W/"1"', '"1", "2"', '"-1"', '"1.0"', '"' + "9" * 400 + '"'):
        answer = await asker(route)(
            route.method, address(route, alpha, **ids), body or None, headers={"If-Match": value}
        )
        assert answer.is_problem(400)["code"] == "if_match_malformed"
    answer = await asker(route)(
        route.method, address(route, alpha, **ids), body or None, headers={"If-Match": '"999"'}
    )
    assert answer.is_problem(412)["code"] == "revision_mismatch"


async def test_an_idempotency_key_must_be_one(stack: RunningStack, alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/brands"
    for key in ("", "x" * 256, "a b", "é"):
        answer = await alpha.owner.api.post(path, {"name": "k"}, headers={"Idempotency-Key": key})
        assert answer.is_problem(422)["code"] == "idempotency.key_invalid"
    for bad in (b"\xff\xfe", b"a\tb"):
        raw = await post_brand(stack, alpha, b"Idempotency-Key: " + bad + b"\r\n")
        assert raw.status == 422, raw.raw


async def test_garbage_preferences_change_nothing(alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/brands"
    for number, prefer in enumerate(
        (";;;", "respond-asynchronously", "wait=x", ",", "=", "x" * 4000)
    ):
        answer = await alpha.owner.api.post(
            path, {"name": f"prefer {number}"}, headers={"Prefer": prefer}
        )
        assert answer.status == 201, str(answer)


async def test_long_strings_and_long_bodies_are_refused_quickly(api: Api, alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/brands"
    room = 1024 * 1024 - 100
    for name in ("x" * room, "\u0301" * (room // 6), "👩‍👩‍👧"[:1] * (room // 12)):
        answer = await alpha.owner.api.post(path, {"name": name})
        answer.is_problem(422)
        assert len(answer.body) < 4000
    answer = await alpha.owner.api.post(path, {"name": "x" * (room + 200)})
    assert answer.is_problem(413)["code"] == "body_too_large"
    for field in ("email", "password", "name"):
        body = {"email": "a@example.com", "password": "long-enough-77", "name": "n"}
        answer = await api.post("/v1/auth/register", {**body, field: "x" * room})
        answer.is_problem(422)


async def test_a_name_made_to_be_slow_to_normalise_holds_nobody_up(api: Api) -> None:
    """Sorting combining marks takes the square of their number: minutes for one body."""
    body = {"email": "a@example.com", "password": "long-enough-77", "name": ""}
    marks = "a" + "\u0315\u0316" * 30_000
    started = time.monotonic()
    answer = await api.post(
        "/v1/auth/register",
        data=json.dumps({**body, "name": marks}, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answer.is_problem(422)["errors"][0]["pointer"] == "/name"
    assert time.monotonic() - started < 1.0


async def test_a_compressed_body_is_measured_unpacked(alpha: Tenant) -> None:
    import gzip
    import zlib

    path = f"/v1/orgs/{alpha.org}/brands"
    bomb = gzip.compress(b'{"name":"' + b"x" * 50_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await alpha.owner.api.post(path, data=bomb, headers=headers)
    answer.is_problem(413)
    for encoding, data in (
        ("gzip", b"not gzip"),
        ("gzip", bomb[:40]),
        ("deflate", b"\x00" * 40),
        ("deflate", zlib.compress(b'{"name":"x"}')[:-4]),
        ("br", b"\xff" * 40),
        ("zstd", b"\xff" * 40),
        ("nonsense", b'{"name":1}'),
    ):
        answer = await alpha.owner.api.post(
            path, data=data, headers={**headers, "Content-Encoding": encoding}
        )
        answer.is_problem(400, 415, 422)


# --- raw bytes ---------------------------------------------------------------------------


async def post_brand(
    stack: RunningStack, tenant: Tenant, headers: bytes = b"", body: bytes = b'{"name":"raw"}'
) -> RawAnswer:
    token = tenant.owner.tokens["access_token"].encode()
    head = (
        b"POST /v1/orgs/%s/brands HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        b"Content-Type: application/json\r\n" % (tenant.org.encode(), token)
    )
    if b"ransfer-" not in headers and b"ontent-Length" not in headers:
        headers += b"Content-Length: %d\r\n" % len(body)
    return await send_raw(stack.gateway_url, head + headers + b"\r\n" + body)


MALFORMED = {
    "nothing": b"",
    "blank lines": b"\r\n" * 20,
    "garbage": b"\x00\x01\x02\xff" * 50 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 190,
    "spaces in target": b"GET /a b c HTTP/1.1\r\nHost: x\r\n\r\n",
    "double slash": b"GET //v1/orgs HTTP/1.1\r\nHost: x\r\n\r\n",
    "double slash, port": b"GET //x:99999999/v1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "double slash, bracket": b"GET //[::/v1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute target": b"GET http://evil.example/v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute, bad port": b"GET http://evil.example:x/v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "authority target": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "relative target": b"GET v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "empty target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in target": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "null in target": b"GET /v1/\x00me HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment": b"GET /v1/me#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "long target": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown method": b"BREW /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "lower-case method": b"get /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "method with controls": b"G\x00T /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE": b"TRACE /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET /v1/me HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "odd host": b"GET /v1/me HTTP/1.1\r\nHost: [::\r\n\r\n",
    "header without colon": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo\r\n\r\n",
    "header with space": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo : bar\r\n\r\n",
    "folded header": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo: a\r\n b\r\n\r\n",
    "null in header": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo: a\x00b\r\n\r\n",
    "bytes in header": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "bytes in many headers": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nOrigin: \xff\r\nPrefer: \xff\r\n"
    b"X-Request-Id: \xff\r\ntraceparent: \xff\r\nUser-Agent: \xff\r\nIf-None-Match: \xff\r\n\r\n",
    "long header": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nfoo: " + b"x" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET /v1/me HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"h%d: x\r\n" % n for n in range(5000))
    + b"\r\n",
    "bare LF": b"GET /v1/me HTTP/1.1\nHost: x\n\n",
    "bare CR": b"GET /v1/me HTTP/1.1\rHost: x\r\r",
    "cut head": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthoriz",
    "two lengths": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Content-Length: 4\r\n\r\n{}{}",
    "negative length": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "signed length": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "hex length": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\n{}",
    "huge length": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: "
    + b"9" * 40
    + b"\r\n\r\n{}",
    "length and chunked": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n",
    "chunked twice": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "huge chunk size": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 40
    + b"\r\n{}\r\n0\r\n\r\n",
    "chunk longer than said": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "chunks without end": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "body shorter than said": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\n"
    b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{}",
    "unknown expectation": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nExpect: coffee\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    "upgrade": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n",
    "h2c upgrade": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "bad content type": b"POST /v1/auth/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
    b'Content-Type: a/b; c="\xff\r\n\r\n{}',
    "bad range": b"GET /files/x HTTP/1.1\r\nHost: x\r\nRange: bytes=9-1\r\n\r\n",
    "bad date": b"GET /files/x HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: Mon, 99\r\n\r\n",
    "bad cookie": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nCookie: =;;\xff=\r\n\r\n",
    "bad forwarded": b"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \xff, %%\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_http_is_refused_without_a_word_too_much(
    name: str, stack: RunningStack, alpha: Tenant
) -> None:
    answer = await send_raw(stack.gateway_url, MALFORMED[name], wait=0.4)
    assert answer.status is None or 400 <= answer.status < 500, answer.raw
    for word in (b"Traceback", b"site-packages", b"aiohttp", b'.py"', b"<html", b"Python/"):
        assert word not in answer.raw, answer.raw
    assert (await alpha.owner.api.get("/health")).status == 200


@pytest.mark.parametrize(
    "name",
    ["garbage", "long target", "header without colon", "long header", "two lengths"],
)
async def test_the_notifier_refuses_malformed_http_with_a_problem_too(
    name: str, stack: RunningStack
) -> None:
    answer = await send_raw(stack.notifier_url, MALFORMED[name])
    assert answer.status == 400, answer.raw
    assert answer.headers["content-type"] == "application/problem+json", answer.raw
    assert b"realtime.request_malformed" in answer.body
    assert answer.headers["x-request-id"].encode() in answer.body


async def test_an_unknown_expectation_is_ignored(stack: RunningStack) -> None:
    answer = await send_raw(stack.gateway_url, MALFORMED["unknown expectation"])
    assert answer.status == 415, answer.raw
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.raw


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(
    stack: RunningStack, alpha: Tenant
) -> None:
    answer = await post_brand(stack, alpha, b"Expect: 100-continue\r\n", b'{"name":"continue"}')
    assert answer.raw.startswith(b"HTTP/1.1 100 Continue"), answer.raw
    assert b" 201 Created" in answer.raw


async def test_a_chunked_body_is_read_like_any_other(stack: RunningStack, alpha: Tenant) -> None:
    body = b'5\r\n{"nam\r\nd;ext=1\r\ne":"chunked"}\r\n0\r\nX-Trailer: y\r\n\r\n'
    answer = await post_brand(stack, alpha, b"Transfer-Encoding: chunked\r\n", body)
    assert answer.status == 201, answer.raw
    endless = b"Transfer-Encoding: chunked\r\n"
    answer = await post_brand(stack, alpha, endless, b"10000\r\n" + b"x" * 65536 + b"\r\n" * 1)
    assert answer.status is None, "it waits for the end"
    too_long = (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 20
    answer = await post_brand(stack, alpha, endless, too_long)
    assert answer.status == 413, answer.raw[:300]


async def test_a_request_id_cannot_smuggle_headers(stack: RunningStack, alpha: Tenant) -> None:
    for given in (b"a\tb", b"a b", b"x" * 129, b"\xff", b"a,b", b"<script>"):
        answer = await post_brand(stack, alpha, b"X-Request-Id: " + given + b"\r\n", b'{"name":""}')
        assert answer.status == 422, answer.raw
        assert answer.headers["x-request-id"].startswith("req_"), answer.raw
    name = "a\r\nSet-Cookie: x=y"
    answer = await alpha.owner.api.post(
        f"/v1/orgs/{alpha.org}/assets?filename=a%0d%0aSet-Cookie:%20x=y.txt", data=b"text here"
    )
    assert answer.status == 201, str(answer)
    assert "\r" not in answer.json["name"], name
    file = await alpha.owner.api.get(answer.json["url"])
    assert file.status == 200
    assert "Set-Cookie" not in file.headers


# --- methods and origins -----------------------------------------------------------------


@pytest.mark.parametrize("route", **named(ROUTES))
async def test_other_methods_are_refused_with_those_allowed(route: Route, alpha: Tenant) -> None:
    path = address(route, alpha)
    known = {each.method for each in ROUTES if each.path == route.path}
    known |= {"DELETE"} if route.operation == "refreshSession" else set()  # of a session
    if route.operation in ("presignUpload", "completeUpload"):  # as if they were ids of uploads
        known |= {each.method for each in ROUTES if each.path.endswith("/uploads/{upload}")}
    known |= {"GET", "PATCH", "DELETE"} if route.operation == "changeAssets" else set()  # of one
    if route.path in (f"/v1/me/notifications/{name}" for name in ("read", "unread", "preferences")):
        known |= {"GET", "DELETE"}  # as if that were the id of one
    known |= {"HEAD"} if "GET" in known else set()
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
        answer = await alpha.owner.api(method, path)
        assert answer.is_problem(405)["code"] == "method_not_allowed"
        assert set(answer.headers["Allow"].split(", ")) == known


@pytest.mark.parametrize("route", **named([route for route in ROUTES if route.method == "GET"]))
async def test_head_says_what_get_would(route: Route, alpha: Tenant) -> None:
    path = address(route, alpha)
    # The tus protocol wants its header of HEAD.
    get, head = [await alpha.owner.api(each, path, headers=TUS) for each in ("GET", "HEAD")]
    assert head.status == get.status
    assert head.body == b""
    assert head.headers.get("ETag") == get.headers.get("ETag")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


async def test_nothing_at_an_address_is_a_problem(api: Api, alpha: Tenant) -> None:
    for path in ("/v1", "/v1/orgs/", "/favicon.ico", "/v2/orgs", "/v1/orgs/x/y/z", "/%00"):
        for each in (api, alpha.owner.api):
            assert (await each.get(path)).is_problem(404)["code"] == "route_unknown"


ORIGIN, EVIL = "https://studio.example", "https://evil.example"


async def test_an_allowed_origin_may_call_from_a_browser(api: Api, alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/brands"
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    answer = await api("OPTIONS", path, headers={"Origin": ORIGIN, **asked})
    assert answer.status == 204, str(answer)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    for header in ("authorization", "content-type", "idempotency-key", "if-match", "prefer"):
        assert header in allowed
    assert "Access-Control-Allow-Credentials" not in answer.headers
    for one in (alpha.owner.api, api):
        shown = await one.get(path, headers={"Origin": ORIGIN})
        assert shown.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "ETag" in shown.headers["Access-Control-Expose-Headers"]
        assert "Origin" in shown.headers["Vary"]


async def test_another_origin_may_not(api: Api, alpha: Tenant) -> None:
    path = f"/v1/orgs/{alpha.org}/brands"
    for origin in (EVIL, "null", "https://studio.example.evil", "http://studio.example", "*", ""):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await api("OPTIONS", path, headers=headers)
        answer.is_problem(405)
        shown = await alpha.owner.api.get(path, headers={"Origin": origin})
        assert shown.status == 200
        for one in (answer, shown):
            assert not [each for each in one.headers if each.startswith("Access-Control-")]
            assert "Origin" in one.headers["Vary"]


def test_the_answers_are_read(alpha: Tenant) -> None:
    """The helper of these tests would notice a problem that is none."""
    answer = Answer(200, {}, b"{}", "GET /")
    with pytest.raises(AssertionError):
        answer.is_problem()
