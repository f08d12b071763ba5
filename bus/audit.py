"""The event log read backwards: who did what, the newest first.

Within an organization the order is that of the feed, ``logged``; over all of them it is that
of the ids, which is nearly the same. Each page is a range of one index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import DESCENDING

import contracts.catalog
from bus.documents import EVENTS, INBOX_DAYS, Database
from bus.logged import logged_event
from contracts.base import Event
from contracts.envelope import Envelope

assert contracts.catalog, "every event must be declared before it is looked up"

SCAN = 20_000
"""Events of all organizations looked through for one page."""

LATE = timedelta(days=INBOX_DAYS)
"""By how much the order of the ids may be another than that of the log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECRET = re.compile(r"password|secret|token|otp|recovery|credential|authorization|cookie|hash")
_SEALED = "sealed."

Place = tuple[int, str]
"""``logged`` and ``_id`` of an event."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; times are of when an event was logged."""

    org: str | None = None
    """None is every organization, and what happened outside of any."""
    user: str | None = None
    """Only what auth says about this user, wherever it happened."""
    private: bool = False
    """Whether events are shown that organizations must not see."""
    actor: str | None = None
    type: str | None = None
    """A type, or the beginning of some: ``corp.*``."""
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    impersonated: bool | None = None

    @property
    def everywhere(self) -> bool:
        """Whether no index has this order but that of the ids."""
        return self.org is None and self.user is None

    def index(self) -> str:
        """The index that is read: the one that leaves the least to look through."""
        if self.everywhere:
            return "_id_"
        if self.user is not None:
            return "of_user"
        if self.subject is not None:
            return "by_subject"
        if self.actor is not None:
            return "by_actor"
        return "by_kind" if "type" in self._kinds() else "by_logged"

    def query(self) -> dict[str, Any]:
        """The conditions, but for the page."""
        wanted: list[dict[str, Any]] = [self._kinds()]
        for name, value in (("org", self.org), ("actor", self.actor), ("subject", self.subject)):
            if value is not None:
                wanted.append({name: value})
        if self.user is not None:
            wanted.append({"data.user_id": self.user, "type": {"$in": kinds("auth.")}})
        if self.impersonated is not None:
            wanted.append({"impersonator": {"$exists": self.impersonated}})
        for operator, instant in (("$gte", self.since), ("$lt", self.until)):
            if instant is not None:
                logged = (instant - _EPOCH) // timedelta(microseconds=1)
                wanted.append({"logged": {operator: logged}})
        return {"$and": [each for each in wanted if each]}

    def _kinds(self) -> dict[str, Any]:
        """The types, those of ``custom.*`` aside all by name: an index can follow that."""
        if self.type is None:
            return (
                {}
                if self.private
                else {
                    "$or": [
                        {"type": {"$in": kinds("", private=False)}},
                        {"type": _beginning("custom.")},
                    ]
                }
            )
        prefix = self.type.removesuffix("*")
        if prefix == self.type:
            shown = (
                self.private or prefix.startswith("custom.") or prefix in kinds("", private=False)
            )
            return {"type": {"$in": [prefix] if shown else []}}
        if prefix.startswith("custom."):
            return {"$and": [{"type": _beginning(prefix)}]}
        return {"type": {"$in": kinds(prefix, private=None if self.private else False)}}


def _beginning(prefix: str) -> dict[str, str]:
    """The range of what begins with a prefix that ends in a dot."""
    return {"$gte": prefix, "$lt": prefix[:-1] + "/"}


def kinds(prefix: str, *, private: bool | None = None) -> list[str]:
    """The types of our events that begin so; ``private`` or not, where it is given."""
    return sorted(
        {
            event.wire
            for event in Event.all()
            if event.wire.startswith(prefix) and private in (None, event.private)
        }
    )


async def read_audit(
    database: Database, wanted: AuditFilter, after: Place | None, limit: int
) -> tuple[list[tuple[Envelope, datetime]], Place | None]:
    """The next ``limit`` events with the time each was logged, and the place behind them.

    The place is None at the end. Over all organizations a page may be short, even empty,
    before the end: no more than SCAN events are looked through for it.
    """
    last = await _ahead(database, wanted, after) if wanted.everywhere else None
    found = await database[EVENTS].find(**plan(wanted, after, last, limit)).to_list()
    shown = found[:limit]
    if len(found) > limit:
        last = (shown[-1]["logged"], shown[-1]["_id"])
    return [(_shown(each), _instant(each["logged"])) for each in shown], last


def plan(
    wanted: AuditFilter, after: Place | None, last: Place | None, limit: int
) -> dict[str, Any]:
    """The query of a page behind ``after``, that ends with ``last``."""
    query = wanted.query()
    conditions: list[dict[str, Any]] = query["$and"]
    order = [("logged", DESCENDING), ("_id", DESCENDING)]
    if wanted.everywhere:
        order = order[1:]
        if after is not None:
            conditions.append({"_id": {"$lt": after[1]}})
        if last is not None:
            conditions.append({"_id": {"$gte": last[1]}})
    elif after is not None:
        logged, id = after
        conditions.append({"logged": {"$lte": logged}})
        conditions.append({"$or": [{"logged": {"$lt": logged}}, {"_id": {"$lt": id}}]})
    return {
        "filter": query if conditions else {},
        "sort": order,
        "hint": wanted.index(),
        "limit": limit + 1,
    }


async def _ahead(database: Database, wanted: AuditFilter, after: Place | None) -> Place | None:
    """The place that is SCAN events further back; None where nothing wanted is beyond it."""
    query = {} if after is None else {"_id": {"$lt": after[1]}}
    found = await (
        database[EVENTS]
        .find(query, {"_id": 1, "logged": 1})
        .sort([("_id", DESCENDING)])
        .skip(SCAN - 1)
        .limit(1)
        .to_list()
    )
    if not found:
        return None
    place = (found[0]["logged"], found[0]["_id"])
    beyond = wanted.since is not None and _instant(place[0]) < wanted.since - LATE
    return None if beyond else place


def _shown(document: dict[str, Any]) -> Envelope:
    event = logged_event(document)
    return event.model_copy(update={"data": without_secrets(event.data)})


def _instant(logged: int) -> datetime:
    return _EPOCH + timedelta(microseconds=logged)


def without_secrets(value: Any) -> Any:
    """What is sealed, or named like a secret, left out at any depth: a second lock on the door."""
    if isinstance(value, dict):
        return {
            name: without_secrets(each)
            for name, each in value.items()
            if not _SECRET.search(str(name).lower()) and not _is_sealed(each)
        }
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value if not _is_sealed(each)]
    return value


def _is_sealed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(_SEALED)
