"""Uploads of versions, and what is looked at after them."""

from __future__ import annotations

import hashlib
from typing import Any

from bus.paging import Cursor
from contracts.actor import Actor
from contracts.asset.commands import AddVersion
from contracts.asset.views import VersionView
from contracts.types import new_id
from handlers.asset.documents import Asset, AssetVersion, Blob
from handlers.asset.queries import list_versions
from handlers.asset.rules import blob_key
from tests.handlers.asset.conftest import Library
from tests.handlers.asset.test_asset_handlers import EDITOR, OTHER, chunks, upload

__all__ = ["EDITOR", "OTHER", "add_version", "check_references", "numbers", "upload", "versions_of"]


async def add_version(
    library: Library,
    asset: str,
    data: bytes,
    *,
    actor: Actor = EDITOR,
    kind: str = "image",
    **more: Any,
) -> Any:
    """What the gateway does: bytes under an id of their own, then the command."""
    blob = new_id("blb")
    await library.store.write(
        blob_key(actor.tenant, blob), chunks(data), media_type="image/png", limit=1000
    )
    command = {
        "asset": asset,
        "blob_id": blob,
        "media_type": "image/png",
        "kind": kind,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **more,
    }
    return await library.do(AddVersion.model_validate(command), actor)


async def versions_of(asset: str, sort: Any = "created_at") -> list[VersionView]:
    return list((await list_versions(EDITOR, Cursor(sort=sort), asset)).items)


async def numbers(asset: str) -> list[int]:
    return [each.number for each in await versions_of(asset)]


async def check_references(library: Library) -> None:
    """Each version counts once for its bytes, and there are no bytes that nobody counts for."""
    counted: dict[str, int] = {}
    for content in [*await Asset.find().to_list(), *await AssetVersion.find().to_list()]:
        counted[content.blob_id] = counted.get(content.blob_id, 0) + 1
    assert counted == {blob.id: blob.references for blob in await Blob.find().to_list()}
    originals = {key.rpartition("/")[2] for key in await library.stored() if "/blobs/" in key}
    assert originals == set(counted)
    for asset in await Asset.find().to_list():
        beside = await AssetVersion.find({"asset_id": asset.id}).count()
        assert asset.versions == beside + 1, asset
