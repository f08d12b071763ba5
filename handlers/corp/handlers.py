"""One function per command: load, decide, stage."""

from __future__ import annotations

import secrets
from datetime import timedelta

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.corp.commands import (
    AddMember,
    ChangeMember,
    CreateBrand,
    CreateOrganization,
    CreateProject,
    DeleteBrand,
    DeleteOrganization,
    DeleteProject,
    RemoveMember,
    UpdateBrand,
    UpdateOrganization,
    UpdateProject,
)
from contracts.corp.errors import (
    AlreadyMember,
    BrandNameTaken,
    BrandNotEmpty,
    BrandNotFound,
    MemberNotFound,
    OrganizationNotEmpty,
    OrganizationNotFound,
    ProjectNameTaken,
    ProjectNotFound,
    SlugTaken,
    UserUnknown,
)
from contracts.corp.events import (
    BrandCreated,
    BrandDeleted,
    BrandUpdated,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationUpdated,
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
)
from contracts.corp.views import BrandView, MemberView, OrganizationView, ProjectView
from contracts.errors import Retry
from contracts.permissions import Permission, Role
from contracts.types import now
from handlers.corp.documents import Brand, Membership, Organization, Person, Project
from handlers.corp.queries import (
    brand_view,
    member_view,
    membership_id,
    organization_view,
    project_view,
)
from handlers.corp.rules import check_owner_remains, check_role_change, name_key, slug_from

PROJECTION_LAG = timedelta(seconds=2)
"""How long a new user may take to reach corp by event before an address counts as unknown."""


async def create_organization(command: CreateOrganization, uow: UnitOfWork) -> OrganizationView:
    person = await _person(uow.actor.user, uow)
    slug = command.slug or slug_from(command.name)
    if await Organization.find_one({"slug": slug}) is not None:
        if command.slug is not None:
            raise SlugTaken()
        slug = f"{slug}-{secrets.token_hex(4)}"
    organization = Organization(id=uow.new_id("org"), name=command.name, slug=slug)
    uow.add(organization)
    uow.add(_membership(organization.id, person, Role.OWNER))
    uow.emit(
        OrganizationCreated(organization_id=organization.id, name=organization.name, slug=slug),
        organization,
        org=organization.id,
    )
    uow.emit(MemberAdded(user_id=person.id, role=Role.OWNER), org=organization.id)
    return organization_view(organization, Role.OWNER)


async def update_organization(command: UpdateOrganization, uow: UnitOfWork) -> OrganizationView:
    organization = await _organization(uow)
    check_revision(organization, command.if_revision)
    if command.slug is not None and command.slug != organization.slug:
        if await Organization.find_one({"slug": command.slug}) is not None:
            raise SlugTaken()
        organization.slug = command.slug
    if command.name is not None:
        organization.name = command.name
    uow.save(organization)
    uow.emit(
        OrganizationUpdated(
            organization_id=organization.id, name=organization.name, slug=organization.slug
        ),
        organization,
    )
    return organization_view(organization, uow.actor.role or Role.VIEWER)


async def delete_organization(command: DeleteOrganization, uow: UnitOfWork) -> None:
    organization = await _organization(uow)
    check_revision(organization, command.if_revision)
    if await Brand.find_one({"organization_id": organization.id}) is not None:
        raise OrganizationNotEmpty()
    uow.remove(organization)
    for member in await Membership.find({"organization_id": organization.id}).to_list():
        uow.remove(member)
        uow.emit(MemberRemoved(user_id=member.user_id), member)
    uow.emit(OrganizationDeleted(organization_id=organization.id), organization)


async def add_member(command: AddMember, uow: UnitOfWork) -> MemberView:
    check_role_change(uow.actor.role or Role.VIEWER, command.role)
    person = await Person.find_one({"email": command.email})
    if person is None:
        _wait_for_projection(uow)
        raise UserUnknown()
    if await Membership.get(membership_id(uow.org, person.id)) is not None:
        raise AlreadyMember()
    if uow.rerun:
        await _organization(uow)
    uow.hold_id(Organization, uow.org)
    member = _membership(uow.org, person, command.role)
    uow.add(member)
    uow.emit(MemberAdded(user_id=person.id, role=command.role), member)
    return member_view(member)


async def change_member(command: ChangeMember, uow: UnitOfWork) -> MemberView:
    member = await _member(command.user, uow)
    check_revision(member, command.if_revision)
    check_role_change(uow.actor.role or Role.VIEWER, member.role, command.role)
    if command.role is not Role.OWNER:
        await _keep_an_owner(member, uow)
    member.role = command.role
    uow.save(member)
    uow.emit(MemberChanged(user_id=member.user_id, role=member.role), member)
    return member_view(member)


