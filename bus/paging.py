"""Pages of a collection by keyset: stable while others write, as quick at the end as at the start."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

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


class Cursor(Contract):
    """Where a page begins and how it runs: the query parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=200, description="Items on a page.")] = 50
    cursor: Annotated[
        str | None,
        Field(max_length=400, min_length=1, description="next_cursor of the page before."),
    ] = None
    sort: Annotated[Sort, Field(description="By age; a minus sign puts the newest first.")] = (
        "created_at"
    )

    def after(self) -> str | None:
        """The id behind which the page begins. Raises CursorInvalid."""
        if self.cursor is None:
            return None
        try:
            sort, id = json.loads(base64.b64decode(self.cursor, altchars=b"-_", validate=True))
        except (ValueError, TypeError) as error:
            raise CursorInvalid() from error
        if sort != self.sort or not isinstance(id, str) or not id.isascii():
            raise CursorInvalid()
        return id

    def next(self, id: str) -> str:
        """The cursor of the page that begins behind ``id``."""
        return base64.urlsafe_b64encode(json.dumps([self.sort, id]).encode()).decode()


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
