"""URLs of pictures that are made of an asset when they are first asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from contracts.actor import Actor
from contracts.asset.errors import (
    AssetNotFound,
    AssetNotReady,
    TransformImpossible,
)
from contracts.asset.transforms import (
    Quality,
    Region,
    Side,
    Transform,
    TransformFormat,
    TransformGravity,
    TransformMode,
    TransformView,
)
from handlers.asset.documents import IN_LIBRARY, Asset
from handlers.asset.kinds import picture_name
from handlers.asset.queries.views import signer_in_use
from handlers.asset.transforming import Asked, canonical

_MAY_MOVE = {"image/gif", "image/webp"}


async def get_transform(
    actor: Actor,
    asset: str,
    mode: TransformMode = "fit",
    width: Annotated[Side | None, Field(description="Pixels; of fill needed.")] = None,
    height: Annotated[Side | None, Field(description="Pixels; of fill needed.")] = None,
    region: Annotated[
        Region | None,
        Field(
            description="What crop cuts out: x,y,width,height in pixels of the upright original."
        ),
    ] = None,
    gravity: Annotated[
        TransformGravity | None, Field(description="What fill keeps; attention by default.")
    ] = None,
    quality: Annotated[Quality | None, Field(description="Of AVIF, WebP and JPEG.")] = None,
    format: Annotated[  # noqa: A002 - so it is called where it is given
        TransformFormat, Field(description="auto: the best that the reader's Accept names.")
    ] = "auto",
    animated: Annotated[bool, Field(description="false shows the first frame alone.")] = True,
) -> TransformView:
    """A URL of the asset in another size, cut or format.

    Raises AssetNotFound, AssetNotReady, TransformImpossible and TransformInvalid.
    """
    found = await Asset.find_one({"_id": asset, "organization_id": actor.tenant, **IN_LIBRARY})
    if found is None:
        raise AssetNotFound()
    if found.kind != "image":
        raise TransformImpossible(f"This is of kind {found.kind}; only pictures are transformed.")
    if found.status == "failed":
        why = found.media.error_detail if found.media is not None else None
        raise TransformImpossible(f"It could not be rendered. {why or ''}".strip())
    media = found.media
    if media is None or media.width is None or media.height is None:
        raise AssetNotReady()
    signer = signer_in_use()
    wanted = canonical(
        (media.width, media.height),
        Asked(mode, width, height, region, gravity),
        quality=None if format == "png" else quality,
        moving=animated and format in ("auto", "webp") and found.media_type in _MAY_MOVE,
        side=signer.side,
    )
    signed = signer.sign(
        "transform",
        f"{found.organization_id}/{found.blob_id}",
        _parameters(wanted, format, picture_name(found.name, f"{wanted.width}x{wanted.height}")),
    )
    return TransformView(
        url=signed.url,
        expires_at=datetime.fromtimestamp(signed.expires, UTC),
        width=wanted.width,
        height=wanted.height,
    )


def _parameters(wanted: Transform, format_: TransformFormat, name: str) -> dict[str, str]:
    """As a URL shows them: in this order, without what is not said."""
    given = {
        "mode": wanted.mode,
        "width": wanted.width,
        "height": wanted.height,
        "region": wanted.region,
        "gravity": wanted.gravity,
        "quality": wanted.quality,
        "format": format_,
        "moving": 1 if wanted.moving else None,
        "name": name,
    }
    return {each: str(value) for each, value in given.items() if value is not None}
