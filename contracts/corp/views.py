"""What corp answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.base import View
from contracts.corp.types import InvitationStatus, KitColors, KitFonts, KitLogos, Status
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
    role: Role = Field(description="The member's own.")
    effective_role: Role = Field(description="The strongest of their own and their teams'.")
    brand_roles: dict[str, Role] = Field(
        description="Brands, by id, where another role counts than the effective one."
    )
    teams: tuple[Id, ...]
    created_at: Instant
    revision: Revision


class BrandView(View):
    """A brand."""

    id: Id
    name: str
    status: Status
    created_at: Instant
    revision: Revision


class ProjectView(View):
    """A project of a brand."""

    id: Id
    brand_id: Id
    name: str
    status: Status
    archived_with: Literal["brand"] | None = Field(
        description="What it is archived with, and restored with; null when it is by itself."
    )
    created_at: Instant
    revision: Revision


class BrandKitView(View):
    """What a brand looks like. Its revision is the brand's."""

    brand_id: Id
    colors: KitColors
    fonts: KitFonts
    logos: KitLogos
    revision: Revision


class BrandRoleView(View):
    """The role of a member or a team in a brand."""

    brand_id: Id
    holder: Id
    kind: Literal["user", "team"]
    name: str
    role: Role
    created_at: Instant
    revision: Revision


class TeamView(View):
    """A team: members who have its role, and its roles in brands."""

    id: Id
    name: str
    role: Role | None
    members: int
    created_at: Instant
    revision: Revision


class InvitationView(View):
    """An invitation to an organization."""

    id: Id
    email: str
    role: Role
    team_ids: tuple[Id, ...]
    status: InvitationStatus
    invited_by: Id
    sent_at: Instant
    expires_at: Instant
    created_at: Instant
    revision: Revision
