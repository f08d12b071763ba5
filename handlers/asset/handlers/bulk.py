"""Many assets at once: each for itself, and all in one unit.

A unit of 500 is one transaction. Whoever changes one of the assets at the same time has the
whole handler run again, which costs two reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.actor import PermissionMissing
from contracts.asset.commands import ChangeAssets, RenameTag, RetagAssets
from contracts.asset.errors import AssetNotFound, BulkInvalid, TagUnchanged, TooManyTags
from contracts.asset.views import BulkResultView, BulkView, RetagView
from contracts.errors import DomainError, FieldError
from handlers.asset.documents import IN_LIBRARY, Asset
from handlers.asset.handlers.holding import hold_folder
from handlers.asset.handlers.library import AT_ONCE, updated
from handlers.asset.handlers.references import References
from handlers.asset.handlers.trash import Trash
from handlers.asset.words import label

TAGS = 50
"""Tags an asset may have."""

_NEEDS = {"tag": {"tags"}, "untag": {"tags"}, "move": {"folder_id", "project_id"}, "delete": set()}


@dataclass(frozen=True, slots=True)
class Bulk:
    """Changes of many assets; what is deleted goes to the trash."""

    trash: Trash

    async def change_assets(self, command: ChangeAssets, uow: UnitOfWork) -> BulkView:
        _check_fields(command)
        if command.operation == "move":
            await hold_folder(command.folder_id, uow)
        wanted = {"_id": {"$in": list(command.ids)}, "organization_id": uow.org, **IN_LIBRARY}
        found = {asset.id: asset for asset in await Asset.find(wanted).to_list()}
        references = References(uow)
        barred = set(command.barred)
        results = []
        for id in command.ids:
            try:
                asset = found.get(id)
                if asset is None:
                    raise AssetNotFound()
                if id in barred:
                    raise PermissionMissing()
                await self._change(asset, command, uow, references)
            except DomainError as error:
                results.append(
                    BulkResultView(id=id, status="failed", code=error.code, detail=error.detail)
                )
            else:
                results.append(BulkResultView(id=id, status="done"))
        await references.settle()
        failed = sum(each.status == "failed" for each in results)
        return BulkView(results=tuple(results), done=len(results) - failed, failed=failed)

    async def _change(
        self, asset: Asset, command: ChangeAssets, uow: UnitOfWork, references: References
    ) -> None:
        """Stage what is done to one asset; nothing where it is so already."""
        if command.operation == "delete":
            await self.trash.discard(asset, uow, references)
            return
        was = asset.model_dump(include={"tags", "folder_id", "project_id"})
        if command.operation == "tag":
            tags = list(dict.fromkeys([*asset.tags, *command.tags]))
            if len(tags) > TAGS:
                raise TooManyTags()
            asset.tags = tags
        elif command.operation == "untag":
            asset.tags = [tag for tag in asset.tags if tag not in command.tags]
        else:
            if "folder_id" in command.model_fields_set:
                asset.folder_id = command.folder_id
            if "project_id" in command.model_fields_set:
                asset.project_id = command.project_id
        if asset.model_dump(include={"tags", "folder_id", "project_id"}) != was:
            uow.save(asset)
            uow.emit(updated(asset), asset)


async def rename_tag(command: RenameTag, uow: UnitOfWork) -> RetagView:
    if command.tag == command.to:
        raise TagUnchanged()
    wanted = {"organization_id": uow.org, "labels": label(command.tag)}
    count = await Asset.get_pymongo_collection().count_documents({**wanted, **IN_LIBRARY})
    uow.send(RetagAssets(tag=command.tag, to=command.to))
    return RetagView(tag=command.tag, to=command.to, assets=count)


async def retag_assets(command: RetagAssets, uow: UnitOfWork) -> None:
    wanted = {
        "organization_id": uow.org,
        "labels": label(command.tag),
        # Each asset once: of two renames that undo each other there would be no end.
        "_id": {"$gt": command.after},
    }
    assets = await Asset.find(wanted).sort("+_id").limit(AT_ONCE).to_list()
    for asset in assets:
        replaced = (command.to if tag == command.tag else tag for tag in asset.tags)
        asset.tags = list(dict.fromkeys(replaced))
        uow.save(asset)
        if asset.trashed_at is None:
            uow.emit(updated(asset), asset)
    if len(assets) == AT_ONCE:
        uow.send(command.model_copy(update={"after": assets[-1].id}))


def _check_fields(command: ChangeAssets) -> None:
    """Raise BulkInvalid unless what was sent goes with the operation."""
    given = command.model_fields_set - {"ids", "operation", "barred"}
    needed = _NEEDS[command.operation]
    errors = [
        FieldError(
            pointer=f"/{name}",
            code="extra_forbidden",
            detail=f"{command.operation} has no use for it",
        )
        for name in sorted(given - needed)
    ]
    if (needed and not given & needed) or (needed == {"tags"} and not command.tags):
        name = min(needed)
        errors.append(
            FieldError(pointer=f"/{name}", code="missing", detail=f"{command.operation} needs it")
        )
    if errors:
        raise BulkInvalid("; ".join(f"{e.pointer}: {e.detail}" for e in errors), errors=errors)
