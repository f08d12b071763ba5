"""Transformed pictures by signed URL: nothing but what was signed is ever rendered."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, ValidationError

from contracts.asset.commands import RenderTransform
from contracts.asset.errors import FileUrlInvalid
from contracts.asset.transforms import (
    MadeFormat,
    Region,
    Transform,
    TransformFormat,
    TransformGravity,
    TransformMode,
)
from gateway.serving.accepting import best_format
from gateway.serving.disposition import disposition
from gateway.serving.files import SignedParameters, signed_parameters
from gateway.serving.sending import Shown, send_object
from gateway.state import Gateway

Number = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}$")]

_EXTENSIONS = {"jpeg": "jpg"}


class TransformParameters(SignedParameters):
    """The signed part of a transform's URL: take it as it comes."""

    mode: TransformMode
    width: Number
    height: Number
    region: Region | None = None
    gravity: TransformGravity | None = None
    quality: Number | None = None
    format: TransformFormat
    moving: Literal["1"] | None = None
    name: Annotated[str, Field(max_length=1024)] | None = None


async def get_transformed(request: web.Request, gateway: Gateway, _: None) -> web.StreamResponse:
    """A picture made of another, by the signed URL that the asset's transform gave out."""
    given, left = signed_parameters(request, gateway, "transform", TransformParameters)
    automatic = given.format == "auto"
    format_: MadeFormat = (
        best_format(request, moving=given.moving is not None)
        if given.format == "auto"
        else given.format
    )
    stat, made = await gateway.pictures.get(_command(request, given, format_))
    media_type = f"image/{made}"
    # URLs signed before they had a name are good for a while.
    name = f"{given.name or stat.key.split('/')[3]}.{_EXTENSIONS.get(made, made)}"
    return await send_object(
        request,
        gateway,
        stat,
        Shown(
            media_type,
            disposition(name, media_type, download=False),
            left,
            vary="Accept" if automatic else None,
        ),
    )


def _command(
    request: web.Request, given: TransformParameters, format_: MadeFormat
) -> RenderTransform:
    organization, _, blob = request.match_info["key"].partition("/")
    try:
        return RenderTransform(
            organization_id=organization,
            blob_id=blob,
            transform=Transform(
                mode=given.mode,
                width=int(given.width),
                height=int(given.height),
                region=given.region,
                gravity=given.gravity,
                quality=int(given.quality) if given.quality is not None else None,
                moving=given.moving is not None and format_ == "webp",
            ),
            format=format_,
        )
    except ValidationError as error:
        raise FileUrlInvalid() from error
