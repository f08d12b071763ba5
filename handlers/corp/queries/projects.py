"""Reads of projects. One in an archived brand counts as archived."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.corp.errors import BrandArchived, ProjectArchived, ProjectNotFound
from contracts.corp.types import Status
from contracts.corp.views import ProjectView
from handlers.corp.documents import Brand, Project
from handlers.corp.rules import archived_with


def project_view(project: Project, brand: Status) -> ProjectView:
    """``brand`` is the status of the project's brand."""
    status, because = archived_with(brand, project.status)
    return ProjectView(
        id=project.id,
        brand_id=project.brand_id,
        name=project.name,
        status=status,
        archived_with=because,
        created_at=project.created_at,
        revision=project.revision,
    )


async def list_projects(
    actor: Actor,
    cursor: Cursor,
    brand_id: str | None = None,
    status: Status | None = None,
) -> Page[ProjectView]:
    """Projects, optionally of one brand or status."""
    archived = await _archived_brands(actor)
    wanted: dict[str, Any] = {"organization_id": actor.tenant}
    if brand_id is not None:
        wanted["brand_id"] = brand_id
    if status == "archived":
        wanted["$or"] = [{"status": "archived"}, {"brand_id": {"$in": archived}}]
    elif status == "active":
        wanted = {"$and": [wanted, {"status": "active", "brand_id": {"$nin": archived}}]}
    return await page_of(
        Project,
        wanted,
        cursor,
        lambda project: project_view(
            project, "archived" if project.brand_id in archived else "active"
        ),
    )


async def get_project(actor: Actor, project: str) -> ProjectView:
    """One project. Raises ProjectNotFound, also for another organization's."""
    found = await Project.find_one({"_id": project, "organization_id": actor.tenant})
    if found is None:
        raise ProjectNotFound()
    brand = await Brand.get_pymongo_collection().find_one({"_id": found.brand_id}, {"status": 1})
    return project_view(found, (brand or {}).get("status", "active"))


async def get_open_project(actor: Actor, project: str) -> ProjectView:
    """One project that takes assets. Raises ProjectNotFound, ProjectArchived, BrandArchived."""
    view = await get_project(actor, project)
    if view.archived_with is not None:
        raise BrandArchived()
    if view.status == "archived":
        raise ProjectArchived()
    return view


async def find_brand_of_project(actor: Actor, project: str) -> str | None:
    """The brand a project belongs to; None when there is no such project."""
    return (await find_brands_of_projects(actor, [project])).get(project)


async def find_brands_of_projects(actor: Actor, projects: Iterable[str]) -> dict[str, str]:
    """Project → the brand it belongs to; without those that are not there."""
    wanted = {"_id": {"$in": list(set(projects))}, "organization_id": actor.tenant}
    found = Project.get_pymongo_collection().find(wanted, {"brand_id": 1})
    return {each["_id"]: each["brand_id"] async for each in found}


async def find_projects_of_brands(actor: Actor, brands: Iterable[str]) -> list[str]:
    """The ids of all projects of some brands."""
    wanted = {"organization_id": actor.tenant, "brand_id": {"$in": list(brands)}}
    return [each["_id"] async for each in Project.get_pymongo_collection().find(wanted, {"_id": 1})]


async def _archived_brands(actor: Actor) -> list[str]:
    wanted = {"organization_id": actor.tenant, "status": "archived"}
    found = Brand.get_pymongo_collection().find(wanted, {"_id": 1})
    return [each["_id"] async for each in found]
