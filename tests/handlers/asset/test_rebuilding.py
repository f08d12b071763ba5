"""After a change of the pipeline a replay has renditions made anew, and nobody sees them missing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bus import streams
from bus.broker import FIELD, encode
from bus.delivery import Delivery, Entry
from bus.documents import INBOX
from bus.handling import Policy
from bus.logged import logged_event
from bus.replay.lane import Again, ReplayHandling
from bus.unit_of_work import inbox_key
from contracts.asset.commands import DeleteAsset, PurgeAsset, SweepRenditions
from contracts.asset.errors import VersionKindDiffers
from contracts.envelope import Envelope
from handlers.asset.documents import Asset, AssetVersion, Blob
from handlers.asset.handlers import Rebuilding
from handlers.asset.handlers.rendering import Stage, tell_nobody
from handlers.asset.queries import get_asset
from handlers.asset.rules import PIPELINE, rendition_key, version_id
from handlers.asset.worker import REBUILDS, commands_of
from infra.images import ImageRejected
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_asset_handlers import EDITOR, upload
from tests.handlers.asset.versioned import add_version

NEXT = PIPELINE + 1
POLICY = Policy(max_deliveries=1, backoff_base=0.01, claim_after=1.0, timeout=20.0)


def of_pipeline(library: Library, pipeline: int, tell: Any = tell_nobody) -> Rebuilding:
    """The handlers of a program with another pipeline; from now on commands are carried out by it."""
    processing = library.rebuilding.processing
    rendering = replace(processing.rendering, pipeline=pipeline, tell=tell)
    made = replace(
        library.rebuilding, processing=replace(processing, rendering=rendering, lately={})
    )
    library.handling.table.update(commands_of(library.store, made, library.uploads))
    return made


async def feed(
    library: Library, rebuilding: Rebuilding, replay: str = "rpl_1", *, effects: bool = False
) -> None:
    """Feed every upload and version in the log to the group again."""
    handling = ReplayHandling(
        "asset",
        dict.fromkeys(REBUILDS, rebuilding.rebuild_renditions),
        committer=library.committer,
        publisher=library.publisher,
        database=library.database,
    )
    stream = streams.replay("asset")
    delivery = Delivery(library.redis, library.publisher.pipeline, stream, "asset", "desk", 1.0)
    again = [part.encode() for part in Again(replay, effects=effects).fields()]

    async def one(envelope: Envelope) -> None:
        value = encode(envelope.wire(), id=envelope.id, correlation=None)
        fields = {FIELD.encode(): value, **dict(zip(again[::2], again[1::2], strict=True))}
        async with asyncio.timeout(15):
            while not await library.database[INBOX].find_one(
                inbox_key("asset", envelope.id, replay)
            ):
                await handling.handle(Entry("1-1", fields, 1, again=True), delivery, POLICY)

    for event in REBUILDS:
        events = await library.events(event.wire)
        await asyncio.gather(*(one(logged_event(event)) for event in events))


async def names(library: Library) -> list[str]:
    return sorted(key for key in await library.stored() if "/renditions/" in key)


async def test_a_replay_makes_renditions_anew_and_the_old_ones_go_when_their_urls_have_expired(
    library: Library,
) -> None:
    made = await upload(library)
    await library.run_sent()
    blob = (await Blob.find().to_list())[0]
    old, new = (rendition_key("org_acme", blob.id, "320.webp", p) for p in (PIPELINE, NEXT))
    assert await names(library) == [old]
    changed = of_pipeline(library, NEXT)

    library.images.gate.clear()
    library.images.begun.clear()
    feeding = asyncio.create_task(feed(library, changed))
    await library.images.begun.wait()
    view = await get_asset(EDITOR, made["id"])
    assert (view.status, old in view.renditions[0].url) == ("ready", True), "shown until then"
    library.images.gate.set()
    await feeding

    view = await get_asset(EDITOR, made["id"])
    assert (view.status, new in view.renditions[0].url) == ("ready", True)
    assert await names(library) == [old, new], "a URL of before still works"
    assert await library.sent() == [], "without effects nothing is sent"
    assert len(await library.events("asset.asset.ready")) == 1, "nor said again"

    kept = replace(changed, kept=3600)
    assert await kept.due() == []
    (due,) = await changed.due()
    await library.do(due)
    assert await names(library) == [new]
    assert await changed.due() == []


async def test_with_effects_it_is_said_that_they_are_ready_again(library: Library) -> None:
    await upload(library)
    await library.run_sent()
    await feed(library, of_pipeline(library, NEXT), effects=True)
    ready = await library.events("asset.asset.ready")
    assert sorted(event["revision"] for event in ready) == [2, 3]


async def test_feeding_again_or_what_is_current_renders_nothing(library: Library) -> None:
    await upload(library)
    await library.run_sent()
    await feed(library, library.rebuilding, "rpl_0")
    assert library.images.rendered == 1
    changed = of_pipeline(library, NEXT)
    await feed(library, changed, "rpl_1")
    revisions = [asset.revision for asset in await Asset.find().to_list()]
    await feed(library, changed, "rpl_2")
    assert library.images.rendered == 2
    assert [asset.revision for asset in await Asset.find().to_list()] == revisions


async def test_assets_that_share_bytes_are_all_shown_the_new_renditions(library: Library) -> None:
    made = [await upload(library, name=f"{n}.png") for n in range(4)]
    await library.run_sent()
    await feed(library, of_pipeline(library, NEXT))
    for each in made:
        view = await get_asset(EDITOR, each["id"])
        assert f"/{NEXT}/320.webp" in view.renditions[0].url
    # They are handed in at once, and take turns: the others find it done, or are about to.
    assert library.images.rendered <= 1 + library.rebuilding.at_once


async def test_old_renditions_stay_while_an_asset_shows_them_and_it_is_shown_the_new_ones_first(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.asset.handlers.rebuilding.AT_ONCE", 2)
    made = [await upload(library, name=f"{n}.png") for n in range(5)]
    await library.run_sent()
    changed = of_pipeline(library, NEXT)
    # Another upload of these bytes finds them out of date: no replay, and yet they are new.
    await upload(library, name="another.png")
    assert "asset.asset.process" in await library.run_sent()
    assert len(await names(library)) == 2
    blob = (await Blob.find().to_list())[0]
    await library.do(SweepRenditions(organization_id="org_acme", blob_id=blob.id))
    assert len(await names(library)) == 2, "some still show them"
    assert await library.run_sent() == ["asset.renditions.sweep"] * 3
    assert await names(library) == [rendition_key("org_acme", blob.id, "320.webp", NEXT)]
    for each in made:
        assert f"/{NEXT}/" in (await get_asset(EDITOR, each["id"])).renditions[0].url
    assert await changed.due() == []


async def test_no_version_names_renditions_that_were_swept(library: Library) -> None:
    made = await upload(library)
    await library.run_sent()
    for data in (b"second", b"third"):
        await add_version(library, made["id"], data)
        await library.run_sent()
    # The second as one that was refused for what it is: it names what was made of it all the same.
    refused = {"status": "failed", "media.error_code": VersionKindDiffers.code}
    wanted = {"_id": version_id(made["id"], 2)}
    await AssetVersion.get_pymongo_collection().update_one(wanted, {"$set": refused})
    changed = of_pipeline(library, NEXT)
    await feed(library, changed)
    for name, data in (("a.png", b"second"), ("b.png", b"a picture")):
        await upload(library, data, name=name)
    await library.run_sent()
    for due in await changed.due():
        await library.do(due)
    await library.run_sent()
    assert await changed.due() == []
    stored = set(await names(library))
    shown = await AssetVersion.find().to_list()
    assert [each.status for each in shown] == ["ready", "failed"]
    for each in [*shown, *await Asset.find().to_list()]:
        assert each.media is not None
        assert {rendition.key for rendition in each.media.renditions} <= stored, each
        assert each.media.renditions
    (kept,) = [each.media for each in shown if each.status == "failed"]
    assert kept is not None
    assert kept.error_code == VersionKindDiffers.code


async def test_what_had_failed_gets_another_chance(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await upload(library, b"broken, and yet not quite")
    await library.run_sent()
    assert (await get_asset(EDITOR, made["id"])).status == "failed"
    await feed(library, of_pipeline(library, NEXT))
    assert (await get_asset(EDITOR, made["id"])).status == "failed"

    real = library.images.render

    async def better(source: Any, into: Any, progress: Any = None) -> Any:
        source.write_bytes(b"mended")
        return await real(source, into, progress)

    monkeypatch.setattr(library.images, "render", better)
    await feed(library, of_pipeline(library, NEXT + 1), "rpl_2")
    view = await get_asset(EDITOR, made["id"])
    assert (view.status, view.error, len(view.renditions)) == ("ready", None, 1)


async def test_what_the_machine_was_too_busy_for_is_tried_again_when_it_comes_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(source: Any, into: Any, progress: Any = None) -> Any:
        raise ImageRejected("asset.image_timeout", "It took too long.")

    with monkeypatch.context() as busy:
        busy.setattr(library.images, "render", late)
        first = await upload(library)
        await library.run_sent()
        assert (await get_asset(EDITOR, first["id"])).status == "failed"
    second = await upload(library, name="again.png")
    await library.run_sent()
    assert (await get_asset(EDITOR, second["id"])).status == "ready"
    await feed(library, library.rebuilding)
    assert (await get_asset(EDITOR, first["id"])).status == "ready"


async def test_a_replay_tries_again_what_the_machine_was_too_busy_for(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(source: Any, into: Any, progress: Any = None) -> Any:
        raise ImageRejected("asset.image_timeout", "It took too long.")

    with monkeypatch.context() as busy:
        busy.setattr(library.images, "render", late)
        made = await upload(library)
        await library.run_sent()
    await feed(library, library.rebuilding)
    assert (await get_asset(EDITOR, made["id"])).status == "ready"


async def test_what_was_fine_stays_as_it_is_where_the_new_pipeline_cannot_render_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await upload(library)
    await library.run_sent()
    before = await get_asset(EDITOR, made["id"])

    async def worse(source: Any, into: Any, progress: Any = None) -> Any:
        raise ImageRejected("asset.image_unsupported", "No longer.")

    monkeypatch.setattr(library.images, "render", worse)
    changed = of_pipeline(library, NEXT)
    await feed(library, changed)
    after = await get_asset(EDITOR, made["id"])
    assert (after.status, after.revision) == ("ready", before.revision)
    assert await changed.due() == []
    assert len(await names(library)) == 1


async def test_an_asset_deleted_while_it_is_rendered_anew_leaves_nothing_behind(
    library: Library,
) -> None:
    made = await upload(library)
    await library.run_sent()
    changed = of_pipeline(library, NEXT)
    library.images.gate.clear()
    library.images.begun.clear()
    feeding = asyncio.create_task(feed(library, changed))
    await library.images.begun.wait()
    await library.do(DeleteAsset(asset=made["id"]), EDITOR)
    await library.do(PurgeAsset(asset=made["id"]), EDITOR)
    await library.run_sent()
    library.images.gate.set()
    await feeding
    await library.run_sent()
    assert await library.stored() == []
    assert await Blob.count() == 0


async def test_progress_is_told_and_who_cannot_be_told_is_no_reason_to_fail(
    library: Library,
) -> None:
    told: list[tuple[str, int, int]] = []

    async def tell(asset: Asset, stage: Stage, done: int, total: int) -> None:
        told.append((stage, done, total))
        raise RuntimeError("nobody listens")

    of_pipeline(library, PIPELINE, tell)
    made = await upload(library)
    await library.run_sent()
    assert (await get_asset(EDITOR, made["id"])).status == "ready"
    assert told == [
        ("fetch", 0, 1),
        ("fetch", 1, 1),
        ("decode", 0, 1),
        ("decode", 1, 1),
        ("render", 0, 1),
        ("render", 1, 1),
        ("store", 0, 1),
        ("store", 1, 1),
    ]
