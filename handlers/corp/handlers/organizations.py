"""Organizations: one function per command."""

from __future__ import annotations

import secrets

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.actor import PermissionMissing
from contracts.corp.commands import (
    CreateOrganization,
    DeleteOrganization,
    TransferOrganization,
    UpdateOrganization,
)
from contracts.corp.errors import (
    OrganizationNotEmpty,
    OwnerAlready,
    SlugTaken,
)
from contracts.corp.events import (
    MemberAdded,
    MemberRemoved,
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationTransferred,
    OrganizationUpdated,
)
from contracts.corp.views import OrganizationView
from contracts.permissions import Permission, Role
from handlers.corp.documents import Brand, Invitation, Membership, Organization, Team
from handlers.corp.handlers.loading import (
    load_member,
    load_organization,
    load_person,
    new_membership,
)
from handlers.corp.handlers.standing import settle, standings_of
from handlers.corp.queries import (
    organization_view,
)
from handlers.corp.rules import slug_from


async def create_organization(command: CreateOrganization, uow: UnitOfWork) -> OrganizationView:
    person = await load_person(uow.actor.user, uow)
    slug = command.slug or slug_from(command.name)
    if await Organization.find_one({"slug": slug}) is not None:
        if command.slug is not None:
            raise SlugTaken()
        slug = f"{slug}-{secrets.token_hex(4)}"
    organization = Organization(id=uow.new_id("org"), name=command.name, slug=slug)
    uow.add(organization)
    member = new_membership(organization.id, person, Role.OWNER)
    uow.add(member)
    uow.emit(
        OrganizationCreated(organization_id=organization.id, name=organization.name, slug=slug),
        organization,
        org=organization.id,
    )
    uow.emit(MemberAdded(user_id=person.id, role=Role.OWNER), member, org=organization.id)
    return organization_view(organization, Role.OWNER)


async def update_organization(command: UpdateOrganization, uow: UnitOfWork) -> OrganizationView:
    organization = await load_organization(uow)
    check_revision(organization, command.if_revision)
    if command.slug is not None and command.slug != organization.slug:
        # But the organization itself, which may have been given the slug since it was loaded.
        taken = {"slug": command.slug, "_id": {"$ne": organization.id}}
        if await Organization.find_one(taken) is not None:
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
    return organization_view(organization, uow.actor.role)


async def delete_organization(command: DeleteOrganization, uow: UnitOfWork) -> None:
    organization = await load_organization(uow)
    check_revision(organization, command.if_revision)
    if await Brand.find_one({"organization_id": organization.id}) is not None:
        raise OrganizationNotEmpty()
    uow.remove(organization)
    for document in (Team, Invitation):
        for each in await document.find({"organization_id": organization.id}).to_list():
            uow.remove(each)
    for member in await Membership.find({"organization_id": organization.id}).to_list():
        uow.remove(member)
        uow.emit(MemberRemoved(user_id=member.user_id), member)
    uow.emit(OrganizationDeleted(organization_id=organization.id), organization)


async def transfer_organization(command: TransferOrganization, uow: UnitOfWork) -> OrganizationView:
    organization = await load_organization(uow)
    if uow.actor.is_key:
        raise PermissionMissing("An API key owns nothing that it could give away.")
    # The heir first: who finds them an owner by this actor's hand finds the actor none.
    heir = await load_member(command.user_id, uow)
    owner = await load_member(uow.actor.user, uow)
    if owner.role is not Role.OWNER:  # no longer, since they asked
        raise PermissionMissing(f"This needs {Permission.ORGANIZATION_TRANSFER.value}.")
    if heir.role is Role.OWNER:
        raise OwnerAlready()
    heir.role, owner.role = Role.OWNER, Role.ADMIN
    both = [heir, owner]
    settle(both, await standings_of(both, uow), uow, changed=True)
    uow.hold_id(Organization, organization.id)
    uow.emit(
        OrganizationTransferred(
            organization_id=organization.id, from_user_id=owner.user_id, to_user_id=heir.user_id
        ),
        organization,
    )
    return organization_view(organization, Role.ADMIN)
