"""What asset does because of other domains' events."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.asset.commands import DetachProject, PurgeAssets
from contracts.corp.events import OrganizationDeleted, ProjectDeleted


async def detach_the_assets(event: ProjectDeleted, uow: UnitOfWork) -> None:
    uow.send(DetachProject(project_id=event.project_id))


async def purge_the_assets(event: OrganizationDeleted, uow: UnitOfWork) -> None:
    uow.send(PurgeAssets(organization_id=event.organization_id))
