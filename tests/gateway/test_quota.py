"""The bytes an organization may store: never exceeded, by however many uploads at once."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_client import Answer, Api, Person, add_member, new_person, new_tenant
from gateway_stack import eventually
from own_gateway import own_gateway
from redis.asyncio import Redis

from bus.broker import connect
from contracts.actor import Actor
from contracts.permissions import Role
from gateway.errors import DependencyDown
from gateway.uploading.quota import Quota
from infra.embedded.ports import free_port
from infra.embedded.running import RunningStack
from infra.quota_ledger import Ledger

QUOTA = 1_000_000


@pytest.fixture(scope="module")
async def both(
    stack: RunningStack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[str]]:
    """Two gateways that share a quota."""
    folder = tmp_path_factory.mktemp("quota")
    quota = {"GRID8_UPLOADS__QUOTA": str(QUOTA)}
    async with (
        own_gateway(stack, folder / "one.log", **quota) as (_, one),
        own_gateway(stack, folder / "two.log", **quota) as (_, two),
    ):
        yield [f"http://127.0.0.1:{one}", f"http://127.0.0.1:{two}"]
    for log in folder.glob("*.log"):
        assert "request_failed" not in log.read_text(), log.read_text()[-3000:]


class Studio:
    """An organization seen through the two gateways."""

    def __init__(self, owner: Person, org: str, both: list[str]) -> None:
        self.owner = owner
        self.org = org
        self.apis = [Api(owner.api._http, url, owner.api.token) for url in both]
        self.path = f"/v1/orgs/{org}/assets?filename=a.bin"

    async def upload(self, data: Any, at: int = 0, **options: Any) -> Answer:
        return await self.apis[at].post(options.pop("path", self.path), data=data, **options)

    async def usage(self) -> dict[str, Any]:
        answer = await self.apis[0].get(f"/v1/orgs/{self.org}/usage")
        assert answer.status == 200, str(answer)
        found: dict[str, Any] = answer.json
        return found


@pytest.fixture
async def studio(api: Api, both: list[str]) -> Studio:
    owner = await new_person(api, "Quota owner")
    org = (await owner.api.post("/v1/orgs", {"name": "Quota"})).json["id"]
    return Studio(owner, org, both)


def refused(answer: Answer) -> str:
    found = answer.is_problem(413)
    assert found["code"] == "asset.quota_exceeded", str(answer)
    return str(found["detail"])


async def pieces(total: int, size: int = 50_000) -> AsyncIterator[bytes]:
    """Bytes without a length told before."""
    for at in range(0, total, size):
        yield os.urandom(min(size, total - at))


async def test_past_the_quota_an_upload_is_refused_and_leaves_nothing(
    studio: Studio, stack: RunningStack
) -> None:
    assert (await studio.upload(os.urandom(700_000))).status == 201
    # Another gateway may count it twice for a moment, and so waits for that before it refuses.
    detail = refused(await studio.upload(os.urandom(300_001), at=1))
    assert all(each in detail for each in ("1000000", "700000", "300001")), detail
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    form += os.urandom(300_001) + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(await studio.upload(form, headers=headers))
    usage = await studio.usage()
    assert usage == {"bytes": 700_000, "quota": QUOTA, "assets": 1, "uploads": 0}
    folder = Path(stack.env["GRID8_STORE__FOLDER"]) / "orgs+" / f"{studio.org}+" / "blobs+"
    assert [path.stat().st_size for path in folder.iterdir()] == [700_000]
    assert (await studio.upload(os.urandom(300_000))).status == 201, "to the byte"


async def nothing_under_way(studio: Studio) -> None:
    """That an upload has ended is told a little after its answer, and by its own gateway."""

    async def told() -> bool:
        return bool((await studio.usage())["uploads"] == 0)

    await eventually(told)


async def test_uploads_at_once_never_exceed_it_together(studio: Studio) -> None:
    answers = await asyncio.gather(
        *(studio.upload(os.urandom(90_000), at=number % 2) for number in range(24))
    )
    assert sorted({answer.status for answer in answers}) == [201, 413]
    assert [answer.status for answer in answers].count(201) == QUOTA // 90_000
    assert (await studio.usage())["bytes"] == 990_000
    await nothing_under_way(studio)


async def test_an_upload_without_a_length_is_stopped_when_it_goes_past(studio: Studio) -> None:
    assert (await studio.upload(pieces(600_000))).status == 201
    refused(await studio.upload(pieces(1_500_000)))
    answers = await asyncio.gather(
        *(studio.upload(pieces(150_000), at=number % 2) for number in range(4))
    )
    assert (await studio.usage())["bytes"] <= QUOTA
    assert 1 <= [answer.status for answer in answers].count(201) <= 2
    await nothing_under_way(studio)


async def test_what_is_removed_makes_room_at_once(studio: Studio) -> None:
    data = os.urandom(800_000)
    first = await studio.upload(data)
    again = await studio.upload(data[:150_000])
    refused(await studio.upload(os.urandom(150_000)))
    assert (await studio.usage())["bytes"] == 950_000
    for asset in (first, again):
        path = f"/v1/orgs/{studio.org}/assets/{asset.json['id']}"
        assert (await studio.apis[1].delete(path)).status == 204
        assert (await studio.usage())["bytes"] > 0, "the trash counts"
        trashed = f"/v1/orgs/{studio.org}/trash/{asset.json['id']}"
        assert (await studio.apis[1].delete(trashed)).status == 204

    async def gone() -> bool:
        return (await studio.usage())["bytes"] == 0

    await eventually(gone)
    assert (await studio.upload(os.urandom(QUOTA))).status == 201


async def test_equal_bytes_count_once(studio: Studio) -> None:
    data = os.urandom(400_000)
    for _ in range(4):
        assert (await studio.upload(data)).status == 201
    usage = await studio.usage()
    assert (usage["bytes"], usage["assets"]) == (400_000, 4)
    assert (await studio.upload(os.urandom(600_000))).status == 201


async def test_bytes_of_a_command_that_waits_are_held(studio: Studio) -> None:
    later = {"Prefer": "respond-async"}
    answers = await asyncio.gather(
        *(studio.upload(os.urandom(300_000), at=n % 2, headers=later) for n in range(6))
    )
    assert sorted(answer.status for answer in answers) == [202] * 3 + [413] * 3

    async def registered() -> bool:
        return (await studio.usage())["assets"] == 3

    await eventually(registered)
    refused(await studio.upload(os.urandom(200_000)))
    assert (await studio.upload(os.urandom(100_000))).status == 201


async def test_what_is_refused_by_rule_is_given_back(studio: Studio) -> None:
    for bad in ("&tags=" + "x" * 60, "&project_id=prj_none"):
        answer = await studio.upload(os.urandom(900_000), path=studio.path + bad)
        answer.is_problem(422)
    await nothing_under_way(studio)
    assert (await studio.upload(os.urandom(QUOTA))).status == 201
    refused(await studio.upload(b"x"))


async def test_whoever_reads_sees_the_usage_and_nobody_else(api: Api) -> None:
    tenant = await new_tenant(api, "Usage")
    viewer = await add_member(api, tenant, "viewer")
    path = f"/v1/orgs/{tenant.org}/usage"
    shown = await viewer.api.get(path)
    assert shown.json["bytes"] == tenant.asset_view["bytes"], str(shown)
    assert shown.json["assets"] == 1
    (await (await new_person(api)).api.get(path)).is_problem(404)
    (await viewer.api.get(path + "?x=1")).is_problem(422)


# --- the ledger -----------------------------------------------------------------------------


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


class Books:
    """One organization's book, with a quota of 100 bytes."""

    def __init__(self, redis: Redis) -> None:
        self.ledger = Ledger(redis)
        self.org = f"org_{secrets.token_hex(8)}"

    async def hold(self, upload: str, need: int, want: int = 0, lease: float = 60) -> int:
        held = await self.ledger.hold(
            self.org, upload, max(want, need), need, quota=100, lease=lease, fresh=60
        )
        return held.granted

    async def now(self) -> int:
        return (await self.ledger.read(self.org)).now


