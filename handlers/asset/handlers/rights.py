"""Telling that rights expire: once each, when it is time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import TellRights
from contracts.asset.events import RightsExpired, RightsExpiryAnnounced
from contracts.types import now
from handlers.asset.documents import Asset


@dataclass(frozen=True, slots=True)
class RightsTeller:
    """The handler, with how long before an expiry it is told; not at all where that is nothing."""

    notice: timedelta

    async def tell_rights(self, command: TellRights, uow: UnitOfWork) -> None:
        asset = await Asset.get(command.asset)
        if asset is None or asset.trashed_at is not None or asset.rights_due is None:
            return  # extended, told, or gone since it was found
        rights, at = asset.rights, now()
        expires = asset.rights_due
        kind: type[RightsExpired | RightsExpiryAnnounced]
        if expires <= at:
            kind, asset.rights_due, asset.rights_told = RightsExpired, None, None
        elif expires <= at + self.notice and asset.rights_told is None:
            kind, asset.rights_told = RightsExpiryAnnounced, "expiring"
        else:
            return
        uow.save(asset)
        uow.emit(
            kind(
                asset_id=asset.id,
                project_id=asset.project_id,
                name=asset.name,
                territories=rights.territories if rights else None,
                expires_at=expires,
                used_by=asset.uses,
                uploaded_by=asset.created_by,
            ),
            asset,
            org=asset.organization_id,
        )
