"""How a change of versions is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class VersionNotFound(DomainError):
    code = "asset.version_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such version"


class VersionUnchanged(DomainError):
    """The newest version has the very same bytes already: there is nothing to add."""

    code = "asset.version_unchanged"
    kind = ErrorKind.CONFLICT
    title = "The version has the bytes that the asset has already"


class VersionKindDiffers(DomainError):
    """What uses a picture would be left with none: upload it as an asset of its own."""

    code = "asset.version_kind_differs"
    kind = ErrorKind.CONFLICT
    title = "The version is of another kind than the asset"


class VersionNotReady(DomainError):
    code = "asset.version_not_ready"
    kind = ErrorKind.CONFLICT
    title = "The version is being processed, or has failed"


class VersionCurrent(DomainError):
    """Restore another version first, or delete the asset."""

    code = "asset.version_current"
    kind = ErrorKind.CONFLICT
    title = "The version is the current one"


class VersionsExhausted(DomainError):
    code = "asset.versions_exhausted"
    kind = ErrorKind.CONFLICT
    title = "The asset has had as many versions as can be counted"
