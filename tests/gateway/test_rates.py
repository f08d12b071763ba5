"""Rate limits: shared by gateways, exact where small, open for reads and closed for sign-in."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from gateway_client import PASSWORD, Answer, Api, Person, appoint, new_person
from gateway_stack import ORIGIN, QUICK, eventually, few_processes

from gateway.addresses import client_address
from gateway.rates import Rates, Standing
from gateway.routes import ROUTES
from infra.embedded.running import RunningStack
from infra.embedded.stack import running_stack
from infra.networks import customer_network
from infra.settings import LimitsSettings

CALLER, ADDRESS, IDENTITY = 150, 20, 25


def settings(caller: int) -> LimitsSettings:
    return LimitsSettings(caller=caller, address=0, identity=0, patience=5)


@pytest.fixture
async def two(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[list[Rates]]:
    """Two gateways' counters on one Redis; the limit is the test's parameter."""
    both = [Rates(redis_url, settings(request.param)) for _ in range(2)]
    yield both
    for each in both:
        await each.close()


async def spend(rates: list[Rates], key: str, requests: int) -> list[Standing]:
    """Requests at once, to each of the gateways in turn."""
    found = await asyncio.gather(
        *(rates[number % len(rates)].take("caller", key) for number in range(requests))
    )
    return [standing for standing in found if standing is not None]


@pytest.mark.parametrize("two", [1, 7, 50, 150], indirect=True)
async def test_a_small_limit_is_exact_whatever_comes_at_once(
    two: list[Rates], request: pytest.FixtureRequest
) -> None:
    limit = request.node.callspec.params["two"]
    found = await spend(two, secrets.token_hex(8), 400)
    assert len(found) == 400
    assert sum(standing.allowed for standing in found) == limit
    assert all(1 <= standing.seconds <= 60 for standing in found)


@pytest.mark.parametrize("two", [1000, 5000], indirect=True)
async def test_a_large_limit_is_never_exceeded_and_hardly_undershot(
    two: list[Rates], request: pytest.FixtureRequest
) -> None:
    limit = request.node.callspec.params["two"]
    key, allowed = secrets.token_hex(8), 0
    for _ in range(2 * limit // 200):
        allowed += sum(standing.allowed for standing in await spend(two, key, 200))
    assert limit * 0.9 <= allowed <= limit


@pytest.mark.parametrize("two", [60_000], indirect=True)
async def test_a_slow_caller_takes_no_more_than_they_ask_for(two: list[Rates]) -> None:
    key = secrets.token_hex(8)
    for asked in range(1, 6):
        standing = await two[asked % 2].take("caller", key)
        assert standing is not None
        assert 60_000 - standing.left <= 2 * asked


@pytest.mark.parametrize("two", [60_000], indirect=True)
async def test_a_busy_caller_costs_hardly_any_round_trip(two: list[Rates]) -> None:
    import redis.asyncio

    client = redis.asyncio.Redis(connection_pool=two[0]._redis.connection_pool)

    async def calls() -> int:
        stats: Any = await client.info("commandstats")
        return sum(
            int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval")
        )

    before, key = await calls(), secrets.token_hex(8)
    for _ in range(5000):
        standing = await two[0].take("caller", key)
        assert standing is not None
        assert standing.allowed
    assert await calls() - before < 50


@pytest.mark.parametrize("two", [3], indirect=True)
async def test_callers_do_not_use_up_what_is_others(two: list[Rates]) -> None:
    first, second = secrets.token_hex(8), secrets.token_hex(8)
    await spend(two, first, 10)
    assert sum(each.allowed for each in await spend(two, second, 10)) == 3


@pytest.mark.parametrize("two", [0], indirect=True)
async def test_zero_is_no_limit(two: list[Rates]) -> None:
    assert await spend(two, "x", 100) == []


def test_addresses_are_counted_by_what_one_customer_has() -> None:
    assert customer_network("192.0.2.7") == "192.0.2.7"
    assert (
        customer_network("2001:db8:1:2:3::4")
        == customer_network("2001:db8:1:2:ffff::")
        == "2001:db8:1:2::/64"
    )
    assert customer_network("2001:db8:1:3::4") != customer_network("2001:db8:1:2::4")
    assert customer_network("::ffff:192.0.2.7") == "192.0.2.7"
    assert customer_network("unknown") == "unknown"


@pytest.mark.parametrize(
    ("proxies", "header", "seen"),
    [
        (0, "198.51.100.1", "192.0.2.9"),
        (0, "", "192.0.2.9"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.5, 198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.5,198.51.100.1 ", "198.51.100.1"),
        (2, "203.0.113.5, 198.51.100.1", "203.0.113.5"),
        (2, "198.51.100.1", "192.0.2.9"),
        (1, "2001:DB8::0001", "2001:db8::1"),
        (1, "x" * 8000, "unknown"),
        (1, "198.51.100.1, ", "unknown"),
        (1, "198.51.100.1:443", "unknown"),
        (1, "٣.٣.٣.٣", "unknown"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "fe80::1%" + "x" * 4000, "fe80::1"),
    ],
)
def test_a_forged_forwarded_for_moves_nobody(proxies: int, header: str, seen: str) -> None:
    """Only what the trusted proxies added is believed, and only when it is an address."""
    transport = _Transport()
    request = make_mocked_request(
        "GET", "/", {"X-Forwarded-For": header} if header else {}, transport=transport
    )
    assert client_address(request, proxies) == seen


class _Transport(asyncio.Transport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.9", 1) if name == "peername" else default


def test_whatever_lets_somebody_in_is_limited_as_such() -> None:
    limited = {route.path: route.limited_as for route in ROUTES if route.method == "POST"}
    for path in ("register", "sessions", "sessions/refresh"):
        assert limited[f"/v1/auth/{path}"] == "identity"
    assert {route.limited_as for route in ROUTES if route.path == "/v1/me"} == {"caller"}


# --- over HTTP ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def limited(
    servers: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """Two gateways behind a proxy that names the address, and a Redis of their own."""
    env = {
        **QUICK,
        "GRID8_MONGO__URL": servers.mongo_url,
        "GRID8_MONGO__DATABASE": "gateway_limited",
        "GRID8_GATEWAY__TRUSTED_PROXIES": "1",
        "GRID8_AUTH__SESSION_CACHE": "5",
        "GRID8_LIMITS__PATIENCE": "1",
        "GRID8_AUTH__ATTEMPTS_FREE": "1000",
        "GRID8_AUTH__ATTEMPTS_FREE_ADDRESS": "1000",
        "GRID8_LIMITS__CALLER": str(CALLER),
        "GRID8_LIMITS__ADDRESS": str(ADDRESS),
        "GRID8_LIMITS__IDENTITY": str(IDENTITY),
    }

    def processes(stack: Any) -> Any:
        return few_processes(stack, servers=("valkey",))

    folder = tmp_path_factory.mktemp("limited")
    with running_stack(folder, env=env, processes=processes) as running:
        yield running


class From(Api):
    """From an address of its own."""

    address = ""

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        options["headers"] = {"X-Forwarded-For": self.address, **(options.get("headers") or {})}
        return await super().__call__(method, path, body, **options)

    def as_(self, token: str | None) -> From:
        return self.at(self.base, token)

    def at(self, base: str, token: str | None = None) -> From:
        other = From(self._http, base, token)
        other.address = self.address
        return other


@pytest.fixture
def anybody(http: Any, limited: RunningStack) -> From:
    found = From(http, limited.gateway_url)
    found.address = f"198.51.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    return found


def second_url(limited: RunningStack) -> str:
    return str(limited.process("gateway-small").process.shown)


FIELD = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


def standing(answer: Answer) -> tuple[str, int, int]:
    found = FIELD.fullmatch(answer.headers["RateLimit"])
    assert found is not None, str(answer)
    return found[1], int(found[2]), int(found[3])


def is_limited(answer: Answer, name: str, limit: int) -> None:
    assert answer.is_problem(429)["code"] == "rate_limited"
    policy, left, seconds = standing(answer)
    assert (policy, left) == (name, 0)
    assert answer.headers["RateLimit-Policy"] == f'"{name}";q={limit};w=60'
    assert 1 <= int(answer.headers["Retry-After"]) == seconds <= 60


async def test_a_caller_is_limited_over_both_gateways(anybody: From, limited: RunningStack) -> None:
    person: Person = await new_person(anybody, "Busy")
    gateways = [person.api, anybody.at(second_url(limited), person.api.token)]
    answers = await asyncio.gather(*(gateways[n % 2].get("/v1/me") for n in range(200)))
    allowed = [answer for answer in answers if answer.status == 200]
    assert len(allowed) == CALLER - 1, "one was spent on being new"
    for answer in allowed:
        assert answer.headers["RateLimit-Policy"] == f'"caller";q={CALLER};w=60'
        assert standing(answer)[0] == "caller"
    assert min(standing(answer)[1] for answer in allowed) == 0
    for answer in answers:
        if answer.status != 200:
            is_limited(answer, "caller", CALLER)
    other = await new_person(anybody, "Quiet")
    assert (await other.api.get("/v1/me")).status == 200


async def test_whoever_impersonates_uses_up_nothing_of_what_the_user_may_ask(
    anybody: From, limited: RunningStack
) -> None:
    admin, person = await new_person(anybody, "Admin"), await new_person(anybody, "Helped")
    await appoint(limited, admin.email)
    made = await admin.api.post(
        f"/v1/admin/users/{person.id}/impersonation", {"reason": "a ticket"}
    )
    acting = anybody.as_(made.json["access_token"])
    answers = await asyncio.gather(*(acting.get("/v1/me") for _ in range(CALLER + 10)))
    assert {answer.status for answer in answers} == {200, 429}
    assert (await person.api.get("/v1/me")).status == 200


async def test_those_without_a_caller_are_limited_by_address(anybody: From) -> None:
    person = await new_person(anybody, "Neighbour")
    forged = anybody.as_("forged")
    for number in range(ADDRESS):
        answer = await (anybody.get("/docs") if number % 2 else forged.get("/v1/me"))
        assert answer.status in (200, 401)
        assert standing(answer)[:2] == ("address", ADDRESS - number - 1)
    is_limited(await anybody.get("/.well-known/jwks.json"), "address", ADDRESS)
    is_limited(await forged.get("/v1/me"), "address", ADDRESS)
    is_limited(await anybody.as_(None).get("/v1/me"), "address", ADDRESS)
    # Who has a valid token is not held up by what others at the address do.
    assert (await person.api.get("/v1/me")).status == 200
    assert (await anybody.get("/health")).status == 200
    anybody.address = "198.51.100.77"
    assert (await anybody.get("/docs")).status == 200


async def test_what_lets_somebody_in_is_limited_by_address(anybody: From) -> None:
    body = {"email": "nobody@example.com", "password": PASSWORD}
    answers = await asyncio.gather(
        *(anybody.post("/v1/auth/sessions", body) for _ in range(IDENTITY + 10))
    )
    assert sorted(answer.status for answer in answers) == [401] * IDENTITY + [429] * 10
    for path in ("register", "sessions", "sessions/refresh"):
        is_limited(await anybody.post(f"/v1/auth/{path}", {}), "identity", IDENTITY)
    assert (await anybody.get("/docs")).status == 200


async def test_a_v6_customer_is_one_address(anybody: From) -> None:
    place = f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}"
    for number in range(ADDRESS):
        anybody.address = f"{place}::{number:x}"
        assert (await anybody.get("/docs")).status == 200
    is_limited(await anybody.get("/docs"), "address", ADDRESS)


async def test_browsers_may_read_the_limits(anybody: From) -> None:
    answer = await anybody.get("/docs", headers={"Origin": ORIGIN})
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)


async def test_every_route_documents_its_limit(anybody: From) -> None:
    document = (await anybody.get("/openapi.json")).json
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["429"]["headers"].keys() == {
                "Retry-After",
                "RateLimit",
                "RateLimit-Policy",
            }


@pytest.mark.timeout(120)
async def test_without_redis_reads_go_on_and_nobody_gets_in(
    anybody: From, limited: RunningStack
) -> None:
    person = await new_person(anybody, "Reader")
    assert "RateLimit" in (await person.api.get("/v1/me")).headers
    limited.process("valkey").signal(signal.SIGSTOP)
    try:
        mine, public = await asyncio.gather(
            person.api.get("/v1/me"), anybody.get("/.well-known/jwks.json")
        )
        for read in (mine, public):
            assert read.status == 200, str(read)
            assert "RateLimit" not in read.headers
        body = {"email": person.email, "password": PASSWORD}
        refused = await asyncio.gather(
            anybody.post("/v1/auth/sessions", body),
            anybody.post("/v1/auth/register", {**body, "name": "x"}),
            anybody.post("/v1/auth/sessions/refresh", {"refresh_token": "x"}),
        )
        for answer in refused:
            assert answer.is_problem(503)["code"] == "dependency_unavailable"
            assert int(answer.headers["Retry-After"]) >= 1
    finally:
        limited.process("valkey").signal(signal.SIGCONT)
    await eventually(
        lambda: anybody.post("/v1/auth/sessions", body), lambda answer: answer.status == 201
    )
    back = await eventually(
        lambda: person.api.get("/v1/me"), lambda answer: "RateLimit" in answer.headers
    )
    assert back.status == 200