@pytest.fixture
async def books(redis: Redis) -> Books:
    made = Books(redis)
    assert await made.hold("a", 1) == -1, "nothing was counted yet"
    await made.ledger.counted(made.org, 40, await made.now(), [])
    return made


async def test_holding_grows_shrinks_and_gets_what_is_left(books: Books) -> None:
    assert await books.hold("a", 10) == 10
    assert await books.hold("a", 30) == 30
    assert await books.hold("b", 31) == -1
    assert await books.hold("b", 5, want=50) == 30
    assert await books.hold("a", 10) == 10
    assert await books.hold("b", 50) == 50
    assert await books.hold("c", 1) == -1
    await books.ledger.end(books.org, "b", "released")
    await books.ledger.end(books.org, "b", "released")
    assert await books.hold("c", 50) == 50


async def test_whoever_is_silent_loses_what_they_held(books: Books) -> None:
    assert await books.hold("a", 60, lease=0.05) == 60

    async def free() -> bool:
        return await books.hold("b", 60) == 60

    await eventually(free)
    assert await books.hold("a", 60) == -1, "it has to ask again"


async def test_registered_bytes_are_held_until_a_later_count_has_them(books: Books) -> None:
    began = await books.now()
    assert await books.hold("a", 60) == 60
    await books.ledger.end(books.org, "a", "settled", 50)
    await books.ledger.counted(books.org, 40, began, [])
    assert await books.hold("b", 11) == -1, "the count may have missed it"
    await books.ledger.counted(books.org, 90, await books.now(), [])
    assert await books.hold("b", 10) == 10
    await books.ledger.counted(books.org, 0, began, [])
    assert await books.hold("b", 11) == -1, "an older count comes too late"


async def test_queued_bytes_are_held_until_they_are_found_or_time_is_up(books: Books) -> None:
    for upload, lease in (("a", 60.0), ("b", 0.05)):
        assert await books.hold(upload, 20) == 20
        await books.ledger.end(books.org, upload, "queued", 20, lease=lease, sha=upload * 64)
    book = await books.ledger.read(books.org)
    assert book.queued.get("a") == "a" * 64
    await books.ledger.counted(books.org, 60, await books.now(), ["a"])

    async def free() -> bool:
        return await books.hold("c", 40) == 40

    await eventually(free)
    book = await books.ledger.read(books.org)
    assert (book.held, book.uploads, book.queued) == (40, 1, {})


async def test_while_redis_is_away_nothing_is_let_in() -> None:
    away = connect(f"redis://127.0.0.1:{free_port()}/0", retries=0)
    actor = Actor("usr_1", org="org_1", role=Role.OWNER)
    with pytest.raises(DependencyDown):
        async with Quota(Ledger(away), 100).reserved(actor, 1):
            pytest.fail("it was let in")
    async with Quota(Ledger(away), 0).reserved(actor, 1) as unlimited:
        await unlimited.extend(10**15)
    await away.aclose()
