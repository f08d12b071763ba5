"""Corp's table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bus.handling import Handler
from contracts.auth.events import UserRegistered, UserUpdated
from contracts.base import Command, Event
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
from handlers.corp import handlers, reactions
from handlers.domain import Context, Domain

COMMANDS: dict[type[Command], Handler] = {
    CreateOrganization: handlers.create_organization,
    UpdateOrganization: handlers.update_organization,
    DeleteOrganization: handlers.delete_organization,
    AddMember: handlers.add_member,
    ChangeMember: handlers.change_member,
    RemoveMember: handlers.remove_member,
    CreateBrand: handlers.create_brand,
    UpdateBrand: handlers.update_brand,
    DeleteBrand: handlers.delete_brand,
    CreateProject: handlers.create_project,
    UpdateProject: handlers.update_project,
    DeleteProject: handlers.delete_project,
}

REACTIONS: dict[type[Event], Handler] = {
    UserRegistered: reactions.remember_the_person,
    UserUpdated: reactions.rename_the_person,
}


@asynccontextmanager
async def wire(context: Context) -> AsyncIterator[Domain]:
    """Corp needs nothing but MongoDB."""
    yield Domain("corp", COMMANDS, REACTIONS)
