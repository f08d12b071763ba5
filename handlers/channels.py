"""Who may listen to which realtime channel: the queries of the domains that own what it is about.

The notifier is given this table, because no domain imports another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from contracts.actor import Actor
from contracts.corp.errors import OrganizationNotFound
from contracts.permissions import Permission
from contracts.realtime.errors import ChannelUnknown
from handlers.asset.queries import get_asset_status
from handlers.authority import find_authority
from handlers.corp.queries import get_project

Authorise = Callable[[Actor, str], Awaitable[None]]


_BY_KIND: dict[str, tuple[Permission, Callable[[Actor, str], Awaitable[Any]]]] = {
    "project": (Permission.PROJECT_READ, get_project),
    "asset": (Permission.ASSET_READ, get_asset_status),
}


async def find_rights(actor: Actor) -> Hashable:
    """What the actor may see in their organization now, to be compared with what it was.

    None where they may listen to nothing. Those who ask at once share a query.
    """
    member = await find_authority(actor, actor.tenant)
    if member is None or not member.may(Permission.REALTIME_SUBSCRIBE):
        return None
    return member.role, member.scopes, frozenset(member.brand_roles.items())


async def authorise(actor: Actor, channel: str) -> None:
    """Raise a DomainError unless the actor may listen to ``channel`` now.

    ``actor`` names user, session and organization; the role is looked up, so that the answer
    is of this instant. Channels: ``org``, ``me``, ``project:{id}``, ``asset:{id}``.
    """
    member = await find_authority(actor, actor.tenant)
    if member is None:
        raise OrganizationNotFound()
    member.require(Permission.REALTIME_SUBSCRIBE)
    if channel == "me" and actor.is_key:
        raise ChannelUnknown("The channel me is a person's; an API key has none.")
    if channel in ("org", "me"):
        return
    kind, _, id = channel.partition(":")
    if kind not in _BY_KIND or not id:
        raise ChannelUnknown()
    permission, query = _BY_KIND[kind]
    member.require(permission)
    await query(member, id)
