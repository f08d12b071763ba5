"""Reads of asset. Every one takes the actor first and stays in the actor's organization."""

from __future__ import annotations

from bus.paging import Cursor, Page, page_of
from contracts.actor import Actor
from contracts.asset.errors import AssetNotFound
from contracts.asset.types import AssetKind, AssetStatus
from contracts.asset.views import AssetErrorView, AssetView, RenditionView
from contracts.types import Id, Sha256, Tag
from handlers.asset.documents import Asset, Media
from handlers.asset.kinds import served_name
from handlers.asset.rules import PIPELINE, blob_key
from infra.signing import FileSigner

_signers: list[FileSigner] = []


def use_signer(signer: FileSigner) -> None:
    """Set what signs the URLs in this process's views."""
    _signers[:] = [signer]


def asset_view(asset: Asset) -> AssetView:
    signer = _signers[0]
    media = asset.media or Media(pipeline=PIPELINE)
    error = None
    if asset.status == "failed":
        error = AssetErrorView(code=media.error_code or "", detail=media.error_detail or "")
    return AssetView(
        id=asset.id,
        name=asset.name,
        kind=asset.kind,
        media_type=asset.media_type,
        bytes=asset.bytes,
        sha256=asset.sha256,
        width=media.width,
        height=media.height,
        status=asset.status,
        error=error,
        url=signer.url(
            blob_key(asset.organization_id, asset.blob_id),
            media_type=asset.media_type,
            filename=served_name(asset.name, asset.media_type),
        ),
        renditions=tuple(
            RenditionView(
                name=each.name,
                width=each.width,
                height=each.height,
                media_type=each.media_type,
                bytes=each.bytes,
                url=signer.url(each.key, media_type=each.media_type, filename=each.name),
            )
            for each in media.renditions
        ),
        placeholder=media.placeholder,
        dominant_color=media.dominant_color,
        duration=media.duration,
        pages=media.pages,
        font_family=media.font_family,
        font_style=media.font_style,
        entries=media.entries,
        unpacked_bytes=media.unpacked_bytes,
        project_id=asset.project_id,
        tags=tuple(asset.tags),
        created_at=asset.created_at,
        revision=asset.revision,
    )


async def list_assets(
    actor: Actor,
    cursor: Cursor,
    kind: AssetKind | None = None,
    status: AssetStatus | None = None,
    project_id: Id | None = None,
    tag: Tag | None = None,
    sha256: Sha256 | None = None,
) -> Page[AssetView]:
    """The library, optionally by kind, status, project, tag or content."""
    filters = {
        "kind": kind,
        "status": status,
        "project_id": project_id,
        "tags": tag,
        "sha256": sha256,
    }
    wanted = {name: value for name, value in filters.items() if value is not None}
    return await page_of(Asset, {"organization_id": actor.tenant, **wanted}, cursor, asset_view)


async def get_asset(actor: Actor, asset: str) -> AssetView:
    """One asset. Raises AssetNotFound, also for another organization's."""
    found = await Asset.find_one({"_id": asset, "organization_id": actor.tenant})
    if found is None:
        raise AssetNotFound()
    return asset_view(found)


async def get_asset_status(actor: Actor, asset: str) -> AssetStatus:
    """Where one asset stands. Raises AssetNotFound, also for another organization's."""
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant}, {"status": 1}
    )
    if found is None:
        raise AssetNotFound()
    status: AssetStatus = found["status"]
    return status


async def find_project_of_asset(actor: Actor, asset: str) -> str | None:
    """The project an asset is in; None when it is in none, or is none."""
    found = await Asset.get_pymongo_collection().find_one(
        {"_id": asset, "organization_id": actor.tenant}, {"project_id": 1}
    )
    return found.get("project_id") if found is not None else None
