"""Who people are: the queries of corp and auth, in the shape that handlers/people.py gives them."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.actor import Actor
from contracts.auth.errors import UserNotFound
from contracts.corp.errors import InvitationNotFound, OrganizationNotFound
from contracts.corp.views import MemberView
from handlers.auth.queries import get_profile
from handlers.corp.queries import (
    find_person,
    get_invitation,
    get_organization,
    list_named_members,
    list_staff,
)
from handlers.people import Contact, Member

OURSELVES = "usr_grid8"
"""As whom it is asked: nobody's id."""


class People:
    """The directory of a process that has the documents of all domains."""

    async def members(self, organization: str, users: Sequence[str]) -> list[Member]:
        return [_member(each) for each in await list_named_members(_within(organization), users)]

    async def staff(self, organization: str) -> list[Member]:
        return [_member(each) for each in await list_staff(_within(organization))]

    async def invited(self, organization: str, invitation: str) -> str | None:
        try:
            found = await get_invitation(_within(organization), invitation)
        except InvitationNotFound:
            return None
        user = await find_person(_within(organization), found.email)
        # Who has not proved the address must not learn who invites its owner.
        return user if user is not None and await self.contact(user) is not None else None

    async def organization(self, organization: str) -> str | None:
        try:
            return (await get_organization(_within(organization))).name
        except OrganizationNotFound:
            return None

    async def contact(self, user: str) -> Contact | None:
        try:
            profile = await get_profile(Actor(user=user))
        except UserNotFound:
            return None
        return Contact(profile.email, profile.name) if profile.verified else None


def _within(organization: str) -> Actor:
    return Actor(user=OURSELVES, org=organization)


def _member(view: MemberView) -> Member:
    return Member(view.user_id, view.name, view.created_at)
