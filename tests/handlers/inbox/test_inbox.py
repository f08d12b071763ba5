"""Who is notified of what, once, and what they may do with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.actor import Actor
from contracts.asset.events import AssetFailed, AssetReady, RightsExpired
from contracts.auth.events import ApiKeyCreated, DeviceAdded, UserImpersonated
from contracts.corp.events import (
    InvitationAccepted,
    InvitationCreated,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    OrganizationDeleted,
)
from contracts.inbox.commands import (
    DeleteNotification,
    ReadNotification,
    ReadNotifications,
    UnreadNotification,
    UpdatePreferences,
)
from contracts.inbox.types import NotificationKind, PreferenceChange
from contracts.mail.events import MailFailed
from contracts.mail.types import MailFailure, MailTemplate
from contracts.permissions import Permission, Role
from contracts.types import now
from handlers.auth.documents import User
from handlers.corp.documents import Invitation, Membership, Person
from handlers.inbox.documents import Arrival, Notification
from tests.bus.desk import Refused
from tests.handlers.inbox.letterbox import (
    ADAM,
    ED,
    OLGA,
    ORG,
    OTHER,
    STRANGER,
    VERA,
    Letterbox,
    custom,
    happened,
)

Kind = NotificationKind
EVERYBODY = (OLGA, ADAM, ED, VERA, STRANGER)


async def kinds(box: Letterbox) -> dict[str, list[str]]:
    """Who has notifications, and of which kinds."""
    found = {user: [each.kind.value for each in await box.of(user)] for user in EVERYBODY}
    return {user: names for user, names in found.items() if names}


def asset_failed(number: int = 1, by: str = ED) -> Any:
    return AssetFailed(
        asset_id=f"ast_{number}", name=f"{number}.png", code="asset.broken", detail="It is cut.",
        uploaded_by=by,
    )  # fmt: skip


def waited(seconds: float) -> Callable[[], AssetReady]:
    """Made when the test runs: tests are collected long before."""
    return lambda: AssetReady(
        asset_id="ast_1", name="a.psd", kind="image", media_type="image/png", uploaded_by=ED,
        uploaded_at=now() - timedelta(seconds=seconds),
    )  # fmt: skip


RIGHTS = RightsExpired(asset_id="ast_1", name="a.png", expires_at=now(), uploaded_by=ED)
KEY = ApiKeyCreated(key_id="key_1", name="shop", scopes=(Permission.EVENTS_WRITE,))
DEVICE = DeviceAdded(device_id="dev_1", user_id=ED, address="203.0.113.7", agent="Firefox")
IMPERSONATED = UserImpersonated(user_id=ED, session_id="ses_1", reason="ticket 7", expires_at=now())


def bounced(reason: MailFailure, template: MailTemplate = MailTemplate.INVITATION) -> MailFailed:
    return MailFailed(mail_id="mail_1", template=template, reason=reason)


@pytest.mark.parametrize(
    ("event", "actor", "told"),
    [
        (MemberAdded(user_id=ED, role=Role.EDITOR), OLGA, {ED: ["membership_added"]}),
        (MemberAdded(user_id=ED, role=Role.EDITOR), ED, {}),
        (MemberChanged(user_id=ED, role=Role.VIEWER), OLGA, {ED: ["role_changed"]}),
        (
            InvitationAccepted(invitation_id="inv_1", member_id=ED, invited_by=OLGA),
            ED,
            {OLGA: ["invitation_accepted"]},
        ),
        (InvitationAccepted(invitation_id="inv_1", member_id=ED), ED, {}),
        (bounced(MailFailure.REFUSED), ADAM, {ADAM: ["invitation_failed"]}),
        (bounced(MailFailure.TOO_MANY), ADAM, {}),
        (bounced(MailFailure.REFUSED, MailTemplate.NEW_DEVICE), ADAM, {}),
        (asset_failed(), ED, {ED: ["asset_failed"]}),
        (asset_failed(by=STRANGER), ED, {}),
        (waited(40), ED, {ED: ["asset_ready"]}),
        (waited(1), ED, {}),
        (
            RIGHTS,
            None,
            {OLGA: ["rights_expired"], ADAM: ["rights_expired"], ED: ["rights_expired"]},
        ),
        (KEY, ADAM, {OLGA: ["api_key_changed"]}),
    ],
)
async def test_an_event_is_told_to_whom_it_concerns_and_not_to_who_did_it(
    box: Letterbox, event: Any, actor: str | None, told: dict[str, list[str]]
) -> None:
    await box.tell(happened(event() if callable(event) else event, actor=actor))
    assert await kinds(box) == told
    for user in told:
        (note,) = await box.of(user)
        assert note.organization_id == ORG
        assert "$" not in note.title + note.text
        assert (await box.unread(user)).by_org == {ORG: 1}


async def test_what_happens_to_an_account_is_told_outside_of_organizations(box: Letterbox) -> None:
    await box.tell(happened(DEVICE, org=None, actor=ED))
    await box.tell(happened(IMPERSONATED, org=None, actor=OLGA))
    assert await kinds(box) == {ED: ["impersonated", "new_device"]}
    assert (await box.unread(ED)).by_org == {"account": 2}


async def test_an_admin_in_somebodys_name_is_not_that_person(box: Letterbox) -> None:
    changed = MemberChanged(user_id=ED, role=Role.VIEWER)
    await box.tell(happened(changed, actor=ED, impersonator="usr_root"))
    assert await kinds(box) == {ED: ["role_changed"]}


async def test_an_invitation_is_shown_to_who_has_proved_the_address(box: Letterbox) -> None:
    for user, verified in (("usr_new", True), ("usr_claims", False)):
        email = f"{user}@example.org"
        account = User(id=user, email=email, name="N", password_hash="x", verified=verified)
        await account.insert()
        await Person(id=user, email=email, name="N").insert()
        await Invitation(
            id=f"inv_{user[4:]}", organization_id=ORG, email=email, role=Role.VIEWER,
            invited_by=OLGA, digest=user, sent_at=now(), expires_at=now(),
        ).insert()  # fmt: skip
        made = InvitationCreated(invitation_id=f"inv_{user[4:]}", role=Role.VIEWER)
        await box.tell(happened(made, actor=OLGA))
    (note,) = await box.of("usr_new")
    assert note.title == "You are invited to Acme"
    assert note.text.startswith("Olga invites you as viewer.")
    assert await box.of("usr_claims") == []


async def test_a_mention_says_what_its_producer_says(box: Letterbox) -> None:
    data = {
        "mentions": [ED, VERA, OLGA],
        "title": "Look at $name",
        "text": "two\nlines\u202e",
        "link": "/boards/7?x=1",
    }
    event = custom(data, actor=OLGA, subject="board-7")
    await box.tell(event)
    assert await kinds(box) == {ED: ["mention"], VERA: ["mention"]}
    (note,) = await box.of(ED)
    assert (note.title, note.text, note.link) == ("Look at $name", "two lines", "/boards/7?x=1")
    assert (note.subjects[0].type, note.subjects[0].id) == ("custom.comment.added", "board-7")
    assert (note.event_type, note.actor, note.count) == ("custom.comment.added", OLGA, 1)
    await box.tell(custom({"mentions": [ED], "kind": "approval"}))
    assert [each.title for each in await box.of(ED)][:1] == ["Your approval is asked for"]


@pytest.mark.parametrize(
    "data",
    [
        {"mentions": "usr_ed"},
        {"mentions": {"$ne": None}},
        {"mentions": None},
        {"mentions": [None, 1, [], {"$gt": ""}, "", "org_acme", "key_1", "usr_ed\n", "usr_" + "x" * 99]},
        {"mentions": [STRANGER, "usr_nobody"]},
        {"mentions": [f"usr_{number}" for number in range(10_000)]},
        {"mention": [ED]},
    ],
)  # fmt: skip
async def test_hostile_mentions_notify_nobody(box: Letterbox, data: dict[str, Any]) -> None:
    # Handled as a replay does, which takes every event: nothing raises, nothing is made.
    event = custom(data)
    await box.database["events"].insert_one(
        {**event.model_dump(mode="python", exclude_none=True), "_id": event.id}
    )
    await box.replay(effects=True)
    await box.run_sent()
    assert await kinds(box) == {}
    assert await Arrival.find().count() == 0
    assert await box.dead() == []


async def test_of_ten_thousand_mentions_the_first_hundred_count(box: Letterbox) -> None:
    many = [f"usr_{number}" for number in range(10_000)]
    await box.tell(custom({"mentions": [*many[:99], ED, VERA, *many]}))
    assert await kinds(box) == {ED: ["mention"]}


async def test_hostile_titles_and_links_are_left_out(box: Letterbox) -> None:
    links = (
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a b",
        "/" + "x" * 600,
        7,
    )
    for link in links:
        data = {"mentions": [ED], "title": ["x"], "text": {"$ne": 1}, "link": link}
        await box.tell(custom(data))
    found = await box.of(ED)
    assert {(each.title, each.text, each.link) for each in found} == {
        ("You were mentioned", "", None)
    }
    assert len(found) == len(links)


async def test_a_producers_time_moves_nothing(box: Letterbox) -> None:
    far = now().replace(year=9999)
    await box.tell(custom({"mentions": [ED]}, time=far))
    await box.tell(custom({"mentions": [ED]}, time=now().replace(year=1971)))
    for each in await box.of(ED):
        assert abs(each.created_at - now()) < timedelta(minutes=1)


async def test_an_event_delivered_twice_is_told_once(box: Letterbox) -> None:
    event = happened(asset_failed())
    await box.tell(event, event)
    await box.tell(event)
    (note,) = await box.of(ED)
    assert note.count == 1
    assert [each["type"] for each in await box.told(ED)] == ["inbox.notification.created"]


async def test_many_of_a_kind_within_a_while_are_one_and_unread_again(box: Letterbox) -> None:
    at = now().replace(minute=5, second=0)  # within one span of ten minutes
    events = [
        happened(asset_failed(number), time=at + timedelta(seconds=number)) for number in range(8)
    ]
    await box.tell(*events[:7])
    (note,) = await box.of(ED)
    await box.do(ReadNotification(notification=note.id), Actor(user=ED))
    assert (await box.unread(ED)).count == 0
    await box.tell(events[7])
    (note,) = await box.of(ED)
    assert (note.title, note.count) == ("8 files could not be processed", 8)
    assert note.read_at is None
    assert [each.id for each in note.subjects] == [f"ast_{n}" for n in (7, 6, 5, 4, 3)]
    assert (note.created_at, note.latest_at) == (at, at + timedelta(seconds=7))
    assert (await box.unread(ED)).count == 1
    later = happened(asset_failed(9), time=at + timedelta(minutes=15))
    await box.tell(later)
    assert [each.count for each in await box.of(ED)] == [1, 8]


async def test_the_last_thing_heard_has_the_right_number(box: Letterbox) -> None:
    await box.tell(*(custom({"mentions": [ED], "title": str(n)}) for n in range(5)))
    first = (await box.of(ED))[0]
    await box.do(ReadNotification(notification=first.id), Actor(user=ED))
    told = await box.told(ED)
    assert [each["data"]["unread"] for each in told][-1] == (await box.unread(ED)).count == 4
    assert max(each["revision"] for each in told) == (await box.unread(ED)).revision
    assert all(each["data"]["user_id"] == ED for each in told)


async def test_reading_and_removing(box: Letterbox) -> None:
    for number in range(4):
        await box.tell(custom({"mentions": [ED], "title": str(number)}))
    await box.join(ED, OTHER, Role.VIEWER, now() - timedelta(days=1))
    await box.tell(custom({"mentions": [ED], "title": "elsewhere"}, org=OTHER))
    ed = Actor(user=ED)
    notes = {each.title: each for each in await box.of(ED)}
    assert (await box.unread(ED)).by_org == {ORG: 4, OTHER: 1}

    read = await box.do(ReadNotification(notification=notes["0"].id), ed)
    assert read["read_at"]
    assert read == await box.do(ReadNotification(notification=notes["0"].id), ed)
    assert {each.title for each in await box.of(ED, unread=False)} == {"0"}
    again = await box.do(UnreadNotification(notification=notes["0"].id), ed)
    assert again["read_at"] is None
    assert (await box.unread(ED)).count == 5

    ids = (notes["0"].id, notes["1"].id, "ntf_nothing")
    assert (await box.do(ReadNotifications(ids=ids), ed))["count"] == 3
    before = notes["3"].latest_at
    assert (await box.do(ReadNotifications(before=before), ed))["count"] == 2
    left = await box.do(ReadNotifications(everything=True, organization_id=ORG), ed)
    assert left["by_org"] == {OTHER: 1}
    assert (await box.do(ReadNotifications(everything=True), ed))["count"] == 0
    for unclear in (
        ReadNotifications(),
        ReadNotifications(everything=False),
        ReadNotifications(ids=("ntf_x",), everything=True),
    ):
        with pytest.raises(Refused, match=r"inbox\.selection_unclear"):
            await box.do(unclear, ed)

    wrong = DeleteNotification(notification=notes["1"].id, if_revision=99)
    assert await box.code_of(wrong, ed) == "revision_mismatch"
    await box.do(DeleteNotification(notification=notes["1"].id), ed)
    assert "1" not in {each.title for each in await box.of(ED)}
    await box.unread(ED)


async def test_what_is_somebody_elses_is_not_there(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED]}))
    (note,) = await box.of(ED)
    vera = Actor(user=VERA)
    for command in (
        ReadNotification(notification=note.id),
        UnreadNotification(notification=note.id),
        DeleteNotification(notification=note.id),
    ):
        assert await box.code_of(command, vera) == "inbox.notification_not_found"
    await box.do(ReadNotifications(ids=(note.id,)), vera)
    await box.do(ReadNotifications(everything=True), vera)
    assert [each.read_at for each in await box.of(ED)] == [None]


async def test_a_page_follows_a_page(box: Letterbox) -> None:
    for number in range(5):
        await box.tell(custom({"mentions": [ED], "title": str(number)}))
    first = await box.page(ED, limit=3)
    rest = await box.page(ED, limit=3, cursor=first.next_cursor)
    assert [each.title for each in (*first.items, *rest.items)] == ["4", "3", "2", "1", "0"]
    assert rest.next_cursor is None
    assert await box.of(ED, kind=Kind.APPROVAL) == []
    assert await box.of(ED, org=OTHER) == []
    assert len(await box.of(ED, kind=Kind.MENTION, org=ORG, unread=True)) == 5


async def test_the_oldest_go_and_read_ones_first(box: Letterbox) -> None:
    for number in range(10):
        await box.tell(custom({"mentions": [ED], "title": str(number)}))
    notes = {each.title: each for each in await box.of(ED)}
    await box.do(ReadNotification(notification=notes["5"].id), Actor(user=ED))
    await box.tell(custom({"mentions": [ED], "title": "10"}))
    await box.tell(custom({"mentions": [ED], "title": "11"}))
    titles = {each.title for each in await box.of(ED)}
    assert titles == {str(number) for number in range(12)} - {"5", "0"}
    assert (await box.unread(ED)).count == 10
    await box.tell(*(custom({"mentions": [ED], "title": str(n)}) for n in range(12, 40)))
    assert len(await box.of(ED)) == 10
    assert (await box.unread(ED)).count == 10


async def test_what_is_too_old_goes_and_does_not_come(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED]}))
    old = now() - timedelta(days=100)
    await Notification.get_pymongo_collection().update_many({}, {"$set": {"latest_at": old}})
    assert await box.ring("inbox.expiry") == ["ExpireNotifications"]
    assert await box.of(ED) == []
    assert (await box.unread(ED)).count == 0
    await box.tell(happened(asset_failed(), time=old))
    assert await box.of(ED) == []


async def test_who_leaves_keeps_only_the_news_that_they_have(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED, VERA]}))
    await box.hear(custom({"mentions": [ED], "title": "not placed yet"}))
    await box.sent()
    member = await Membership.get(f"{ORG}:{ED}")
    assert member is not None
    await member.delete()
    await box.tell(happened(MemberRemoved(user_id=ED), actor=OLGA))
    await box.ring("inbox.arrivals")
    (note,) = await box.of(ED)
    assert note.title == "You are no longer a member of Acme"
    assert len(await box.of(VERA)) == 1
    await box.unread(ED)
    await box.tell(custom({"mentions": [ED]}))
    assert len(await box.of(ED)) == 1


async def test_an_organization_that_is_gone_leaves_nothing(box: Letterbox) -> None:
    await box.tell(custom({"mentions": [ED, VERA, OLGA]}))
    gone = OrganizationDeleted(organization_id=ORG)
    await box.tell(happened(gone, actor=OLGA))
    assert await kinds(box) == {}
    assert (await box.unread(VERA)).count == 0


def wants(kind: Kind, **what: Any) -> UpdatePreferences:
    return UpdatePreferences(kinds={kind: PreferenceChange(**what)})


async def test_what_is_turned_off_is_not_shown_and_a_muted_organization_is_quiet(
    box: Letterbox,
) -> None:
    await box.do(wants(Kind.MENTION, in_app=False, mail="off"), Actor(user=ED))
    shown = await box.do(UpdatePreferences(muted=(ORG, ORG)), Actor(user=VERA))
    assert shown["muted"] == [ORG]
    await box.tell(custom({"mentions": [ED, VERA]}))
    assert await box.of(ED) == []
    (note,) = await box.of(VERA)
    assert note.read_at == note.created_at
    assert (await box.unread(VERA)).count == 0
    assert await box.mails() == []
    await box.tell(custom({"mentions": [ED], "kind": "approval"}))
    assert await kinds(box) == {ED: ["approval"], VERA: ["mention"]}
    changed = UpdatePreferences(muted=(), if_revision=1)
    assert await box.code_of(changed, Actor(user=VERA)) == "revision_mismatch"
