"""What asset does because of other domains' events."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import DetachProject, PurgeAssets
from contracts.corp.events import (
    BrandDeleted,
    BrandKitUpdated,
    BrandUpdated,
    OrganizationDeleted,
    ProjectDeleted,
)
from handlers.asset.handlers.usage import keep_name, keep_uses


async def detach_the_assets(event: ProjectDeleted, uow: UnitOfWork) -> None:
    uow.send(DetachProject(project_id=event.project_id))


async def purge_the_assets(event: OrganizationDeleted, uow: UnitOfWork) -> None:
    uow.send(PurgeAssets(organization_id=event.organization_id))


async def note_what_a_kit_uses(event: BrandKitUpdated, uow: UnitOfWork) -> None:
    if event.asset_ids is not None:  # events of before do not say
        await keep_uses("brand_kit", event.brand_id, event.asset_ids, uow, name=event.name)


async def note_that_a_kit_is_gone(event: BrandDeleted, uow: UnitOfWork) -> None:
    await keep_uses("brand_kit", event.brand_id, (), uow)


async def rename_the_kit(event: BrandUpdated, uow: UnitOfWork) -> None:
    await keep_name("brand_kit", event.brand_id, event.name, uow)
