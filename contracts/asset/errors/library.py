"""How a change to the library is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class AssetNotFound(DomainError):
    code = "asset.not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such asset"
