"""Routes by which files go out."""

from __future__ import annotations

from gateway.serving.files import FileParameters, get_file
from gateway.table import Access, Route, custom

PUBLIC = Access.PUBLIC

FILES: list[Route] = [
    custom(
        "GET",
        "/files/{key:.+}",
        get_file,
        allow=PUBLIC,
        parameters=FileParameters,
        produces="application/octet-stream",
    ),
]
