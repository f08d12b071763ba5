"""The brand a request is about, and whether the actor may do there what it asks for.

A route that names a brand, a project or an asset, in its path or in what is sent, is about a
brand: derived from the names, so that no route can leave it out. Whatever belongs to no brand
is the organization's, and so is what does not exist: nobody learns whether it does. A command
about many assets says so with ``needs``, one that finds its assets itself with ``reaches``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache

from contracts.actor import Actor, PermissionMissing
from contracts.base import Command
from contracts.permissions import IN_BRANDS, Permission
from gateway.table import Allow, Route
from handlers.asset.queries import (
    find_project_of_asset,
    find_project_of_presigned,
    find_projects_of_assets,
)
from handlers.corp.queries import (
    find_brand_of_project,
    find_brands_of_projects,
    find_projects_of_brands,
)

Find = Callable[[Actor, str], Awaitable[str | None]]


async def _itself(actor: Actor, brand: str) -> str | None:
    return brand


async def _brand_of_asset(actor: Actor, asset: str) -> str | None:
    project = await find_project_of_asset(actor, asset)
    return None if project is None else await find_brand_of_project(actor, project)


async def _brand_of_presigned(actor: Actor, upload: str) -> str | None:
    project = await find_project_of_presigned(actor, upload)
    return None if project is None else await find_brand_of_project(actor, project)


BRAND_OF: Mapping[str, Find] = {
    "brand": _itself,
    "project": find_brand_of_project,
    "asset": _brand_of_asset,
    "presigned": _brand_of_presigned,
}
"""Path parameter → the brand of what it names."""

BRAND_OF_FIELD: Mapping[str, Find] = {
    "brand_id": _itself,
    "project_id": find_brand_of_project,
    "upload_id": _brand_of_presigned,
}
"""Field of a command, or parameter of an upload → the brand of what it names."""


def in_path(route: Route) -> str | None:
    """The path parameter that says the brand; the last, where one lies within another."""
    return next((name for name in reversed(route.in_path) if name in BRAND_OF), None)


def in_fields(route: Route) -> list[str]:
    """The fields of the body, or parameters of a request that is no query, that say it."""
    fields = list(route.body_fields)
    if route.kind == "custom" and route.method != "GET" and route.parameters is not None:
        fields += route.parameters.model_fields
    return [name for name in fields if name in BRAND_OF_FIELD and name not in route.in_path]


@cache
def is_about_a_brand(route: Route) -> bool:
    """Whether the permission is needed in a brand, and not in the organization."""
    return route.allow in IN_BRANDS and (
        route.placed or in_path(route) is not None or bool(in_fields(route))
    )


def differs_in_brands(actor: Actor, allow: Allow) -> bool:
    """Whether the brand can make a difference: for most actors it cannot, and is not looked up."""
    return bool(actor.brand_roles) and actor.scopes is None and allow in IN_BRANDS


def depends_on_brand(route: Route, actor: Actor) -> bool:
    """Whether the actor may use a route in one brand perhaps, and not in another."""
    return is_about_a_brand(route) and differs_in_brands(actor, route.allow)


async def act_in_path(route: Route, actor: Actor | None, path: Mapping[str, str]) -> Actor | None:
    """The actor with their role in the brand that the path is about.

    Raises PermissionMissing where they may not. Where only what is sent says the brand, it must
    be possible in some brand for them.
    """
    if actor is None or not depends_on_brand(route, actor):
        return actor
    assert isinstance(route.allow, Permission)
    name = in_path(route)
    if name is not None:
        return await _act_in(actor, route.allow, await BRAND_OF[name](actor, path[name]))
    if not any(each.may(route.allow) for each in (actor, *map(actor.in_brand, actor.brand_roles))):
        actor.require(route.allow)
    return actor


async def act_in_body(
    route: Route, actor: Actor | None, acting: Actor | None, command: Command
) -> Actor | None:
    """The same for what the body names, and for what becomes the organization's by it.

    ``actor`` is whole, ``acting`` as the path has it; who moves a thing needs the permission
    on both sides, and acts as where it comes from.
    """
    if actor is None or not depends_on_brand(route, actor):
        return acting
    stays = in_path(route) is not None or route.needs is not None
    for field in in_fields(route):
        if stays and field not in command.model_fields_set:
            continue  # it stays where it is
        found = await act_in(actor, route.allow, field, getattr(command, field))
        if in_path(route) is None:
            acting = found
    return acting


async def judge_reach(route: Route, actor: Actor | None, command: Command) -> Command:
    """The command, with those of the assets it names that the actor may not change.

    Raises PermissionMissing where a command that names none would change such.
    """
    if actor is None or (route.needs is None and route.reaches is None):
        return command
    permission = route.needs(command) if route.needs is not None else route.allow
    assert isinstance(permission, Permission)
    if not differs_in_brands(actor, permission):
        actor.require(permission)
        return command
    if route.needs is not None:
        projects = await find_projects_of_assets(actor, getattr(command, "ids"))  # noqa: B009
        brands = await find_brands_of_projects(actor, [each for each in projects.values() if each])
        barred = [
            asset
            for asset, project in projects.items()
            if not actor.in_brand(brands.get(project or "")).may(permission)
        ]
        return command.model_copy(update={"barred": tuple(barred)})
    assert route.reaches is not None
    closed = [brand for brand in actor.brand_roles if not actor.in_brand(brand).may(permission)]
    within = await find_projects_of_brands(actor, closed)
    if within and await route.reaches(actor, command, within):
        raise PermissionMissing(
            f"This needs the permission {permission.value} in the brand of each asset it changes."
        )
    return command


async def act_in(actor: Actor, allow: Allow, field: str, value: str | None) -> Actor:
    """The actor in the brand of what a field names, of none where it is null.

    Raises PermissionMissing where they may not.
    """
    if not differs_in_brands(actor, allow):
        return actor
    assert isinstance(allow, Permission)
    brand = None if value is None else await BRAND_OF_FIELD[field](actor, value)
    return await _act_in(actor, allow, brand)


async def _act_in(actor: Actor, permission: Permission, brand: str | None) -> Actor:
    acting = actor.in_brand(brand)
    if not acting.may(permission):
        raise PermissionMissing(f"This needs the permission {permission.value} there.")
    return acting
