"""Rights: what they allow, and that their end is told, once and on time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.asset.commands import DeleteAsset, RestoreAsset, TellRights, UpdateAsset
from contracts.asset.rights import Rights
from contracts.asset.territories import TERRITORIES
from contracts.corp.events import BrandKitUpdated
from contracts.types import now
from handlers.asset.clocks import clocks_of
from handlers.asset.documents import Asset
from handlers.asset.handlers import rights as rights_handlers
from handlers.asset.queries import (
    AssetCursor,
    AssetFilter,
    get_asset,
    get_asset_rights,
    list_assets,
)
from infra.settings.assets import LibrarySettings
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.versioned import EDITOR, OTHER, upload

DAY = timedelta(days=1)


@pytest.fixture
def settings() -> LibrarySettings:
    return LibrarySettings(rights_notice=7)


@pytest.fixture
async def asset(library: Library) -> str:
    made = await upload(library, project="prj_1")
    await library.run_sent()
    id: str = made["id"]
    return id


async def record(library: Library, asset: str, **rights: Any) -> None:
    command = UpdateAsset(asset=asset, rights=Rights.model_validate(rights))
    await library.do(command, EDITOR)


async def ring(library: Library, settings: LibrarySettings) -> list[str]:
    """What the clock finds due is carried out; of which assets."""
    clock = next(each for each in clocks_of(settings) if each.name == "asset.rights")
    found = await clock.due()
    for command in found:
        await library.do(command)
    return [each.asset for each in found if isinstance(each, TellRights)]


async def told(library: Library) -> list[str]:
    events = [each for each in await library.events() if each["type"].startswith("asset.rights.")]
    events.sort(key=lambda event: event["logged"])
    return [event["type"].rpartition(".")[2] for event in events]


async def test_an_expiry_is_told_once_when_it_has_come(
    library: Library, asset: str, settings: LibrarySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = now() + 10 * DAY
    await record(library, asset, territories=("DE", "AT"), expires_at=expires)
    kit = BrandKitUpdated(brand_id="brd_1", name="Sunrise", asset_ids=(asset,))
    await library.react(kit, org=EDITOR.org, revision=2)
    assert await ring(library, settings) == []
    at(monkeypatch, expires - 7 * DAY)
    assert await ring(library, settings) == [asset]
    assert await ring(library, settings) == []
    at(monkeypatch, expires - timedelta(milliseconds=1))
    assert await ring(library, settings) == []
    at(monkeypatch, expires)
    assert await ring(library, settings) == [asset]
    at(monkeypatch, expires + DAY)
    assert await ring(library, settings) == []
    assert await told(library) == ["expiry_announced", "expired"]
    (event,) = await library.events("asset.rights.expired")
    assert (event["subject"], event["org"]) == (asset, EDITOR.org)
    assert event["data"] == {
        "asset_id": asset,
        "project_id": "prj_1",
        "name": "photo.png",
        "territories": ["DE", "AT"],
        "expires_at": event["data"]["expires_at"],
        "used_by": 1,
        "uploaded_by": EDITOR.user,
    }
    assert datetime.fromisoformat(event["data"]["expires_at"]) == expires
    assert (await get_asset(EDITOR, asset)).revision == event["revision"]


def at(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """The time is this, for who looks for what is due and who tells it."""
    monkeypatch.setattr("handlers.asset.clocks.now", lambda: instant)
    monkeypatch.setattr(rights_handlers, "now", lambda: instant)


async def test_several_workers_and_clocks_tell_it_once(library: Library, asset: str) -> None:
    await record(library, asset, expires_at=now() - DAY)
    await asyncio.gather(*(library.do(TellRights(asset=asset)) for _ in range(10)))
    assert await told(library) == ["expired"]


async def test_an_extension_comes_before_the_expiry(
    library: Library, asset: str, settings: LibrarySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = now() + 2 * DAY
    await record(library, asset, expires_at=soon)
    await ring(library, settings)
    assert await told(library) == ["expiry_announced"]
    at(monkeypatch, soon + DAY)
    clock = next(each for each in clocks_of(settings) if each.name == "asset.rights")
    found = await clock.due()
    assert len(found) == 1
    await record(library, asset, expires_at=soon + 100 * DAY)
    for command in found:
        await library.do(command)
    assert await told(library) == ["expiry_announced"], "it was extended before it was told"
    at(monkeypatch, soon + 95 * DAY)
    await ring(library, settings)
    at(monkeypatch, soon + 100 * DAY)
    await ring(library, settings)
    assert await told(library) == ["expiry_announced", "expiry_announced", "expired"]


async def test_an_expiry_moved_into_the_past_is_told_at_once_and_each_another_anew(
    library: Library, asset: str, settings: LibrarySettings
) -> None:
    await record(library, asset, expires_at=now() + 100 * DAY)
    assert await ring(library, settings) == []
    past = now() - DAY
    await record(library, asset, expires_at=past)
    assert await ring(library, settings) == [asset]
    await record(library, asset, expires_at=past, notes="the same expiry")
    await library.do(UpdateAsset(asset=asset, name="renamed.png"), EDITOR)
    assert await ring(library, settings) == []
    await record(library, asset, expires_at=past + timedelta(hours=1))
    assert await ring(library, settings) == [asset]
    assert await told(library) == ["expired", "expired"]


async def test_rights_taken_away_expire_no_more(
    library: Library, asset: str, settings: LibrarySettings
) -> None:
    await record(library, asset, expires_at=now() - DAY)
    await library.do(UpdateAsset(asset=asset, rights=None), EDITOR)
    assert await ring(library, settings) == []
    view = await get_asset(EDITOR, asset)
    assert (view.rights, await told(library)) == (None, [])


async def test_what_expired_in_the_trash_is_told_when_it_is_back(
    library: Library, asset: str, settings: LibrarySettings
) -> None:
    await record(library, asset, expires_at=now() - DAY)
    await library.do(DeleteAsset(asset=asset), EDITOR)
    assert await ring(library, settings) == []
    await library.do(TellRights(asset=asset))
    assert await told(library) == []
    await library.do(RestoreAsset(asset=asset), EDITOR)
    assert await ring(library, settings) == [asset]
    assert await told(library) == ["expired"]


async def test_nothing_is_announced_where_no_notice_is_wanted(library: Library, asset: str) -> None:
    await record(library, asset, expires_at=now() + timedelta(minutes=5))
    assert await ring(library, LibrarySettings(rights_notice=0)) == []
    assert await ring(library, LibrarySettings(rights_notice=1)) == [asset]


async def test_more_expiries_than_one_ring_finds_are_found_by_the_next(
    library: Library, settings: LibrarySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.asset.clocks.AT_ONCE", 2)
    for number in range(3):
        made = await upload(library, str(number).encode())
        await record(library, made["id"], expires_at=now() - DAY)
    assert [len(await ring(library, settings)) for _ in range(3)] == [2, 1, 0]
    assert await told(library) == ["expired"] * 3


async def test_rights_are_shown_with_their_state(library: Library, asset: str) -> None:
    assert (await get_asset(EDITOR, asset)).rights is None
    rights = {
        "territories": ("DE", "FR", "DE"),
        "starts_at": now() - DAY,
        "expires_at": now() + DAY,
        "license": "RM-1",
        "holder": "A museum",
        "credit": "© A museum",
        "notes": "Print only.",
        "releases": ("model 7",),
    }
    await record(library, asset, **rights)
    view = (await get_asset(EDITOR, asset)).rights
    assert view is not None
    assert view.model_dump() == {**rights, "territories": ("DE", "FR"), "state": "active"}
    await record(library, asset, territories=None)
    view = (await get_asset(EDITOR, asset)).rights
    assert view is not None
    assert (view.territories, view.license, view.state) == (None, None, "active"), "replaced whole"


async def test_it_is_said_whether_an_asset_may_be_used(library: Library, asset: str) -> None:
    start, end = now() - DAY, now() + DAY
    assert (await get_asset_rights(EDITOR, asset)).reason == "unrecorded"
    await record(library, asset, territories=("DE",), starts_at=start, expires_at=end)
    for territory, when, reason in (
        ("DE", None, "within"),
        ("DE", start, "within"),
        ("DE", end - timedelta(milliseconds=1), "within"),
        ("DE", end, "expired"),
        ("DE", start - timedelta(milliseconds=1), "not_started"),
        ("FR", None, "not_there"),
        (None, None, "place_unknown"),
    ):
        check = await get_asset_rights(EDITOR, asset, territory, when)
        assert (check.reason, check.allowed) == (reason, reason == "within")
        assert check.detail
    await record(library, asset, expires_at=end)
    assert (await get_asset_rights(EDITOR, asset, "FR")).allowed
    assert (await get_asset_rights(EDITOR, asset)).allowed, "worldwide"


async def test_a_list_is_narrowed_by_rights(library: Library, settings: LibrarySettings) -> None:
    wanted: dict[str, dict[str, Any] | None] = {
        "none": None,
        "pending": {"starts_at": now() + DAY, "expires_at": now() + 90 * DAY},
        "active": {"territories": ("DE",)},
        "expiring": {"expires_at": now() + 2 * DAY},
        "expired": {"expires_at": now() - DAY},
    }
    ids = {}
    for name, rights in wanted.items():
        made = await upload(library, name.encode())
        ids[name] = made["id"]
        if rights is not None:
            await record(library, made["id"], **rights)
    await ring(library, settings)
    for state, found in (
        ("none", {"none"}),
        ("pending", {"pending"}),
        ("active", {"active", "expiring"}),
        ("expiring", {"expiring"}),
        ("expired", {"expired"}),
    ):
        page = await list_assets(EDITOR, AssetCursor(), AssetFilter(rights=state))  # type: ignore[arg-type]
        assert {each.id for each in page.items} == {ids[name] for name in found}, state
        other = await list_assets(OTHER, AssetCursor(), AssetFilter(rights=state))  # type: ignore[arg-type]
        assert other.items == ()
    page = await list_assets(EDITOR, AssetCursor(), AssetFilter(expires_before=now() + 30 * DAY))
    assert {each.id for each in page.items} == {ids["expiring"], ids["expired"]}
    page = await list_assets(
        EDITOR, AssetCursor(), AssetFilter(rights="expiring", expires_before=now() + DAY)
    )
    assert page.items == ()


@pytest.mark.parametrize(
    ("rights", "where"),
    [
        ({}, ()),
        ({"territories": ["de"]}, ("territories", 0)),
        ({"territories": ["EU"]}, ("territories", 0)),
        ({"territories": ["XX"]}, ("territories", 0)),
        ({"territories": ["DEU"]}, ("territories", 0)),
        ({"territories": []}, ("territories",)),
        ({"territories": "DE"}, ("territories",)),
        ({"expires_at": "tomorrow"}, ("expires_at",)),
        ({"expires_at": "2027-01-01"}, ("expires_at",)),
        ({"expires_at": "2027-01-01T00:00:00"}, ("expires_at",)),
        ({"expires_at": 1800000000}, ("expires_at",)),
        ({"expires_at": "1800000000"}, ("expires_at",)),
        ({"expires_at": "2027-02-30T00:00:00Z"}, ("expires_at",)),
        ({"expires_at": "2027-01-01T24:00:01Z"}, ("expires_at",)),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, ("expires_at",)),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, ("expires_at",)),
        (
            {"starts_at": "2027-01-01T00:00:00Z", "expires_at": "2027-01-01T01:00:00+01:00"},
            ("expires_at",),
        ),
        ({"license": ""}, ("license",)),
        ({"license": "x" * 301}, ("license",)),
        ({"notes": "a\x00b"}, ("notes",)),
        ({"releases": [" "]}, ("releases", 0)),
        ({"owner": "x"}, ("owner",)),
    ],
)
def test_rights_that_cannot_be_are_refused_where_they_are_wrong(
    rights: dict[str, Any], where: tuple[Any, ...]
) -> None:
    with pytest.raises(ValidationError) as refused:
        Rights.model_validate_json(json.dumps(rights), strict=True)
    assert [each["loc"] for each in refused.value.errors()] == [where]


def test_a_time_is_kept_in_utc_and_whole_milliseconds() -> None:
    text = '{"expires_at": "2027-01-01T01:00:00.123456+01:00"}'
    rights = Rights.model_validate_json(text, strict=True)
    assert rights.expires_at == datetime(2027, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    assert '"2027-01-01T00:00:00.123Z"' in rights.model_dump_json()


def test_there_are_as_many_countries_as_have_a_code() -> None:
    assert len(TERRITORIES) == 249
    assert {"DE", "GB", "US", "SS", "BQ"} <= TERRITORIES
    assert not TERRITORIES & {"UK", "EU", "XK", "AN", "SU"}


async def test_rights_are_stored_so_that_they_can_be_read(library: Library, asset: str) -> None:
    await record(library, asset, territories=None, expires_at=now() + DAY)
    found = await Asset.get(asset)
    assert found is not None
    assert found.rights is not None
    assert found.rights_due == found.rights.expires_at