async def remove_member(command: RemoveMember, uow: UnitOfWork) -> None:
    member = await _member(command.user, uow)
    check_revision(member, command.if_revision)
    if member.user_id != uow.actor.user:
        uow.actor.require(Permission.MEMBER_WRITE)
        check_role_change(uow.actor.role or Role.VIEWER, member.role)
    await _keep_an_owner(member, uow)
    uow.remove(member)
    uow.emit(MemberRemoved(user_id=member.user_id), member)


async def create_brand(command: CreateBrand, uow: UnitOfWork) -> BrandView:
    if uow.rerun:
        await _check_brand_name(command.name, uow)
        await _organization(uow)
    uow.hold_id(Organization, uow.org)
    brand = Brand(
        id=uow.new_id("brd"),
        organization_id=uow.org,
        name=command.name,
        name_key=name_key(command.name),
    )
    uow.add(brand)
    uow.emit(BrandCreated(brand_id=brand.id, name=brand.name), brand)
    return brand_view(brand)


async def update_brand(command: UpdateBrand, uow: UnitOfWork) -> BrandView:
    brand = await _brand(command.brand, uow)
    check_revision(brand, command.if_revision)
    if command.name is not None:
        if name_key(command.name) != brand.name_key:
            await _check_brand_name(command.name, uow)
        brand.name, brand.name_key = command.name, name_key(command.name)
    uow.save(brand)
    uow.emit(BrandUpdated(brand_id=brand.id, name=brand.name), brand)
    return brand_view(brand)


async def delete_brand(command: DeleteBrand, uow: UnitOfWork) -> None:
    brand = await _brand(command.brand, uow)
    check_revision(brand, command.if_revision)
    if await Project.find_one({"brand_id": brand.id}) is not None:
        raise BrandNotEmpty()
    uow.remove(brand)
    uow.emit(BrandDeleted(brand_id=brand.id), brand)


async def create_project(command: CreateProject, uow: UnitOfWork) -> ProjectView:
    brand = await _brand(command.brand_id, uow)
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
    return project_view(project)


async def update_project(command: UpdateProject, uow: UnitOfWork) -> ProjectView:
    project = await _project(command.project, uow)
    check_revision(project, command.if_revision)
    if command.name is not None:
        if name_key(command.name) != project.name_key:
            await _check_project_name(command.name, project.brand_id)
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
    return project_view(project)


async def delete_project(command: DeleteProject, uow: UnitOfWork) -> None:
    project = await _project(command.project, uow)
    check_revision(project, command.if_revision)
    uow.remove(project)
    uow.emit(ProjectDeleted(project_id=project.id, brand_id=project.brand_id), project)


def _membership(organization: str, person: Person, role: Role) -> Membership:
    return Membership(
        id=membership_id(organization, person.id),
        organization_id=organization,
        user_id=person.id,
        email=person.email,
        name=person.name,
        role=role,
    )


def _wait_for_projection(uow: UnitOfWork) -> None:
    """Somebody who has just registered reaches corp by event, a moment later."""
    if now() - uow.message.time < PROJECTION_LAG:
        raise Retry(0.2, "the user may still be on the way")


async def _person(user: str, uow: UnitOfWork) -> Person:
    person = await Person.get(user)
    if person is None:
        _wait_for_projection(uow)
        raise UserUnknown()
    return person


async def _organization(uow: UnitOfWork) -> Organization:
    organization = await Organization.get(uow.org)
    if organization is None:
        raise OrganizationNotFound()
    return organization


async def _member(user: str, uow: UnitOfWork) -> Membership:
    member = await Membership.get(membership_id(uow.org, user))
    if member is None:
        raise MemberNotFound()
    return member


async def _keep_an_owner(member: Membership, uow: UnitOfWork) -> None:
    owners = await Membership.find({"organization_id": uow.org, "role": Role.OWNER}).to_list()
    check_owner_remains(member.role, len(owners))
    if member.role is Role.OWNER:
        # Two owners leaving at once would each see the other stay.
        for other in owners:
            if other.id != member.id:
                uow.hold(other)


async def _brand(brand: str, uow: UnitOfWork) -> Brand:
    found = await Brand.find_one({"_id": brand, "organization_id": uow.org})
    if found is None:
        raise BrandNotFound()
    return found


async def _check_brand_name(name: str, uow: UnitOfWork) -> None:
    taken = {"organization_id": uow.org, "name_key": name_key(name)}
    if await Brand.find_one(taken) is not None:
        raise BrandNameTaken()


async def _project(project: str, uow: UnitOfWork) -> Project:
    found = await Project.find_one({"_id": project, "organization_id": uow.org})
    if found is None:
        raise ProjectNotFound()
    return found


async def _check_project_name(name: str, brand: str) -> None:
    if await Project.find_one({"brand_id": brand, "name_key": name_key(name)}) is not None:
        raise ProjectNameTaken()
