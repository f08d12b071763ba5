"""Reads of API keys: for the organization they belong to, and at each request they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bus.batching import Batcher
from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.auth.errors import KeyNotFound
from contracts.auth.views import ApiKeyView
from contracts.permissions import Permission
from contracts.types import now
from handlers.auth.documents import ApiKey
from infra.api_keys import KeyUses, Use, prefix_of


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What a request that shows a key is measured against."""

    id: str
    organization: str
    scopes: frozenset[Permission]
    digest: str
    expires_at: datetime | None
    previous_digest: str | None
    previous_until: datetime | None

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now()


_FIELDS = dict.fromkeys(
    ("organization_id", "scopes", "digest", "expires_at", "previous_digest", "previous_until"), 1
)


async def _fetch(ids: Sequence[str]) -> dict[str, KnownKey]:
    found = ApiKey.get_pymongo_collection().find({"_id": {"$in": ids}}, _FIELDS)
    return {
        each["_id"]: KnownKey(
            id=each["_id"],
            organization=each["organization_id"],
            scopes=frozenset(Permission(scope) for scope in each["scopes"]),
            digest=each["digest"],
            expires_at=each.get("expires_at"),
            previous_digest=each.get("previous_digest"),
            previous_until=each.get("previous_until"),
        )
        async for each in found
    }


_keys: Batcher[str, KnownKey] = Batcher(_fetch)
_uses: KeyUses | None = None


def use_uses(uses: KeyUses) -> None:
    """Let this process's views tell when a key was last used."""
    global _uses
    _uses = uses


async def find_key(actor: Actor) -> KnownKey | None:
    """The key that the actor is, at this instant; None once it was revoked."""
    return await _keys.find(actor.user)


def key_view(key: ApiKey, use: Use | None = None) -> ApiKeyView:
    """A key as its organization sees it."""
    at = now()
    return ApiKeyView(
        id=key.id,
        prefix=prefix_of(key.id),
        name=key.name,
        scopes=tuple(key.scopes),
        status="expired" if key.expires_at is not None and key.expires_at <= at else "active",
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        previous_valid_until=(
            key.previous_until if key.previous_until and key.previous_until > at else None
        ),
        last_used_at=use.at if use else None,
        last_used_address=use.address if use else None,
        revision=key.revision,
    )


async def list_api_keys(actor: Actor, cursor: Cursor) -> Page[ApiKeyView]:
    """The organization's API keys, oldest first."""
    page = await page_of(ApiKey, {"organization_id": actor.tenant}, cursor, key_view)
    uses = await _uses.of([key.id for key in page.items]) if _uses is not None else {}
    return page.model_copy(update={"items": tuple(_used(key, uses) for key in page.items)})


async def get_api_key(actor: Actor, key_id: str) -> ApiKeyView:
    """One API key. Raises KeyNotFound, also for another organization's."""
    key = await ApiKey.find_one({"_id": key_id, "organization_id": actor.tenant})
    if key is None:
        raise KeyNotFound()
    uses = await _uses.of([key.id]) if _uses is not None else {}
    return key_view(key, uses.get(key.id))


def _used(view: ApiKeyView, uses: dict[str, Use]) -> ApiKeyView:
    use = uses.get(view.id)
    if use is None:
        return view
    return view.model_copy(update={"last_used_at": use.at, "last_used_address": use.address})
