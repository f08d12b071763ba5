"""Versions: a newer one is shown once it is ready, an earlier one may be restored.

What an asset shows is never taken away by what is not ready: a version waits beside its asset
while it is processed, takes its place when it is ready, and stays beside it when it has failed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.asset.commands import AddVersion, ProcessAsset, RemoveVersion, RestoreVersion
from contracts.asset.errors import (
    VersionCurrent,
    VersionKindDiffers,
    VersionNotFound,
    VersionNotReady,
    VersionsExhausted,
    VersionUnchanged,
)
from contracts.asset.events import (
    AssetReady,
    VersionAdded,
    VersionFailed,
    VersionReady,
    VersionRemoved,
    VersionRestored,
)
from contracts.asset.types import LAST_VERSION, AssetKind
from contracts.asset.views import VersionView
from contracts.types import now
from handlers.asset.documents import Asset, AssetVersion, Media
from handlers.asset.handlers.loading import load_asset
from handlers.asset.handlers.references import References
from handlers.asset.queries import former_view, shown_view
from handlers.asset.rules import version_id


@dataclass(frozen=True, slots=True)
class Versions:
    """The handlers, with how many versions an asset has at most."""

    limit: int

    async def add_version(self, command: AddVersion, uow: UnitOfWork) -> VersionView:
        asset = await load_asset(command.asset, uow)
        check_revision(asset, command.if_revision)
        await _check_newer(asset, command)
        references = References(uow)
        blob = await references.take(command)
        asset.last_number = _next(asset)
        asset.versions += 1
        version = AssetVersion(
            id=version_id(asset.id, asset.last_number),
            organization_id=asset.organization_id,
            asset_id=asset.id,
            number=asset.last_number,
            blob_id=blob.id,
            kind=command.kind,
            media_type=command.media_type,
            bytes=command.bytes,
            sha256=command.sha256,
            created_by=uow.message.actor,
        )
        uow.add(version)
        await self._drop_oldest(asset, uow, references)
        uow.save(asset)
        await references.settle()
        uow.emit(
            VersionAdded(
                asset_id=asset.id,
                project_id=asset.project_id,
                number=version.number,
                kind=version.kind,
                media_type=version.media_type,
                bytes=version.bytes,
                sha256=version.sha256,
            ),
            asset,
        )
        uow.send(ProcessAsset(asset=asset.id, version=version.number))
        return former_view(version, asset)

    async def restore_version(self, command: RestoreVersion, uow: UnitOfWork) -> VersionView:
        asset = await load_asset(command.asset, uow)
        check_revision(asset, command.if_revision)
        version = await _other(asset, command.version)
        if version.status != "ready":
            raise VersionNotReady()
        if version.sha256 == asset.sha256:
            raise VersionUnchanged(f"Version {asset.number}, the current one, has the same bytes.")
        references = References(uow)
        references.share(version.blob_id)
        asset.last_number = _next(asset)
        asset.versions += 1
        await self._show(asset, version, asset.last_number, uow, references)
        if not any(change.document is version for change in uow.removes):
            uow.hold(version)  # its renditions are those of now
        asset.shown_since, asset.shown_by = now(), uow.message.actor
        uow.emit(
            VersionRestored(
                asset_id=asset.id,
                project_id=asset.project_id,
                number=asset.number,
                restored=version.number,
            ),
            asset,
        )
        uow.emit(_ready(asset), asset)
        await references.settle()
        return shown_view(asset)

    async def remove_version(self, command: RemoveVersion, uow: UnitOfWork) -> None:
        asset = await load_asset(command.asset, uow)
        check_revision(asset, command.if_revision)
        version = await _other(asset, command.version)
        references = References(uow)
        _remove(asset, version, uow, references)
        uow.save(asset)
        await references.settle()

    async def conclude(
        self, asset: Asset, version: AssetVersion, media: Media, uow: UnitOfWork
    ) -> None:
        """Stage what processing a version has come to."""
        version.kind = media.kind or version.kind
        if not media.error_code and not _fits(asset, version.kind):
            media = media.model_copy(
                update={
                    "error_code": VersionKindDiffers.code,
                    "error_detail": f"The asset is of kind {asset.kind}, this {version.kind}.",
                }
            )
        waited_for = version.status == "processing"  # else it is only made anew
        version.media = media
        version.status = "failed" if media.error_code else "ready"
        about = {"asset_id": asset.id, "project_id": asset.project_id, "number": version.number}
        org = asset.organization_id
        if media.error_code:
            uow.save(version)
            failed = {
                "code": media.error_code,
                "detail": media.error_detail or "",
                "name": asset.name,
                "uploaded_by": version.created_by,
            }
            uow.emit(VersionFailed.model_validate({**about, **failed}), version, org=org)
            return
        current = version.number > asset.number
        if current:
            references = References(uow)
            uow.remove(version)
            await self._show(asset, version, version.number, uow, references)
            asset.shown_since, asset.shown_by = version.created_at, version.created_by
            await references.settle()
        else:
            uow.save(version)
        uow.emit(VersionReady.model_validate({**about, "current": current}), org=org)
        if current:
            uow.emit(_ready(asset, version if waited_for else None), asset, org=org)

    async def _show(
        self,
        asset: Asset,
        version: AssetVersion,
        number: int,
        uow: UnitOfWork,
        references: References,
    ) -> None:
        """Stage that the asset shows a version's content as its version ``number`` from now on."""
        former = AssetVersion(
            id=version_id(asset.id, asset.number),
            organization_id=asset.organization_id,
            asset_id=asset.id,
            number=asset.number,
            blob_id=asset.blob_id,
            kind=asset.kind,
            media_type=asset.media_type,
            bytes=asset.bytes,
            sha256=asset.sha256,
            status=asset.status,
            media=asset.media,
            created_by=asset.shown_by,
            created_at=asset.shown_since or asset.created_at,
        )
        asset.number = number
        asset.blob_id = version.blob_id
        asset.kind = version.kind
        asset.media_type = version.media_type
        asset.bytes = version.bytes
        asset.sha256 = version.sha256
        asset.status = version.status
        asset.media = version.media
        await self._drop_oldest(asset, uow, references, loaded=version)
        if asset.versions > self.limit:
            asset.versions -= 1
            references.give_back(former.blob_id)
            uow.emit(_removed(asset, former.number), org=asset.organization_id)
        else:
            uow.add(former)
        uow.save(asset)

    async def _drop_oldest(
        self,
        asset: Asset,
        uow: UnitOfWork,
        references: References,
        loaded: AssetVersion | None = None,
    ) -> None:
        """Stage the end of the oldest versions beyond the limit.

        Of those before the current, and then of those after it that have failed: what waits to
        be looked into may yet be shown.
        """
        earlier = {"number": {"$lt": asset.number}}
        failed = {"number": {"$gt": asset.number}, "status": "failed"}
        for those in (earlier, failed):
            over = asset.versions - self.limit
            if over <= 0:
                return
            wanted = {"asset_id": asset.id, **those}
            for version in await AssetVersion.find(wanted).sort("+_id").limit(over).to_list():
                same = loaded is not None and loaded.id == version.id
                _remove(asset, loaded if same and loaded else version, uow, references)


