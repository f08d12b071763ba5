"""Writes: once each, whatever is lost on the way; reads: what has changed since."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway_client import SECURITY, Answer, Api, Tenant, new_person, new_tenant, sign_in
from gateway_stack import QUICK, eventually, few_processes
from pymongo import AsyncMongoClient

from gateway.routes import ROUTES
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack


def unique(what: str) -> str:
    return f"{what} {secrets.token_hex(4)}"


@pytest.fixture
def brands(alpha: Tenant) -> str:
    return f"/v1/orgs/{alpha.org}/brands"


@pytest.fixture(scope="session")
async def database(stack: RunningStack) -> AsyncIterator[Any]:
    async with AsyncMongoClient(stack.mongo_url) as client:
        yield client["gateway_tests"]


# --- 202 and its status ------------------------------------------------------------------

ASYNC = {"Prefer": "respond-async"}


async def test_a_command_sent_async_can_be_followed_to_its_result(
    alpha: Tenant, brands: str
) -> None:
    owner = alpha.owner.api
    for prefer in ("respond-async", "wait=5, respond-async", "handling=lenient,RESPOND-ASYNC; x=1"):
        name = unique("async")
        sent = await owner.post(brands, {"name": name}, headers={"Prefer": prefer})
        assert sent.status == 202, str(sent)
        assert sent.headers["Preference-Applied"] == "respond-async"
        assert sent.json.keys() == {"command_id", "status_url"}
        assert sent.headers["Location"] == sent.json["status_url"]
        url = sent.json["status_url"]
        status = await eventually(
            lambda u=url: owner.get(u), lambda a: a.json["status"] != "pending"
        )
        assert status.json["status"] == "succeeded"
        assert "problem" not in status.json
        brand = status.json["result"]
        assert brand["name"] == name
        assert (await owner.get(f"{brands}/{brand['id']}")).json == brand


async def test_a_command_that_fails_tells_its_sender_why(alpha: Tenant, brands: str) -> None:
    owner = alpha.owner.api
    for name in (f"{alpha.marker} brand", f"{alpha.marker.lower()}  BRAND"):
        sent = await owner.post(brands, {"name": name}, headers=ASYNC)
        url = sent.json["status_url"]
        status = await eventually(
            lambda u=url: owner.get(u), lambda a: a.json["status"] != "pending"
        )
        assert status.status == 200
        assert status.json["status"] == "failed"
        assert "result" not in status.json
        problem = status.json["problem"]
        assert (problem["code"], problem["status"]) == ("corp.brand_name_taken", 409)
        direct = await owner.post(brands, {"name": name})
        assert {**direct.is_problem(409), "request_id": ""} == {**problem, "request_id": ""}


async def test_what_is_wrong_with_a_request_is_said_at_once_even_when_async(
    alpha: Tenant, brands: str
) -> None:
    (await alpha.owner.api.post(brands, {"name": ""}, headers=ASYNC)).is_problem(422)
    (await alpha.people["viewer"].api.post(brands, {"name": "x"}, headers=ASYNC)).is_problem(403)


async def test_a_profile_changed_async_is_answered_with_its_status(api: Api) -> None:
    person = await new_person(api, "Before")
    sent = await person.api.patch("/v1/me", {"name": "After"}, headers=ASYNC)
    assert sent.status == 202
    assert sent.json.keys() == {"command_id", "status_url"}
    await eventually(
        lambda: person.api.get("/v1/me"), lambda answer: answer.json["name"] == "After"
    )


async def test_an_unknown_command_has_no_status(alpha: Tenant) -> None:
    for id in ("cmd_00000000000000000000000000", "x", "auth:cmd_1"):
        (await alpha.owner.api.get(f"/v1/commands/{id}")).is_problem(404)


# --- Idempotency-Key ---------------------------------------------------------------------


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_urlsafe(16)}


def without_noise(answer: Answer) -> tuple[Any, ...]:
    shown = {
        name: answer.headers.get(name)
        for name in ("Content-Type", "Location", "ETag", "Preference-Applied", "WWW-Authenticate")
    }
    return answer.status, shown, answer.body


async def test_the_same_key_and_body_give_the_first_answer_again(
    alpha: Tenant, brands: str
) -> None:
    owner, headers, body = alpha.owner.api, keyed(), {"name": unique("once")}
    first = await owner.post(brands, body, headers=headers)
    assert first.status == 201
    assert "Idempotent-Replayed" not in first.headers
    brand = f"{brands}/{first.json['id']}"
    await owner.patch(brand, {"name": unique("renamed since")})
    again = await owner.post(brands, body, headers=headers)
    assert without_noise(again) == without_noise(first)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_every_kind_of_answer_is_given_again(api: Api, alpha: Tenant, brands: str) -> None:
    owner = alpha.owner.api
    gone = (await owner.post(brands, {"name": unique("gone")})).json["id"]
    person = await new_person(api, "Replayed")
    cases: list[tuple[Api, str, str, Any, dict[str, str], int]] = [
        (owner, "POST", brands, {"name": f"{alpha.marker} brand"}, {}, 409),
        (owner, "POST", brands, {"name": unique("later")}, ASYNC, 202),
        (owner, "DELETE", f"{brands}/{gone}", None, {}, 204),
        (owner, "PATCH", f"{brands}/{alpha.brand}", {"name": "x"}, {"If-Match": '"999"'}, 412),
        (person.api, "PATCH", "/v1/me", {"name": "Replayed again"}, {}, 200),
        (person.api, "POST", "/v1/orgs", {"name": unique("org")}, {}, 201),
    ]
    for caller, method, path, body, more, status in cases:
        headers = {**keyed(), **more}
        first = await caller(method, path, body, headers=headers)
        assert first.status == status, str(first)
        again = await caller(method, path, body, headers=headers)
        assert without_noise(again) == without_noise(first)
        assert again.headers["Idempotent-Replayed"] == "true"
    memberships = (await person.api.get("/v1/me")).json["memberships"]
    assert len(memberships) == 1


async def test_signing_in_again_with_the_same_key_opens_no_second_session(api: Api) -> None:
    person = await new_person(api, "Impatient")
    headers = keyed()
    body = {"email": person.email, "password": person.password}
    first = await api.post("/v1/auth/sessions", body, headers=headers)
    again = await api.post("/v1/auth/sessions", body, headers=headers)
    assert first.status == again.status == 201
    assert again.json == first.json
    assert again.headers["Cache-Control"] == "no-store"
    assert (await api.as_(again.json["access_token"]).get("/v1/me")).status == 200
    sessions = (await person.api.get("/v1/auth/sessions")).json["items"]
    assert len(sessions) == 2
    wrong = await api.post("/v1/auth/sessions", {**body, "password": "guess-1234"}, headers=headers)
    assert wrong.is_problem(422)["code"] == "idempotency.key_reused"


async def test_a_key_is_good_for_one_request_only(alpha: Tenant, brands: str) -> None:
    headers = keyed()
    owner, body = alpha.owner.api, {"name": unique("mine")}
    assert (await owner.post(brands, body, headers=headers)).status == 201
    for method, path, other in (
        ("POST", brands, {"name": unique("other")}),
        ("POST", f"/v1/orgs/{alpha.org}/projects", {"name": "x", "brand_id": alpha.brand}),
        ("PATCH", f"{brands}/{alpha.brand}", {"name": "x"}),
    ):
        answer = await owner(method, path, other, headers=headers)
        assert answer.is_problem(422)["code"] == "idempotency.key_reused"
    # The key is the caller's own: somebody else's is another.
    other = await alpha.people["admin"].api.post(brands, body, headers=headers)
    assert other.is_problem(409)["code"] == "corp.brand_name_taken"


async def test_the_same_key_at_the_same_time_has_one_effect(alpha: Tenant, brands: str) -> None:
    headers, body = keyed(), {"name": unique("together")}
    answers = await asyncio.gather(
        *(alpha.owner.api.post(brands, body, headers=headers) for _ in range(8))
    )
    made = [answer.json["id"] for answer in answers if answer.status == 201]
    assert len(set(made)) == 1
    for answer in answers:
        if answer.status != 201:
            assert answer.is_problem(409)["code"] == "idempotency.in_progress"
            assert int(answer.headers["Retry-After"]) >= 1
    found = await alpha.owner.api.get(f"{brands}?name={body['name'].replace(' ', '%20')}")
    assert len(found.json["items"]) == 1


async def test_a_request_refused_before_it_was_sent_leaves_its_key_free(
    alpha: Tenant, brands: str
) -> None:
    headers = keyed()
    (await alpha.owner.api.post(brands, {"name": ""}, headers=headers)).is_problem(422)
    made = await alpha.owner.api.post(brands, {"name": unique("second try")}, headers=headers)
    assert made.status == 201


# --- revisions ---------------------------------------------------------------------------


async def test_a_change_names_the_revision_it_was_made_from(alpha: Tenant, brands: str) -> None:
    owner = alpha.owner.api
    made = await owner.post(brands, {"name": unique("rev")})
    assert made.headers["ETag"] == '"1"'
    path = made.headers["Location"]
    changed = await owner.patch(path, {"name": unique("rev")}, headers={"If-Match": '"1"'})
    assert (changed.status, changed.headers["ETag"], changed.json["revision"]) == (200, '"2"', 2)
    late = await owner.patch(path, {"name": unique("late")}, headers={"If-Match": '"1"'})
    assert late.is_problem(412)["code"] == "revision_mismatch"
    assert (await owner.get(path)).json == changed.json
    anyway = await owner.patch(path, {"name": unique("rev")}, headers={"If-Match": "*"})
    assert anyway.json["revision"] == 3
    (await owner.delete(path, headers={"If-Match": '"2"'})).is_problem(412)
    assert (await owner.delete(path, headers={"If-Match": '"3"'})).status == 204
    (await owner.delete(path)).is_problem(404)


async def test_of_many_changes_to_one_revision_one_wins(alpha: Tenant, brands: str) -> None:
    owner = alpha.owner.api
    path = (await owner.post(brands, {"name": unique("race")})).headers["Location"]
    answers = await asyncio.gather(
        *(
            owner.patch(path, {"name": unique("race")}, headers={"If-Match": '"1"'})
            for _ in range(10)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 9
    free = await asyncio.gather(*(owner.patch(path, {"name": unique("race")}) for _ in range(10)))
    assert sorted(answer.json["revision"] for answer in free) == list(range(3, 13))


async def test_what_has_not_changed_is_not_sent_again(alpha: Tenant, brands: str) -> None:
    owner, path = alpha.owner.api, f"{brands}/{alpha.brand}"
    etag = (await owner.get(path)).headers["ETag"]
    for named in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        for method in ("GET", "HEAD"):
            answer = await owner(method, path, headers={"If-None-Match": named})
            assert (answer.status, answer.body) == (304, b""), named
            assert answer.headers["ETag"] == etag
            for header in SECURITY:
                assert header in answer.headers
    for named in ('"999"', etag.strip('"'), ""):
        assert (await owner.get(path, headers={"If-None-Match": named})).status == 200


async def test_a_view_that_tells_more_than_its_revision_is_never_called_unchanged(
    api: Api, alpha: Tenant
) -> None:
    """Memberships, the caller's role and signed URLs change without the revision."""
    person = await new_person(api, "Browser")
    before = await person.api.get("/v1/me")
    await person.api.post("/v1/orgs", {"name": unique("joined")})
    after = await person.api.get("/v1/me", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status == 200
    assert len(after.json["memberships"]) == 1
    for path in (f"/v1/orgs/{alpha.org}", f"/v1/orgs/{alpha.org}/assets/{alpha.asset}"):
        first = await alpha.owner.api.get(path)
        again = await alpha.owner.api.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status == 200


# --- lists -------------------------------------------------------------------------------


async def test_pages_miss_nothing_and_repeat_nothing_while_others_write(api: Api) -> None:
    tenant = await new_tenant(api, "Paged")
    owner, path = tenant.owner.api, f"/v1/orgs/{tenant.org}/brands"

    async def add(name: str) -> str:
        made = await owner.post(path, {"name": name})
        assert made.status == 201, str(made)
        id: str = made.json["id"]
        return id

    there = [tenant.brand]
    for start in range(0, 120, 24):
        there += await asyncio.gather(*(add(f"b {n}") for n in range(start, start + 24)))
    for sort in ("created_at", "-created_at"):
        seen: list[str] = []
        cursor = ""
        for page in range(1000):
            answer = await owner.get(f"{path}?limit=7&sort={sort}{cursor}")
            assert answer.status == 200, str(answer)
            items = answer.json["items"]
            assert len(items) == 7 or answer.json["next_cursor"] is None
            seen += [each["id"] for each in items]
            if answer.json["next_cursor"] is None:
                break
            cursor = f"&cursor={answer.json['next_cursor']}"
            await add(f"{sort} {page}")
            if page == 3:
                gone = next(each for each in seen if each in there and each != tenant.brand)
                there.remove(gone)
                assert (await owner.delete(f"{path}/{gone}")).status == 204
        assert len(seen) == len(set(seen))
        assert set(there) <= set(seen)
        assert seen == sorted(seen, reverse=sort.startswith("-"))
    crossed = await owner.get(f"{path}?limit=7&sort=created_at{cursor}")
    crossed.is_problem(422)
    one = await owner.get(f"{path}?limit=1")
    assert (len(one.json["items"]), one.json["next_cursor"] is None) == (1, False)


# --- what surrounds every request --------------------------------------------------------


async def test_request_ids_go_in_and_come_out(alpha: Tenant, brands: str) -> None:
    for given in ("abc", "A-b_c.d:e", "x" * 128):
        for path in (brands, "/nothing"):
            answer = await alpha.owner.api.get(path, headers={"X-Request-Id": given})
            assert answer.headers["X-Request-Id"] == given
    made = [(await alpha.owner.api.get(brands)).headers["X-Request-Id"] for _ in range(3)]
    assert len(set(made)) == 3


async def test_a_trace_is_continued_into_the_event_log(
    alpha: Tenant, brands: str, database: Any
) -> None:
    trace = secrets.token_hex(16)
    request = f"journey-{secrets.token_hex(4)}"
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01", "X-Request-Id": request}
    made = await alpha.owner.api.post(brands, {"name": unique("traced")}, headers=headers)
    event = await database["events"].find_one({"subject": made.json["id"]})
    assert event["traceparent"].split("-")[1] == trace
    assert event["correlationid"] == request
    assert (event["org"], event["actor"]) == (alpha.org, alpha.owner.id)
    assert event["type"] == "corp.brand.created"
    assert event["causationid"].startswith("cmd_")


async def test_garbage_in_traceparent_goes_nowhere(
    alpha: Tenant, brands: str, database: Any
) -> None:
    for bad in ("x" * 4000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "<script>", "ff-1-2-3"):
        name = unique("untraced")
        made = await alpha.owner.api.post(brands, {"name": name}, headers={"traceparent": bad})
        assert made.status == 201
        event = await database["events"].find_one({"subject": made.json["id"]})
        assert bad not in str(event)


async def test_every_response_carries_the_security_headers(
    api: Api, alpha: Tenant, brands: str
) -> None:
    answers = [
        await api.get("/health"),
        await api.get("/ready"),
        await api.get("/metrics"),
        await api.get("/docs"),
        await api.get("/openapi.json"),
        await api.get("/nothing"),
        await api.get(brands),
        await api("OPTIONS", brands),
        await api.post("/v1/auth/sessions", {}),
        await alpha.owner.api.get(brands),
        await alpha.owner.api.get(brands, headers={"If-None-Match": "*"}),
        await alpha.owner.api.get(alpha.asset_view["url"]),
        await alpha.owner.api.get(alpha.asset_view["url"], headers={"Range": "bytes=9999999-"}),
        await sign_in(api, alpha.owner.email),
    ]
    for answer in answers:
        for header in SECURITY:
            assert answer.headers.get(header), f"{header}: {answer}"
        assert answer.headers["Server"] == "grid8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Cache-Control" in answer.headers
        if answer.status >= 400:
            assert answer.headers["Cache-Control"] == "no-store", str(answer)
        assert "Strict-Transport-Security" not in answer.headers, "this is no production"


async def test_health_readiness_and_metrics_tell_the_state(api: Api, brands: str) -> None:
    await api.get(brands)
    assert (await api.get("/health")).json["status"] == "alive"
    ready = (await api.get("/ready")).json
    assert ready == {
        "status": "ready",
        "dependencies": {"redis": "ok", "mongodb": "ok", "object_store": "ok"},
    }
    metrics = (await api.get("/metrics")).body.decode()
    assert (
        'grid8_requests_total{method="GET",route="/v1/orgs/{org}/brands",status="401"}' in metrics
    )


# --- when something is down --------------------------------------------------------------


@pytest.fixture(scope="module")
async def shaky(
    servers: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """A stack with a Redis of its own to take away, and little patience."""
    env = {
        **QUICK,
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": "gateway_shaky",
        "GRID8_GATEWAY__REPLY_TIMEOUT": "1",
        "GRID8_GATEWAY__DRAIN_GRACE": "5",
        "GRID8_REDIS__SOCKET_TIMEOUT": "30",
    }
    folder = tmp_path_factory.mktemp("shaky")

    def processes(stack: Any) -> Any:
        return few_processes(stack, servers=("valkey",), roles=("auth", "corp", "asset"))

    with running_stack(folder, env=env, processes=processes) as running:
        yield running


@pytest.fixture(scope="module")
async def gamma(http: Any, shaky: RunningStack) -> Tenant:
    return await new_tenant(Api(http, shaky.gateway_url), "Gamma")


@pytest.mark.timeout(180)
async def test_a_stopped_worker_turns_answers_into_promises_that_are_kept(
    shaky: RunningStack, gamma: Tenant
) -> None:
    owner, path = gamma.owner.api, f"/v1/orgs/{gamma.org}/brands"
    headers, body = keyed(), {"name": "promised"}
    await shaky.hold("workers")
    try:
        promised = await owner.post(path, body, headers=headers)
        assert promised.status == 202, str(promised)
        url = promised.json["status_url"]
        assert (await owner.get(url)).json == {
            "command_id": promised.json["command_id"],
            "status": "pending",
        }
        again = await owner.post(path, body, headers=headers)
        assert (again.status, again.json) == (202, promised.json)
        late = await owner.as_(None).post(
            "/v1/auth/sessions", {"email": gamma.owner.email, "password": gamma.owner.password}
        )
        assert late.is_problem(503)["code"] == "reply_late"
        assert int(late.headers["Retry-After"]) >= 1
        assert (await owner.get(path)).status == 200, "reads need no worker"
    finally:
        await shaky.release("workers")
    done = await eventually(lambda: owner.get(url), lambda a: a.json["status"] != "pending")
    assert done.json["status"] == "succeeded"
    found = await owner.get(f"{path}?name=promised")
    assert [each["id"] for each in found.json["items"]] == [done.json["result"]["id"]]
    assert (await owner.post(path, {"name": "and on"})).status == 201


@pytest.mark.timeout(180)
async def test_a_key_used_while_the_worker_was_away_has_one_effect(
    shaky: RunningStack, gamma: Tenant
) -> None:
    """Signing in is not answered 202: the retry sends the same command once more."""
    api = gamma.owner.api.as_(None)
    body = {"email": gamma.owner.email, "password": gamma.owner.password}
    headers = keyed()
    before = len((await gamma.owner.api.get("/v1/auth/sessions")).json["items"])
    await shaky.hold("workers")
    try:
        (await api.post("/v1/auth/sessions", body, headers=headers)).is_problem(503)
        soon = await api.post("/v1/auth/sessions", body, headers=headers)
        assert soon.is_problem(409, 503)["code"] in ("idempotency.in_progress", "reply_late")
    finally:
        await shaky.release("workers")
    signed = await eventually(
        lambda: api.post("/v1/auth/sessions", body, headers=headers),
        lambda answer: answer.status == 201,
    )
    assert (await api.as_(signed.json["access_token"]).get("/v1/me")).status == 200
    sessions = (await gamma.owner.api.get("/v1/auth/sessions")).json["items"]
    assert len(sessions) - before == 1


@pytest.mark.timeout(180)
async def test_a_gateway_that_is_stopped_answers_what_it_has_begun(
    shaky: RunningStack, gamma: Tenant
) -> None:
    owner, path = gamma.owner.api, f"/v1/orgs/{gamma.org}/brands"
    await shaky.hold("workers")
    running = [asyncio.create_task(owner.post(path, {"name": f"begun {n}"})) for n in range(5)]
    await asyncio.sleep(0.5)  # of the second that they wait for their worker
    try:
        await shaky.hold("gateway")
        assert {answer.status for answer in await asyncio.gather(*running)} == {202}
    finally:
        await shaky.release("gateway")
        await shaky.release("workers")
    for task in running:
        url = task.result().json["status_url"]
        done = await eventually(lambda u=url: owner.get(u), lambda a: a.json["status"] != "pending")
        assert done.json["status"] == "succeeded"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["paused", "stopped"])
async def test_without_redis_the_gateway_says_so_and_recovers_by_itself(
    how: str, shaky: RunningStack, gamma: Tenant
) -> None:
    owner, path = gamma.owner.api, f"/v1/orgs/{gamma.org}/brands"
    assert (await owner.get(path)).status == 200
    if how == "paused":
        shaky.process("valkey").signal(signal.SIGSTOP)
    else:
        await shaky.hold("valkey")
    try:
        started = time.monotonic()
        answers = await asyncio.gather(
            owner.post(path, {"name": f"lost {how}"}, headers=keyed()),
            owner.post(path, {"name": f"lost too {how}"}),
            owner.as_(None).post("/v1/auth/sessions", {"email": "a@b.example", "password": "x"}),
            owner.post(f"/v1/orgs/{gamma.org}/realtime/tickets"),
        )
        took = time.monotonic() - started
        for answer in answers:
            assert answer.is_problem(503)["code"] in ("dependency_unavailable", "reply_late")
            assert int(answer.headers["Retry-After"]) >= 1
        assert took < 20, f"{took:.1f} s, although no request waits for Redis longer than 6 s"
        ready = await owner.as_(None).get("/ready")
        assert ready.status == 503
        assert ready.json["dependencies"]["redis"] != "ok"
        assert ready.json["dependencies"]["mongodb"] == "ok"
        assert (await owner.as_(None).get("/health")).status == 200
    finally:
        if how == "paused":
            shaky.process("valkey").signal(signal.SIGCONT)
        else:
            await shaky.release("valkey")
    made = await eventually(
        lambda: owner.post(path, {"name": f"back {how} {secrets.token_hex(3)}"}),
        lambda answer: answer.status == 201,
        within=30,
    )
    assert made.json["name"].startswith("back")
    await eventually(lambda: owner.get("/ready"), lambda answer: answer.status == 200)


def test_every_command_may_be_repeated_by_key() -> None:
    for route in ROUTES:
        if route.kind == "command":
            assert route.method in ("POST", "PATCH", "DELETE")
