"""Who uses which assets, kept from the events of other domains; what is used is not deleted.

Other domains know nothing of it. One that takes an asset does so in its own transaction, and
asset hears of it a moment later. An asset that was deleted in between comes back from the
trash: what is used is in the library, at the latest when the event has arrived. Only where
nothing is kept in the trash it is gone, and what uses it shows nothing in its place.
"""

from __future__ import annotations

from collections.abc import Iterable

from bus.unit_of_work import UnitOfWork
from contracts.asset.errors import AssetInUse
from contracts.asset.events import AssetRestored
from contracts.asset.types import UserKind
from contracts.errors import FieldError
from handlers.asset.documents import Asset, AssetUser
from handlers.asset.handlers.holding import hold_place

SHOWN = 20
"""Uses that a refusal names."""


async def keep_uses(
    kind: UserKind, id: str, assets: Iterable[str], uow: UnitOfWork, *, name: str | None = None
) -> None:
    """Stage that something uses these assets now, and no others.

    The event's revision says whether a later one was here first.
    """
    revision = uow.message.revision or 0
    known = await AssetUser.get(_key(kind, id))
    user = known or _user(kind, id, uow)
    if revision <= user.seen:
        return
    before, after = set(user.assets), set(assets)
    user.seen = revision
    user.assets = sorted(after)
    if name is not None and revision > user.named:
        user.name, user.named = name, revision
    _store(user, uow, known=known is not None)
    for each in sorted(before ^ after):
        asset = await Asset.find_one({"_id": each, "organization_id": uow.org})
        if asset is None:
            continue
        others = {"organization_id": uow.org, "assets": each, "_id": {"$ne": user.id}}
        asset.uses = await AssetUser.find(others).count() + (each in after)
        uow.save(asset)
        # What is only told again has had its effect at the time.
        if each in after and asset.trashed_at is not None and uow.replay is None:
            await bring_back(asset, uow, used_by=id)


async def keep_name(kind: UserKind, id: str, name: str, uow: UnitOfWork) -> None:
    """Stage what something that may use assets is called now."""
    revision = uow.message.revision or 0
    known = await AssetUser.get(_key(kind, id))
    user = known or _user(kind, id, uow)
    if revision <= user.named:
        return
    user.name, user.named = name, revision
    _store(user, uow, known=known is not None)


async def bring_back(asset: Asset, uow: UnitOfWork, *, used_by: str | None = None) -> None:
    """Stage that an asset leaves the trash, for the folder it was in while there is one."""
    await hold_place(asset, uow)
    asset.trashed_at = asset.trashed_by = asset.purge_at = None
    uow.save(asset)
    uow.emit(
        AssetRestored(
            asset_id=asset.id, project_id=asset.project_id, name=asset.name, used_by=used_by
        ),
        asset,
        org=asset.organization_id,
    )


async def refuse_used(asset: Asset) -> None:
    """Raise AssetInUse, which names what uses the asset."""
    if asset.uses == 0:
        return
    used = {"organization_id": asset.organization_id, "assets": asset.id}
    users = await AssetUser.find(used).limit(SHOWN).to_list()
    if not users:
        return
    named = [f"{each.kind} {each.user_id} ({each.name})" for each in users]
    raise AssetInUse(
        f"It is used by {', '.join(named)[:800]}.",
        errors=[
            FieldError(pointer="", code=AssetInUse.code, detail=f"used by {each}") for each in named
        ],
    )


def _store(user: AssetUser, uow: UnitOfWork, *, known: bool) -> None:
    if known:
        uow.save(user)
    else:
        uow.add(user)


def _user(kind: UserKind, id: str, uow: UnitOfWork) -> AssetUser:
    return AssetUser(id=_key(kind, id), organization_id=uow.org, kind=kind, user_id=id)


def _key(kind: UserKind, id: str) -> str:
    return f"{kind}:{id}"
