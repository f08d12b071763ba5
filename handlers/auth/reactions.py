"""What auth does because of other domains' events."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.auth.events import ApiKeyRevoked
from contracts.corp.events import OrganizationDeleted
from handlers.auth.documents import ApiKey


async def remove_the_keys(event: OrganizationDeleted, uow: UnitOfWork) -> None:
    keys = await ApiKey.find({"organization_id": event.organization_id}).to_list()
    for key in keys:
        uow.remove(key)
        uow.emit(ApiKeyRevoked(key_id=key.id), key, org=event.organization_id)
