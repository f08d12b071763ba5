"""What may be asked of corp. The organization is the envelope's, except where one is made."""

from __future__ import annotations

from contracts.corp.commands.brands import (
    AddBrandRole,
    ChangeBrandRole,
    CreateBrand,
    DeleteBrand,
    RemoveBrandRole,
    UpdateBrand,
    UpdateBrandKit,
)
from contracts.corp.commands.members import (
    AcceptInvitation,
    AddMember,
    ChangeMember,
    CreateInvitation,
    RemoveMember,
    ResendInvitation,
    RevokeInvitation,
)
from contracts.corp.commands.organizations import (
    CreateOrganization,
    DeleteOrganization,
    TransferOrganization,
    UpdateOrganization,
)
from contracts.corp.commands.projects import (
    CreateProject,
    DeleteProject,
    UpdateProject,
)
from contracts.corp.commands.teams import (
    AddTeamMember,
    CreateTeam,
    DeleteTeam,
    RemoveTeamMember,
    UpdateTeam,
)

__all__ = [
    "AcceptInvitation",
    "AddBrandRole",
    "AddMember",
    "AddTeamMember",
    "ChangeBrandRole",
    "ChangeMember",
    "CreateBrand",
    "CreateInvitation",
    "CreateOrganization",
    "CreateProject",
    "CreateTeam",
    "DeleteBrand",
    "DeleteOrganization",
    "DeleteProject",
    "DeleteTeam",
    "RemoveBrandRole",
    "RemoveMember",
    "RemoveTeamMember",
    "ResendInvitation",
    "RevokeInvitation",
    "TransferOrganization",
    "UpdateBrand",
    "UpdateBrandKit",
    "UpdateOrganization",
    "UpdateProject",
    "UpdateTeam",
]
