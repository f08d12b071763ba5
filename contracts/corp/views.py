"""What corp answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.base import View
from contracts.permissions import Role
from contracts.types import Id, Instant, Revision


class OrganizationView(View):
    """An organization, and the caller's role in it."""

    id: Id
    name: str
    slug: str
    role: Role | None = Field(None, description="Absent to an API key.")
    created_at: Instant
    revision: Revision


class MembershipView(View):
    """That the signed-in user belongs to an organization."""

    organization_id: Id
    name: str
    slug: str
    role: Role


class MemberView(View):
    """A member of an organization."""

    user_id: Id
    email: str
    name: str
    role: Role
    created_at: Instant
    revision: Revision


class BrandView(View):
    """A brand."""

    id: Id
    name: str
    created_at: Instant
    revision: Revision


class ProjectView(View):
    """A project of a brand."""

    id: Id
    brand_id: Id
    name: str
    status: Literal["active", "archived"]
    created_at: Instant
    revision: Revision
