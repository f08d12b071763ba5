"""Projects: one function per command."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.corp.commands import (
    CreateProject,
    DeleteProject,
    UpdateProject,
)
from contracts.corp.errors import (
    BrandArchived,
    ProjectNameTaken,
    ProjectNotFound,
)
from contracts.corp.events import (
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
)
from contracts.corp.views import ProjectView
from handlers.corp.documents import Project
from handlers.corp.handlers.loading import load_brand
from handlers.corp.queries import (
    project_view,
)
from handlers.corp.rules import check_project_changes, name_key


async def create_project(command: CreateProject, uow: UnitOfWork) -> ProjectView:
    brand = await load_brand(command.brand_id, uow)
    if brand.status == "archived":
        raise BrandArchived()
    await _check_project_name(command.name, brand.id)
    uow.hold(brand)
    project = Project(
        id=uow.new_id("prj"),
        organization_id=uow.org,
        brand_id=brand.id,
        name=command.name,
        name_key=name_key(command.name),
    )
    uow.add(project)
    uow.emit(ProjectCreated(project_id=project.id, brand_id=brand.id, name=project.name), project)
    return project_view(project, brand.status)


async def update_project(command: UpdateProject, uow: UnitOfWork) -> ProjectView:
    project = await _project(command.project, uow)
    check_revision(project, command.if_revision)
    brand = await load_brand(project.brand_id, uow)
    check_project_changes(
        brand.status, project.status, command.status, more=command.name is not None
    )
    uow.hold(brand)
    if command.name is not None:
        if name_key(command.name) != project.name_key:
            await _check_project_name(command.name, project.brand_id, but=project.id)
        project.name, project.name_key = command.name, name_key(command.name)
    if command.status is not None:
        project.status = command.status
    uow.save(project)
    uow.emit(
        ProjectUpdated(
            project_id=project.id,
            brand_id=project.brand_id,
            name=project.name,
            status=project.status,
        ),
        project,
    )
    return project_view(project, brand.status)


async def delete_project(command: DeleteProject, uow: UnitOfWork) -> None:
    project = await _project(command.project, uow)
    check_revision(project, command.if_revision)
    uow.remove(project)
    uow.emit(ProjectDeleted(project_id=project.id, brand_id=project.brand_id), project)


async def _project(project: str, uow: UnitOfWork) -> Project:
    found = await Project.find_one({"_id": project, "organization_id": uow.org})
    if found is None:
        raise ProjectNotFound()
    return found


async def _check_project_name(name: str, brand: str, *, but: str = "") -> None:
    # But the project itself, which may have been given the name since it was loaded.
    taken = {"brand_id": brand, "name_key": name_key(name), "_id": {"$ne": but}}
    if await Project.find_one(taken) is not None:
        raise ProjectNameTaken()
