"""Emptying the trash: for who may remove for good whatever is in it."""

from __future__ import annotations

from aiohttp import web

from contracts.actor import Actor, PermissionMissing
from contracts.asset.commands import EmptyTrash
from contracts.permissions import Permission
from gateway import table
from gateway.dispatch import carry_out
from gateway.limits import parse_parameters
from gateway.state import Gateway

TRASH = "/v1/orgs/{org}/trash"

EMPTY = table.command("DELETE", TRASH, EmptyTrash, allow=Permission.ASSET_DELETE)


async def empty_trash(request: web.Request, gateway: Gateway, actor: Actor) -> web.Response:
    """Remove everything that is in the trash for good; large ones take a while."""
    parse_parameters(request, None)
    if actor.scopes is None:
        # In it is what was in any brand, and it is not looked through before it goes.
        for brand in actor.brand_roles:
            if not actor.in_brand(brand).may(Permission.ASSET_DELETE):
                raise PermissionMissing(
                    "This needs the permission asset:delete in every brand; "
                    "remove what you may one by one."
                )
    return await carry_out(
        request, EMPTY, gateway, actor, EmptyTrash(), (request.method, request.path)
    )
