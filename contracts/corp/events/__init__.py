"""What has happened in corp."""

from __future__ import annotations

from contracts.corp.events.brands import (
    BrandCreated,
    BrandDeleted,
    BrandKitUpdated,
    BrandRoleAdded,
    BrandRoleChanged,
    BrandRoleRemoved,
    BrandUpdated,
)
from contracts.corp.events.members import (
    InvitationAccepted,
    InvitationCreated,
    InvitationResent,
    InvitationRevoked,
    MemberAdded,
    MemberChanged,
    MemberRemoved,
)
from contracts.corp.events.organizations import (
    OrganizationCreated,
    OrganizationDeleted,
    OrganizationTransferred,
    OrganizationUpdated,
)
from contracts.corp.events.projects import (
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
)
from contracts.corp.events.teams import (
    TeamCreated,
    TeamDeleted,
    TeamMemberAdded,
    TeamMemberRemoved,
    TeamUpdated,
)

__all__ = [
    "BrandCreated",
    "BrandDeleted",
    "BrandKitUpdated",
    "BrandRoleAdded",
    "BrandRoleChanged",
    "BrandRoleRemoved",
    "BrandUpdated",
    "InvitationAccepted",
    "InvitationCreated",
    "InvitationResent",
    "InvitationRevoked",
    "MemberAdded",
    "MemberChanged",
    "MemberRemoved",
    "OrganizationCreated",
    "OrganizationDeleted",
    "OrganizationTransferred",
    "OrganizationUpdated",
    "ProjectCreated",
    "ProjectDeleted",
    "ProjectUpdated",
    "TeamCreated",
    "TeamDeleted",
    "TeamMemberAdded",
    "TeamMemberRemoved",
    "TeamUpdated",
]
