"""What rights allow, without I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from contracts.asset.rights import Rights, RightsCheckView, RightsState, RightsView
from contracts.types import rfc3339
from handlers.asset.documents import Asset

RightsFilter = Literal["pending", "active", "expiring", "expired", "none"]


def state_of(rights: Rights, at: datetime) -> RightsState:
    """Whether the time of the rights has come, and is not over."""
    if rights.expires_at is not None and at >= rights.expires_at:
        return "expired"
    if rights.starts_at is not None and at < rights.starts_at:
        return "pending"
    return "active"


def rights_view(rights: Rights | None, at: datetime) -> RightsView | None:
    if rights is None:
        return None
    return RightsView(**rights.model_dump(), state=state_of(rights, at))


def record_rights(asset: Asset, rights: Rights | None) -> None:
    """Give an asset its rights. An expiry is told once; another one anew, be it past or to come."""
    before = asset.rights.expires_at if asset.rights else None
    expires = rights.expires_at if rights else None
    asset.rights = rights
    if expires != before:
        asset.rights_due, asset.rights_told = expires, None


def check_rights(
    asset: str, rights: Rights | None, territory: str | None, at: datetime
) -> RightsCheckView:
    """Whether an asset may be used in a country, anywhere at all where none is named, at a time."""

    def answer(allowed: bool, reason: Any, detail: str) -> RightsCheckView:
        return RightsCheckView(
            asset_id=asset,
            allowed=allowed,
            reason=reason,
            detail=detail,
            territory=territory,
            at=at,
            rights=rights_view(rights, at),
        )

    if rights is None:
        return answer(True, "unrecorded", "No rights are recorded: nothing is forbidden.")
    state = state_of(rights, at)
    if state == "expired" and rights.expires_at is not None:
        return answer(False, "expired", f"The rights expire at {rfc3339(rights.expires_at)}.")
    if state == "pending" and rights.starts_at is not None:
        return answer(False, "not_started", f"The rights begin at {rfc3339(rights.starts_at)}.")
    if rights.territories is None or territory in rights.territories:
        return answer(True, "within", "The rights allow it.")
    held = ", ".join(rights.territories)
    if territory is None:
        return answer(False, "place_unknown", f"Name the territory: the rights are for {held}.")
    return answer(False, "not_there", f"The rights are for {held}.")


def rights_wanted(
    rights: RightsFilter | None, expires_before: datetime | None, at: datetime
) -> list[dict[str, Any]]:
    """What the documents of a list by rights must fit, each of it."""
    wanted: list[dict[str, Any]] = []
    lasting = {"$or": [{"rights.expires_at": None}, {"rights.expires_at": {"$gt": at}}]}
    match rights:
        case "none":
            wanted.append({"rights": None})
        case "expired":
            wanted.append({"rights.expires_at": {"$lte": at}})
        case "expiring":
            wanted.append({"rights_told": "expiring", "rights.expires_at": {"$gt": at}})
        case "pending":
            wanted += [{"rights.starts_at": {"$gt": at}}, lasting]
        case "active":
            begun = {"$or": [{"rights.starts_at": None}, {"rights.starts_at": {"$lte": at}}]}
            wanted += [{"rights": {"$ne": None}}, begun, lasting]
    if expires_before is not None:
        wanted.append({"rights.expires_at": {"$lt": expires_before}})
    return wanted
