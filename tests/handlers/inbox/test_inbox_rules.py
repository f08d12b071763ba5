"""The pure rules of the inbox: which notification an event belongs to, and what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.envelope import Envelope
from contracts.inbox.types import NotificationKind, Subject
from contracts.types import new_id
from handlers.inbox.mentions import MENTIONED, mention_of, mentioned_in, plain
from handlers.inbox.rules import RULES, Notice, default_preference, notification_id
from handlers.inbox.wording import WORDS, words_of

Kind = NotificationKind
WINDOW = timedelta(minutes=10)
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SUBJECT = Subject(type="asset", id="ast_1")


def event(at: datetime, *, id: str = "", org: str = "org_1") -> Envelope:
    given = {"source": "/grid8/asset", "type": "asset.asset.failed", "data": {}, "org": org}
    return Envelope(id=id or new_id("evt"), time=at, **given)


def notice(kind: Kind = Kind.ASSET_FAILED, *, together: bool = True) -> Notice:
    return Notice(kind, SUBJECT, together=together)


def test_what_happens_within_a_span_is_one_notification_in_whatever_order() -> None:
    ids = [
        notification_id(event(NOON + timedelta(minutes=each)), notice(), "usr_1", WINDOW)
        for each in (9, 0, 5, 10, 19, 20)
    ]
    assert ids[0] == ids[1] == ids[2]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 3


def test_users_kinds_and_organizations_are_not_thrown_together() -> None:
    at = event(NOON)
    ids = {
        notification_id(at, notice(), "usr_1", WINDOW),
        notification_id(at, notice(), "usr_2", WINDOW),
        notification_id(at, notice(Kind.ASSET_READY), "usr_1", WINDOW),
        notification_id(event(NOON, org="org_2"), notice(), "usr_1", WINDOW),
    }
    assert len(ids) == 4


@pytest.mark.parametrize(("together", "window"), [(False, WINDOW), (True, timedelta())])
def test_else_each_event_has_its_own_and_always_the_same(together: bool, window: timedelta) -> None:
    said = notice(together=together)
    one, other = event(NOON), event(NOON)
    assert notification_id(one, said, "usr_1", window) != notification_id(
        other, said, "usr_1", window
    )
    again = event(NOON + timedelta(days=1), id=one.id)
    assert notification_id(one, said, "usr_1", window) == notification_id(
        again, said, "usr_1", window
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_words_also_where_nothing_is_known(kind: Kind) -> None:
    for count in (1, 3):
        title, text = words_of(kind, {}, count)
        assert title
        known = {"detail": "It is cut.", "expires_at": "2026-11-25", "change": "revoked"}
        title, text = words_of(kind, known, count)
        assert "$" not in title + text, (title, text)
    assert words_of(kind, {}, 3)[0] == words_of(kind, {}, 1)[0] or "$count" in WORDS[kind].many
    assert default_preference(kind).in_app


def test_a_value_is_no_placeholder() -> None:
    title, _ = words_of(Kind.ASSET_FAILED, {"name": "$detail", "detail": "secret"}, 1)
    assert title == "$detail could not be processed"
    assert words_of(Kind.MENTION, {"title": "$organization"}, 1) == ("$organization", "")


def test_each_event_of_the_table_makes_one_kind_of_notification() -> None:
    assert len(RULES) == len(set(RULES))
    assert all(event.domain() in ("corp", "asset", "auth", "mail", "custom") for event in RULES)


def test_mentions_are_users_each_once_and_not_too_many() -> None:
    assert mentioned_in({"mentions": ["usr_b", "usr_a", "usr_b", "org_1", 7]}) == ("usr_b", "usr_a")
    assert len(mentioned_in({"mentions": [f"usr_{n}" for n in range(10_000)]})) == MENTIONED
    assert mention_of({"mentions": []}) is None
    assert mention_of({"mentions": ["usr_a"], "kind": ["approval"]}) is not None
    approval = mention_of({"mentions": ["usr_a"], "kind": "approval"})
    assert approval is not None
    assert approval.kind is Kind.APPROVAL


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\r\nb\tc", "a b c"),
        ("\u202eevil\u2066", "evil"),
        ("x" * 50, "x" * 19 + "…"),
        (None, ""),
        ({"$ne": 1}, ""),
        ("👩\u200d🎨", "👩\u200d🎨"),
    ],
)
def test_a_producers_text_is_one_plain_line(given: object, shown: str) -> None:
    assert plain(given, 20) == shown
