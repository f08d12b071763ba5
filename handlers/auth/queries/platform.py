"""Reads of platform admins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from bus.batching import Batcher
from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.auth.errors import UserNotFound
from contracts.auth.views import AccountView
from contracts.permissions import PlatformRole
from handlers.auth.documents import User


def account_view(user: User) -> AccountView:
    """A user as platform admins see them."""
    return AccountView(
        id=user.id,
        email=user.email,
        name=user.name,
        verified=user.verified,
        status="active" if user.suspended_at is None else "suspended",
        suspended_at=user.suspended_at,
        platform_role=user.platform_role,
        created_at=user.created_at,
        revision=user.revision,
    )


async def _fetch_roles(ids: Sequence[str]) -> dict[str, PlatformRole]:
    found = User.get_pymongo_collection().find(
        {"_id": {"$in": ids}, "platform_role": {"$type": "string"}, "suspended_at": None},
        {"platform_role": 1},
    )
    return {each["_id"]: PlatformRole(each["platform_role"]) async for each in found}


_roles: Batcher[str, PlatformRole] = Batcher(_fetch_roles)


async def find_platform_role(actor: Actor) -> PlatformRole | None:
    """The actor's role on the platform at this instant; who is suspended has none."""
    return await _roles.find(actor.user)


async def list_users(
    actor: Actor,
    cursor: Cursor,
    email: Annotated[
        str | None,
        Field(min_length=1, max_length=254, description="An address, or its beginning and *."),
    ] = None,
    status: Literal["active", "suspended"] | None = None,
    platform_role: PlatformRole | None = None,
) -> Page[AccountView]:
    """Everybody, oldest first."""
    wanted: dict[str, Any] = {}
    if email is not None:
        address = email.lower()
        wanted["email"] = (
            {"$regex": "^" + re.escape(address[:-1])} if address.endswith("*") else address
        )
    if status is not None:
        wanted["suspended_at"] = None if status == "active" else {"$type": "date"}
    if platform_role is not None:
        wanted["platform_role"] = platform_role.value
    return await page_of(User, wanted, cursor, account_view)


async def get_user(actor: Actor, user: str) -> AccountView:
    """One user. Raises UserNotFound."""
    found = await User.get(user)
    if found is None:
        raise UserNotFound()
    return account_view(found)
