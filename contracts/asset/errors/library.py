"""How a change to the library is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class AssetNotFound(DomainError):
    code = "asset.not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such asset"


class AssetInUse(DomainError):
    """Take it out of what the errors name, then delete it."""

    code = "asset.in_use"
    kind = ErrorKind.CONFLICT
    title = "The asset is in use"
