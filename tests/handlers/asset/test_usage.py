"""What uses an asset: kept from other domains' events, shown, and a reason not to delete."""

from __future__ import annotations

import asyncio

import pytest

from bus.paging import Cursor
from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import DeleteAsset
from contracts.asset.errors import AssetNotFound
from contracts.corp.events import (
    BrandDeleted,
    BrandKitUpdated,
    BrandUpdated,
    OrganizationDeleted,
)
from contracts.envelope import Envelope
from handlers.asset.documents import AssetUser
from handlers.asset.queries import get_asset, list_asset_usage
from handlers.asset.reactions import note_what_a_kit_uses
from tests.bus.desk import Refused
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.versioned import EDITOR, OTHER, upload

ORG = "org_acme"


async def assets(library: Library, count: int) -> list[str]:
    made = [(await upload(library, f"picture {n}".encode()))["id"] for n in range(count)]
    await library.run_sent()
    return made


async def kit(
    library: Library, revision: int, *assets: str, brand: str = "brd_1", name: str = "Sunrise"
) -> None:
    event = BrandKitUpdated(brand_id=brand, name=name, asset_ids=assets)
    await library.react(event, org=ORG, revision=revision)


async def replay(library: Library, event: BrandKitUpdated, revision: int) -> None:
    """What the lane of replays does with an event: documents are written, nothing is sent."""
    command = Envelope.of_command(DeleteAsset(asset="ast_1"), source="/grid8/tests")
    message = command.caused_event(event, salt=str(revision), revision=revision, org=ORG)
    unit = UnitOfWork(message, "asset", replay="rep_1", outside=False)
    await note_what_a_kit_uses(event, unit)
    unit.suppress()
    await library.committer.commit(unit)


async def users(asset: str) -> list[tuple[str, str, str | None]]:
    page = await list_asset_usage(EDITOR, Cursor(), asset)
    view = await get_asset(EDITOR, asset)
    assert view.uses == len(page.items), "the count is kept too"
    return [(each.kind, each.id, each.name) for each in page.items]


async def test_the_assets_of_a_brand_kit_are_used_by_it(library: Library) -> None:
    logo, font, other = await assets(library, 3)
    await kit(library, 2, logo, font)
    assert await users(logo) == await users(font) == [("brand_kit", "brd_1", "Sunrise")]
    assert await users(other) == []
    await kit(library, 3, other, font)
    assert (len(await users(logo)), len(await users(font)), len(await users(other))) == (0, 1, 1)
    await kit(library, 5, logo, brand="brd_2", name="Dawn")
    await kit(library, 4, logo, other)
    assert await users(logo) == [
        ("brand_kit", "brd_1", "Sunrise"),
        ("brand_kit", "brd_2", "Dawn"),
    ]
    page = await list_asset_usage(EDITOR, Cursor(limit=1), logo)
    assert page.next_cursor is not None
    rest = await list_asset_usage(EDITOR, Cursor(limit=1, cursor=page.next_cursor), logo)
    assert [each.id for each in (*page.items, *rest.items)] == ["brd_1", "brd_2"]
    assert {each.organization_id for each in page.items} == {ORG}
    with pytest.raises(AssetNotFound):
        await list_asset_usage(OTHER, Cursor(), logo)


async def test_events_that_come_late_or_twice_change_nothing(library: Library) -> None:
    old, new = await assets(library, 2)
    await kit(library, 5, new)
    await kit(library, 4, old)
    await kit(library, 5, new)
    assert (await users(old), len(await users(new))) == ([], 1)
    await library.react(BrandDeleted(brand_id="brd_1"), org=ORG, revision=7)
    await kit(library, 6, old, new)
    assert await users(old) == await users(new) == []
    before_there_was_usage = BrandKitUpdated(brand_id="brd_3")
    await library.react(before_there_was_usage, org=ORG, revision=2)
    assert await AssetUser.get("brand_kit:brd_3") is None


