"""Pages of a collection by keyset: stable while others write, as quick at the end as at the start."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, TypeVar

from beanie.odm.utils.parsing import parse_obj
from pydantic import Field

from bus.documents import Aggregate
from contracts.base import Contract, View
from contracts.errors import DomainError, ErrorKind, FieldError

A = TypeVar("A", bound=Aggregate)
V = TypeVar("V", bound=View)

Sort = Literal["created_at", "-created_at"]


class CursorInvalid(DomainError):
    """The cursor is not one that a list gave out."""

    code = "cursor_invalid"
    kind = ErrorKind.INVALID
    title = "The cursor is not valid"

    def __init__(self, parameter: str = "cursor") -> None:
        super().__init__(
            "Use the next_cursor of the page before, with the same filters.",
            errors=[FieldError(pointer=parameter, code="cursor_invalid", detail="not a cursor")],
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands in a sorted list: what it is sorted by, and its id among equals."""

    value: str | int | datetime | None
    id: str


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _encoded(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode()


def _digest(meaning: Mapping[str, Any]) -> str:
    """What a list is of, in short: a cursor means nothing in another."""
    told = json.dumps(dict(meaning), sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _value_of(given: Any) -> str | int | datetime | None:
    """What a cursor says a document is sorted by. Raises CursorInvalid."""
    try:
        if isinstance(given, dict):
            return _EPOCH + timedelta(milliseconds=int(given["ms"]))
        if isinstance(given, str):
            given.encode()
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CursorInvalid() from error
    if given is None or isinstance(given, str):
        return given
    if type(given) is int and abs(given) < 2**63:
        return given
    raise CursorInvalid()


class Keyset(Contract):
    """Where a page begins and how it runs: the query parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=200, description="Items on a page.")] = 50
    cursor: Annotated[
        str | None,
        Field(max_length=400, min_length=1, description="next_cursor of the page before."),
    ] = None
    sort: str = "created_at"

    def after(self) -> str | None:
        """The id behind which the page begins. Raises CursorInvalid."""
        parts = self._parts(2)
        if parts is None:
            return None
        id = parts[1]
        if not isinstance(id, str) or not id.isascii():
            raise CursorInvalid()
        return id

    def next(self, id: str) -> str:
        """The cursor of the page that begins behind ``id``."""
        return _encoded([self.sort, id])

    def after_place(self, meaning: Mapping[str, Any]) -> Place | None:
        """What the page begins behind, in a list of that meaning. Raises CursorInvalid."""
        parts = self._parts(4)
        if parts is None:
            return None
        _, digest, value, id = parts
        if digest != _digest(meaning) or not isinstance(id, str) or not id.isascii():
            raise CursorInvalid()
        return Place(_value_of(value), id)

    def next_place(self, place: Place, meaning: Mapping[str, Any]) -> str:
        """The cursor of the page that begins behind a place in a list of that meaning."""
        value: Any = place.value
        if isinstance(value, datetime):
            value = {"ms": (value - _EPOCH) // timedelta(milliseconds=1)}
        return _encoded([self.sort, _digest(meaning), value, place.id])

    def _parts(self, number: int) -> list[Any] | None:
        if self.cursor is None:
            return None
        try:
            parts = json.loads(base64.b64decode(self.cursor, altchars=b"-_", validate=True))
        except (ValueError, TypeError, RecursionError) as error:
            raise CursorInvalid() from error
        if not isinstance(parts, list) or len(parts) != number or parts[0] != self.sort:
            raise CursorInvalid()
        return parts


class Cursor(Keyset):
    """Of a list that is sorted by age alone."""

    sort: Annotated[Sort, Field(description="By age; a minus sign puts the newest first.")] = (
        "created_at"
    )


class Page(View, Generic[V]):
    """One page of a list."""

    items: tuple[V, ...]
    next_cursor: str | None = Field(description="null on the last page.")


async def page_of(
    documents: type[A], wanted: Mapping[str, Any], cursor: Cursor, show: Callable[[A], V]
) -> Page[V]:
    """The page of ``documents`` matching ``wanted`` that ``cursor`` asks for.

    Ids are ordered by creation, so they are both sort key and tie-breaker.
    """
    query: dict[str, Any] = dict(wanted)
    descending = cursor.sort.startswith("-")
    after = cursor.after()
    if after is not None:
        query = {"$and": [query, {"_id": {"$lt" if descending else "$gt": after}}]}
    found = await (
        documents.find(query)
        .sort(("-" if descending else "+") + "_id")
        .limit(cursor.limit + 1)
        .to_list()
    )
    shown = found[: cursor.limit]
    more = len(found) > cursor.limit
    return Page(
        items=tuple(show(document) for document in shown),
        next_cursor=cursor.next(shown[-1].id) if more else None,
    )


async def sorted_page(
    documents: type[A],
    wanted: Mapping[str, Any],
    cursor: Keyset,
    show: Callable[[A], V],
    *,
    by: Mapping[str, str],
    meaning: Mapping[str, Any],
) -> Page[V]:
    """As ``page_of``, where ``by`` says which field a sort, without its minus, is about.

    Equals come in the order of their ids, what has no value before all others. ``meaning`` is
    what was asked for, of values that JSON has: a cursor is good for that and for no other list.
    A page is a range of an index of what ``wanted`` fixes, the field and ``_id``.
    """
    descending = cursor.sort.startswith("-")
    field = by[cursor.sort.removeprefix("-")]
    order = [(field, -1 if descending else 1), ("_id", -1 if descending else 1)]
    collection = documents.get_pymongo_collection()
    found: list[dict[str, Any]] = []  # as stored: what is sorted by may be missing there
    for part in _parts_behind(cursor.after_place(meaning), field, descending=descending):
        query = {"$and": [dict(wanted), part]} if part else dict(wanted)
        missing = cursor.limit + 1 - len(found)
        sort = order[:1] if field == "_id" else order
        found += await collection.find(query).sort(sort).limit(missing).to_list()
        if len(found) > cursor.limit:
            break
    shown = found[: cursor.limit]
    next_cursor = None
    if len(found) > cursor.limit:
        last = shown[-1]
        value = None if field == "_id" else last.get(field)
        next_cursor = cursor.next_place(Place(value, last["_id"]), meaning)
    return Page(
        items=tuple(show(_loaded(documents, each)) for each in shown), next_cursor=next_cursor
    )


def _loaded(documents: type[A], stored: dict[str, Any]) -> A:
    document = parse_obj(documents, stored)
    assert isinstance(document, documents)
    return document


def _parts_behind(place: Place | None, field: str, *, descending: bool) -> Iterator[dict[str, Any]]:
    """What is behind a place, as queries that follow one another: each a range of an index.

    One query with $or would be read from the beginning of the equals, or of the index.
    """
    if place is None:
        yield {}
        return
    beyond = "$lt" if descending else "$gt"
    behind = {"_id": {beyond: place.id}}
    if field == "_id":
        yield behind
        return
    yield {field: place.value, **behind}
    # Comparisons are among values of one type, so that nothing is above or below null.
    if place.value is not None:
        yield {field: {beyond: place.value}}
        if descending:
            yield {field: None}
    elif not descending:
        yield {field: {"$ne": None}}
