"""Routes by which files go out."""

from __future__ import annotations

from contracts.asset.transforms import TransformView
from contracts.permissions import Permission
from gateway.serving.files import FileParameters, get_file
from gateway.serving.transforms import TransformParameters, get_transformed
from gateway.table import Access, Route, custom, query
from handlers.asset.queries import get_transform

PUBLIC = Access.PUBLIC

FILES: list[Route] = [
    query(
        "/v1/orgs/{org}/assets/{asset}/transform",
        get_transform,
        allow=Permission.ASSET_READ,
        answers=TransformView,
        refusals=(409,),
    ),
    custom(
        "GET",
        "/files/transforms/{key:.+}",
        get_transformed,
        allow=PUBLIC,
        parameters=TransformParameters,
        produces="application/octet-stream",
        refusals=(403, 412),
    ),
    custom(
        "GET",
        "/files/{key:.+}",
        get_file,
        allow=PUBLIC,
        parameters=FileParameters,
        produces="application/octet-stream",
        refusals=(403, 412),
    ),
]
