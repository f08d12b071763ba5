"""Documents of asset as contract views, with URLs that are signed."""

from __future__ import annotations

from datetime import datetime

from contracts.asset.views import AssetErrorView, AssetView, RenditionView, VersionView
from contracts.types import now
from handlers.asset.documents import Asset, AssetVersion, Media
from handlers.asset.kinds import picture_name, served_name
from handlers.asset.rights import rights_view
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
    media = asset.media or Media(pipeline=PIPELINE)
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
        error=_error(asset),
        url=_original(asset, asset.name),
        download_url=_original(asset, asset.name, download=True),
        renditions=_renditions(media, asset.name),
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
        rights=rights_view(asset.rights, now()),
        versions=asset.versions,
        version=asset.number,
        uses=asset.uses,
        created_at=asset.created_at,
        updated_at=asset.updated_at,
        created_by=asset.created_by,
        revision=asset.revision,
    )


def shown_view(asset: Asset) -> VersionView:
    """The version that an asset shows."""
    return _version_view(
        asset, asset, asset.shown_since or asset.created_at, asset.shown_by, current=True
    )


def former_view(version: AssetVersion, asset: Asset) -> VersionView:
    """A version beside the one that its asset shows."""
    return _version_view(version, asset, version.created_at, version.created_by, current=False)


def _version_view(
    content: Asset | AssetVersion, asset: Asset, at: datetime, by: str | None, *, current: bool
) -> VersionView:
    media = content.media or Media(pipeline=PIPELINE)
    return VersionView(
        asset_id=asset.id,
        number=content.number,
        current=current,
        kind=content.kind,
        media_type=content.media_type,
        bytes=content.bytes,
        sha256=content.sha256,
        width=media.width,
        height=media.height,
        status=content.status,
        error=_error(content),
        url=_original(content, asset.name),
        download_url=_original(content, asset.name, download=True),
        renditions=_renditions(media, asset.name),
        placeholder=media.placeholder,
        dominant_color=media.dominant_color,
        created_at=at,
        created_by=by,
        revision=asset.revision,
    )


def _error(content: Asset | AssetVersion) -> AssetErrorView | None:
    if content.status != "failed":
        return None
    media = content.media or Media(pipeline=PIPELINE)
    return AssetErrorView(code=media.error_code or "", detail=media.error_detail or "")


def _original(content: Asset | AssetVersion, name: str, *, download: bool = False) -> str:
    key = blob_key(content.organization_id, content.blob_id)
    served = served_name(name, content.media_type)
    return _signers[0].url(key, media_type=content.media_type, filename=served, download=download)


def _renditions(media: Media, name: str) -> tuple[RenditionView, ...]:
    return tuple(
        RenditionView(
            name=each.name,
            width=each.width,
            height=each.height,
            media_type=each.media_type,
            bytes=each.bytes,
            url=_signers[0].url(
                each.key, media_type=each.media_type, filename=picture_name(name, each.name)
            ),
        )
        for each in media.renditions
    )
