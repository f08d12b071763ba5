"""An inbox that is dropped comes back from the log as it was; one that is there stays as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.actor import Actor
from contracts.asset.events import AssetFailed
from contracts.corp.events import MemberChanged
from contracts.inbox.commands import (
    DeleteNotification,
    ReadNotification,
    ReadNotifications,
    UnreadNotification,
    UpdatePreferences,
)
from contracts.inbox.types import NotificationKind, PreferenceChange
from contracts.permissions import Role
from contracts.types import now
from handlers.inbox.documents import DOCUMENTS, Arrival
from handlers.inbox.queries import get_notification_preferences
from tests.handlers.inbox.letterbox import ED, OLGA, ORG, VERA, Letterbox, custom, happened

USERS = (OLGA, ED, VERA)


def failed(number: int, at: Any) -> Any:
    event = AssetFailed(
        asset_id=f"ast_{number}", name="a.png", code="asset.broken", detail="", uploaded_by=ED
    )
    return happened(event, time=at)


async def lived(box: Letterbox) -> None:
    """Some weeks of an inbox: made, thrown together, read, unread, removed, more come since."""
    ed, at = Actor(user=ED), now().replace(minute=5, second=0) - timedelta(hours=1)
    await box.do(
        UpdatePreferences(
            kinds={NotificationKind.MENTION: PreferenceChange(mail="instant")}, muted=("org_x",)
        ),
        Actor(user=VERA),
    )
    await box.tell(*(failed(number, at + timedelta(seconds=number)) for number in range(6)))
    (files,) = await box.of(ED)
    await box.do(ReadNotification(notification=files.id), ed)
    for number in range(5):
        await box.tell(custom({"mentions": [ED, VERA], "title": str(number)}))
    await box.tell(happened(MemberChanged(user_id=ED, role=Role.VIEWER), actor=OLGA))
    notes = {each.title: each.id for each in await box.of(ED)}
    await box.do(DeleteNotification(notification=notes["1"]), ed)
    await box.do(ReadNotifications(ids=(notes["2"], notes["3"])), ed)
    await box.do(UnreadNotification(notification=notes["3"]), ed)
    await box.do(ReadNotifications(everything=True), Actor(user=VERA))
    await box.tell(custom({"mentions": [VERA], "title": "after it"}))


async def seen(box: Letterbox) -> dict[str, Any]:
    """What everybody sees: all but revisions."""
    found: dict[str, Any] = {}
    for user in USERS:
        notes = [each.model_dump(exclude={"revision"}) for each in await box.of(user)]
        unread = await box.unread(user)
        chosen = await get_notification_preferences(Actor(user=user))
        found[user] = (notes, unread.by_org, chosen.model_dump(exclude={"revision"}))
    return found


async def stored(box: Letterbox) -> list[Any]:
    return [await each.get_pymongo_collection().find().sort("_id").to_list() for each in DOCUMENTS]


async def settled(box: Letterbox) -> None:
    """Until the clock has nothing more to place."""
    while await Arrival.find({"placed": False}).count():
        await Arrival.get_pymongo_collection().update_many(
            {"placed": False}, {"$set": {"created_at": now() - timedelta(seconds=5)}}
        )
        await box.ring("inbox.arrivals")
        await box.run_sent()


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "the last wave first"])
async def test_a_dropped_inbox_is_rebuilt_with_what_was_read_and_removed(
    box: Letterbox, backwards: bool
) -> None:
    await lived(box)
    before, told = await seen(box), await box.events()
    await box.mails()
    await box.forget()
    assert await box.of(ED) == []
    if backwards:
        # What was done first, and then what it was done with.
        await box.replay(only=["inbox.notifications.read", "inbox.notifications.removed",
                               "inbox.preferences.changed"])  # fmt: skip
        await box.replay(backwards=True)
    else:
        await box.replay()
    await settled(box)
    assert await seen(box) == before
    assert await box.mails() == [], "a replay mails nobody"
    assert await box.events() == told, "and tells nobody"


async def test_a_replay_while_all_is_there_changes_nothing(box: Letterbox) -> None:
    await lived(box)
    before, told = await stored(box), await box.events()
    await box.mails()
    for effects in (False, True):
        await box.replay(effects=effects)
        assert await box.run_sent() == []
    assert await box.ring("inbox.arrivals") == []
    assert await stored(box) == before
    assert await box.events() == told
    assert await box.mails() == []


async def test_a_replay_with_effects_tells_and_mails_again(box: Letterbox) -> None:
    await lived(box)
    await box.mails()
    told = len(await box.told(VERA))
    await box.forget()
    await box.replay(effects=True)
    await box.run_sent()
    assert len(await box.told(VERA)) > told


async def test_a_replay_tells_nobody_of_what_was_before_their_time(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED, "usr_late"]}))
    await box.join("usr_late", ORG, Role.VIEWER, now())
    await box.forget()
    await box.replay()
    await settled(box)
    assert len(await box.of(ED)) == 1
    assert await box.of("usr_late") == []


async def test_two_hundred_things_at_once_are_counted_right(box: Letterbox) -> None:
    await box.tell(*(custom({"mentions": [ED]}) for _ in range(200)))
    assert await Arrival.find({"placed": True}).count() == 200
    assert len(await box.of(ED)) == 10, "as many as are kept"
    assert (await box.unread(ED)).count == 10
    told = await box.told(ED)
    assert told[-1]["data"]["unread"] == 10
    # Placed together: far fewer changes of the inbox than events.
    assert (await box.unread(ED)).revision < 100
