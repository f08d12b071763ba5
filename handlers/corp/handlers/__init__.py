"""One function per command: load, decide, stage."""

from __future__ import annotations

from handlers.corp.handlers.brand_roles import (
    add_brand_role,
    change_brand_role,
    remove_brand_role,
)
from handlers.corp.handlers.brands import (
    create_brand,
    delete_brand,
    update_brand,
    update_brand_kit,
)
from handlers.corp.handlers.invitations import (
    Invitations,
    accept_invitation,
    revoke_invitation,
)
from handlers.corp.handlers.members import Members, change_member, remove_member
from handlers.corp.handlers.organizations import (
    create_organization,
    delete_organization,
    transfer_organization,
    update_organization,
)
from handlers.corp.handlers.projects import create_project, delete_project, update_project
from handlers.corp.handlers.teams import (
    add_team_member,
    create_team,
    delete_team,
    remove_team_member,
    update_team,
)

__all__ = [
    "Invitations",
    "Members",
    "accept_invitation",
    "add_brand_role",
    "add_team_member",
    "change_brand_role",
    "change_member",
    "create_brand",
    "create_organization",
    "create_project",
    "create_team",
    "delete_brand",
    "delete_organization",
    "delete_project",
    "delete_team",
    "remove_brand_role",
    "remove_member",
    "remove_team_member",
    "revoke_invitation",
    "transfer_organization",
    "update_brand",
    "update_brand_kit",
    "update_organization",
    "update_project",
    "update_team",
]