async def test_a_brand_that_is_renamed_has_its_new_name_whatever_comes_first(
    library: Library,
) -> None:
    (logo,) = await assets(library, 1)
    await kit(library, 2, logo)
    await library.react(BrandUpdated(brand_id="brd_1", name="Dawn"), org=ORG, revision=3)
    assert await users(logo) == [("brand_kit", "brd_1", "Dawn")]
    await library.react(BrandUpdated(brand_id="brd_2", name="Dusk"), org=ORG, revision=4)
    await kit(library, 3, logo, brand="brd_2", name="Noon")
    assert ("brand_kit", "brd_2", "Dusk") in await users(logo)


async def test_another_organizations_asset_is_not_counted(library: Library) -> None:
    theirs = await upload(library, actor=OTHER)
    await library.run_sent()
    await kit(library, 2, theirs["id"], "ast_unknown")
    assert (await get_asset(OTHER, theirs["id"])).uses == 0
    assert (await list_asset_usage(OTHER, Cursor(), theirs["id"])).items == ()


async def test_an_asset_is_not_deleted_while_it_is_used(library: Library) -> None:
    (logo,) = await assets(library, 1)
    await kit(library, 2, logo)
    await kit(library, 2, logo, brand="brd_2", name="Dawn")
    with pytest.raises(
        Refused, match=r"brand_kit brd_1 \(Sunrise\), brand_kit brd_2 \(Dawn\)"
    ) as no:
        await library.do(DeleteAsset(asset=logo), EDITOR)
    assert no.value.code == "asset.in_use"
    assert (await get_asset(EDITOR, logo)).status == "ready"
    await kit(library, 3)
    await library.react(BrandDeleted(brand_id="brd_2"), org=ORG, revision=3)
    assert await library.code_of(DeleteAsset(asset=logo), EDITOR) == "done"


async def test_an_asset_that_was_deleted_while_a_kit_took_it_comes_back(library: Library) -> None:
    (logo,) = await assets(library, 1)
    await library.do(DeleteAsset(asset=logo), EDITOR)
    await kit(library, 2, logo)
    assert await users(logo) == [("brand_kit", "brd_1", "Sunrise")]
    (event,) = await library.events("asset.asset.restored")
    assert event["data"]["used_by"] == "brd_1"
    assert await library.code_of(DeleteAsset(asset=logo), EDITOR) == "asset.in_use"


async def test_whoever_is_first_what_is_used_is_there_in_the_end(library: Library) -> None:
    for logo in await assets(library, 8):
        brand = logo.replace("ast_", "brd_")
        ended, _ = await asyncio.gather(
            library.code_of(DeleteAsset(asset=logo), EDITOR), kit(library, 2, logo, brand=brand)
        )
        assert ended in ("done", "asset.in_use")
        assert len(await users(logo)) == 1, ended


async def test_two_kits_that_take_an_asset_at_once_are_both_counted(library: Library) -> None:
    (logo,) = await assets(library, 1)
    await asyncio.gather(*(kit(library, 2, logo, brand=f"brd_{n}") for n in range(6)))
    assert len(await users(logo)) == 6
    await asyncio.gather(*(kit(library, 3, brand=f"brd_{n}") for n in range(6)))
    assert await users(logo) == []


async def test_what_was_lost_is_built_anew_from_the_events(library: Library) -> None:
    logo, font = await assets(library, 2)
    told = [(2, (logo,)), (3, (logo, font)), (4, (font,))]
    for revision, used in told:
        await kit(library, revision, *used)
    await library.do(DeleteAsset(asset=logo), EDITOR)
    await AssetUser.get_pymongo_collection().delete_many({})
    for revision, used in told:
        event = BrandKitUpdated(brand_id="brd_1", name="Sunrise", asset_ids=used)
        await replay(library, event, revision)
    assert await users(font) == [("brand_kit", "brd_1", "Sunrise")]
    with pytest.raises(AssetNotFound):
        await get_asset(EDITOR, logo)


async def test_an_organization_that_went_leaves_no_users_behind(library: Library) -> None:
    (logo,) = await assets(library, 1)
    await kit(library, 2, logo)
    await library.react(OrganizationDeleted(organization_id=ORG), org=ORG)
    await library.run_sent()
    assert await AssetUser.count() == 0
