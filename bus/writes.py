"""What units of work have staged, as writes to collections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from bus.documents import Aggregate
from bus.unit_of_work import Hold, UnitOfWork

Operation = InsertOne[dict[str, Any]] | ReplaceOne[dict[str, Any]] | UpdateOne | DeleteOne


@dataclass(slots=True)
class Writes:
    """The writes to one collection, whose they are, and how many must find their document."""

    operations: list[Operation] = field(default_factory=list)
    owners: list[UnitOfWork] = field(default_factory=list)
    expected: int = 0

    def add(self, unit: UnitOfWork, operation: Operation, *, finds: bool) -> None:
        self.operations.append(operation)
        self.owners.append(unit)
        self.expected += finds


def clashing(units: Iterable[UnitOfWork]) -> set[UnitOfWork]:
    """Those that rely on a document as it was before an earlier one of them changes it.

    They were all handled at the same time, so none has seen what another changes: of those
    that change one document, the first is written, and the others must run again.
    """
    changed: set[tuple[type[Aggregate], str]] = set()
    removed: set[tuple[type[Aggregate], str]] = set()
    held: set[tuple[type[Aggregate], str]] = set()
    late: set[UnitOfWork] = set()
    for unit in units:
        if not (unit.saves or unit.removes or unit.holds):
            continue
        own = {(type(each.document), each.document.id) for each in (*unit.saves, *unit.removes)}
        as_read = own | {(each.document, each.id) for each in unit.holds if each.revision}
        there = {(each.document, each.id) for each in unit.holds}
        gone = {(type(each.document), each.document.id) for each in unit.removes}
        if as_read & changed or there & removed or gone & held:
            late.add(unit)
            continue
        changed |= own
        removed |= gone
        held |= there
    return late


def writes_of(units: Iterable[UnitOfWork]) -> dict[str, Writes]:
    """The writes per collection, as if one unit came after the other."""
    writes: dict[str, Writes] = defaultdict(Writes)
    held: set[Hold] = set()
    for unit in units:
        for hold in unit.holds:
            if hold not in held:
                held.add(hold)
                # A write, not a read: it stops a removal, at the same time or later, by
                # somebody who has not seen what this unit makes.
                operation = UpdateOne(_as_read(hold.id, hold.revision), {"$inc": {"held": 1}})
                writes[hold.document.get_collection_name()].add(unit, operation, finds=True)
        for saved in unit.saves:
            document = saved.document
            # Who held it before this change has seen it; who does after must look again.
            held.discard(Hold(type(document), document.id, saved.expected))
            replace = ReplaceOne(_as_read(document.id, saved.expected), encode_document(document))
            writes[document.get_collection_name()].add(unit, replace, finds=True)
        for removed in unit.removes:
            document = removed.document
            unheld = {"held": document.held}
            delete = DeleteOne(_as_read(document.id, removed.expected) | unheld)
            writes[document.get_collection_name()].add(unit, delete, finds=True)
        for document in unit.adds:
            insert = InsertOne(encode_document(document))
            writes[document.get_collection_name()].add(unit, insert, finds=False)
    return writes


def _as_read(id: str, revision: int | None) -> dict[str, Any]:
    return {"_id": id} if revision is None else {"_id": id, "revision": revision}


def encode_document(document: Aggregate) -> dict[str, Any]:
    """As stored. pydantic's own dump, because Beanie's encoder costs as much as the insert."""
    encoded: dict[str, Any] = document.model_dump(
        mode="python", exclude={"revision_id"}, exclude_none=True
    )
    encoded["_id"] = encoded.pop("id")
    return encoded


def duplicate_at(error: BulkWriteError) -> int | None:
    """Which write of a bulk met a duplicate of a unique index; None for another error."""
    found: list[dict[str, Any]] = error.details.get("writeErrors", [])
    return next((int(each["index"]) for each in found if each.get("code") == 11000), None)
