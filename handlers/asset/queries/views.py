"""Documents of asset as contract views, with URLs that are signed."""

from __future__ import annotations

from contracts.asset.views import AssetErrorView, AssetView, RenditionView
from handlers.asset.documents import Asset, Media
from handlers.asset.kinds import served_name
from handlers.asset.rules import PIPELINE, blob_key
from infra.signing import FileSigner

_signers: list[FileSigner] = []


def use_signer(signer: FileSigner) -> None:
    """Set what signs the URLs in this process's views."""
    _signers[:] = [signer]


def signer_in_use() -> FileSigner:
    """What ``use_signer`` has set."""
    return _signers[0]


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
        download_url=signer.url(
            blob_key(asset.organization_id, asset.blob_id),
            media_type=asset.media_type,
            filename=asset.name,
            download=True,
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
        folder_id=asset.folder_id,
        tags=tuple(asset.tags),
        created_at=asset.created_at,
        updated_at=asset.updated_at,
        created_by=asset.created_by,
        revision=asset.revision,
    )
