"""What changes between an event and its notification, or between two that are thrown together."""

from __future__ import annotations

from typing import Any

from contracts.actor import Actor
from contracts.asset.events import AssetFailed
from contracts.corp.events import OrganizationDeleted
from contracts.envelope import Envelope
from contracts.inbox.commands import PlaceArrivals, UpdatePreferences
from contracts.inbox.types import NotificationKind, PreferenceChange
from contracts.types import now
from tests.handlers.inbox.letterbox import ED, OLGA, ORG, Letterbox, custom, happened

Kind = NotificationKind


def asset_failed(number: int) -> Envelope:
    event = AssetFailed(
        asset_id=f"ast_{number}", name=f"{number}.png", code="asset.broken", detail="It is cut.",
        uploaded_by=ED,
    )  # fmt: skip
    at = now().replace(minute=5, second=0)  # within one span of ten minutes
    return happened(event, actor=ED, time=at)


async def choose(box: Letterbox, **what: Any) -> None:
    chosen = UpdatePreferences(kinds={Kind.ASSET_FAILED: PreferenceChange(**what)})
    await box.do(chosen, Actor(user=ED))


async def names(box: Letterbox) -> list[str]:
    """What their owner was told of notifications."""
    told = [each["type"].rpartition("inbox.")[2] for each in await box.told(ED)]
    return [each for each in told if each.startswith("notification.")]


async def test_what_was_hidden_is_shown_when_more_comes_after_its_kind_was_turned_on(
    box: Letterbox,
) -> None:
    await choose(box, in_app=False, mail="daily")
    await box.tell(asset_failed(1))
    assert await box.of(ED) == []
    await choose(box, in_app=True)
    await box.tell(asset_failed(2))
    (note,) = await box.of(ED)
    assert note.count == 2
    assert (await box.unread(ED)).by_org == {ORG: 1}
    assert await names(box) == ["notification.created"]


async def test_what_is_turned_off_adds_nothing_to_what_is_there(box: Letterbox) -> None:
    await box.tell(asset_failed(1))
    await choose(box, in_app=False, mail="off")
    await box.tell(asset_failed(2))
    (note,) = await box.of(ED)
    assert (note.count, note.title) == (1, "1.png could not be processed")
    assert (await box.unread(ED)).by_org == {ORG: 1}
    assert await names(box) == ["notification.created"]


async def test_what_waits_when_its_organization_goes_is_not_placed(box: Letterbox) -> None:
    await box.hear(custom({"mentions": [ED]}))
    await box.sent()
    await box.tell(happened(OrganizationDeleted(organization_id=ORG), actor=OLGA))
    await box.do(PlaceArrivals(user=ED))
    assert await box.of(ED) == []
    assert (await box.unread(ED)).count == 0
