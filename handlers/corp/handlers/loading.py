"""What several handlers load first."""

from __future__ import annotations

from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.corp.errors import (
    BrandNotFound,
    MemberNotFound,
    OrganizationNotFound,
    TeamNotFound,
    UserUnknown,
)
from contracts.errors import Retry
from contracts.permissions import Role
from contracts.types import now
from handlers.corp.documents import Brand, Membership, Organization, Person, Team
from handlers.corp.queries import (
    membership_id,
)

PROJECTION_LAG = timedelta(seconds=2)
"""How long a new user may take to reach corp by event before an address counts as unknown."""


async def load_organization(uow: UnitOfWork) -> Organization:
    """The organization acted in. Raises OrganizationNotFound."""
    organization = await Organization.get(uow.org)
    if organization is None:
        raise OrganizationNotFound()
    return organization


async def load_brand(brand: str, uow: UnitOfWork) -> Brand:
    """One of the organization's brands. Raises BrandNotFound."""
    found = await Brand.find_one({"_id": brand, "organization_id": uow.org})
    if found is None:
        raise BrandNotFound()
    return found


async def load_member(user: str, uow: UnitOfWork) -> Membership:
    """One of the organization's members. Raises MemberNotFound."""
    found = await Membership.get(membership_id(uow.org, user))
    if found is None:
        raise MemberNotFound()
    return found


async def load_team(team: str, uow: UnitOfWork) -> Team:
    """One of the organization's teams. Raises TeamNotFound."""
    found = await Team.find_one({"_id": team, "organization_id": uow.org})
    if found is None:
        raise TeamNotFound()
    return found


async def load_person(user: str, uow: UnitOfWork) -> Person:
    """What corp knows of a user. Raises Retry while that may be on its way, then UserUnknown."""
    person = await Person.get(user)
    if person is None:
        wait_for_projection(uow)
        raise UserUnknown()
    return person


def new_membership(organization: str, person: Person, role: Role) -> Membership:
    """A membership that is not stored yet."""
    return Membership(
        id=membership_id(organization, person.id),
        organization_id=organization,
        user_id=person.id,
        email=person.email,
        name=person.name,
        role=role,
    )


def wait_for_projection(uow: UnitOfWork) -> None:
    """Somebody who has just registered reaches corp by event, a moment later."""
    if now() - uow.message.time < PROJECTION_LAG:
        raise Retry(0.2, "the user may still be on the way")
