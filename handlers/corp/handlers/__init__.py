"""One function per command: load, decide, stage."""

from __future__ import annotations

from handlers.corp.handlers.brands import create_brand, delete_brand, update_brand
from handlers.corp.handlers.members import add_member, change_member, remove_member
from handlers.corp.handlers.organizations import (
    create_organization,
    delete_organization,
    update_organization,
)
from handlers.corp.handlers.projects import create_project, delete_project, update_project

__all__ = [
    "add_member",
    "change_member",
    "create_brand",
    "create_organization",
    "create_project",
    "delete_brand",
    "delete_organization",
    "delete_project",
    "remove_member",
    "update_brand",
    "update_organization",
    "update_project",
]