def _remove(asset: Asset, version: AssetVersion, uow: UnitOfWork, references: References) -> None:
    asset.versions -= 1
    uow.remove(version)
    references.give_back(version.blob_id)
    uow.emit(_removed(asset, version.number), org=asset.organization_id)


def _removed(asset: Asset, number: int) -> VersionRemoved:
    return VersionRemoved(asset_id=asset.id, project_id=asset.project_id, number=number)


def _ready(asset: Asset, waited_for: AssetVersion | None = None) -> AssetReady:
    media = asset.media or Media(pipeline=0)
    return AssetReady(
        asset_id=asset.id,
        project_id=asset.project_id,
        name=asset.name,
        kind=asset.kind,
        media_type=asset.media_type,
        width=media.width,
        height=media.height,
        renditions=tuple(rendition.name for rendition in media.renditions),
        version=asset.number,
        uploaded_by=waited_for.created_by if waited_for else None,
        uploaded_at=waited_for.created_at if waited_for else None,
    )


def _next(asset: Asset) -> int:
    if asset.last_number >= LAST_VERSION:
        raise VersionsExhausted(f"There were {LAST_VERSION}; upload it as another asset.")
    return asset.last_number + 1


async def _check_newer(asset: Asset, command: AddVersion) -> None:
    """Raise VersionUnchanged or VersionKindDiffers."""
    newest: Asset | AssetVersion = asset
    if asset.number != asset.last_number:
        waiting = await AssetVersion.get(version_id(asset.id, asset.last_number))
        newest = waiting or asset
    if newest.sha256 == command.sha256:
        raise VersionUnchanged(
            f"Version {newest.number}, the newest, has the same bytes; it is {newest.status}."
        )
    # Whether an archive is an ad is seen when it is looked into.
    ad = (asset.kind, command.kind) == ("html5", "archive")
    if not ad and not _fits(asset, command.kind):
        raise VersionKindDiffers(f"The asset is of kind {asset.kind}, the upload {command.kind}.")


def _fits(asset: Asset, kind: AssetKind) -> bool:
    """Whether it is the same kind of thing. What has failed may have been taken for another."""
    return kind == asset.kind or asset.status != "ready"


async def _other(asset: Asset, number: int) -> AssetVersion:
    """A version the asset does not show. Raises VersionCurrent or VersionNotFound."""
    if number == asset.number:
        raise VersionCurrent()
    found = await AssetVersion.get(version_id(asset.id, number))
    if found is None:
        raise VersionNotFound()
    return found
