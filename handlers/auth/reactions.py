"""What auth does because of other domains' events."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.auth.events import ApiKeyRevoked, UserVerified
from contracts.corp.events import InvitationAccepted, OrganizationDeleted
from handlers.auth.documents import ApiKey, User


async def remove_the_keys(event: OrganizationDeleted, uow: UnitOfWork) -> None:
    keys = await ApiKey.find({"organization_id": event.organization_id}).to_list()
    for key in keys:
        uow.remove(key)
        uow.emit(ApiKeyRevoked(key_id=key.id), key, org=event.organization_id)


async def verify_the_invited(event: InvitationAccepted, uow: UnitOfWork) -> None:
    """Who accepts has the token that was mailed to the address of their account."""
    user = await User.get(event.member_id)
    if user is not None and not user.verified:
        user.verified = True
        uow.save(user)
        uow.emit(UserVerified(user_id=user.id), user)
