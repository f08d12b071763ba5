"""How asset refuses."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class AssetNotFound(DomainError):
    code = "asset.not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such asset"


class UploadEmpty(DomainError):
    code = "asset.upload_empty"
    kind = ErrorKind.INVALID
    title = "The upload has no bytes"


class UploadTooLarge(DomainError):
    code = "asset.upload_too_large"
    kind = ErrorKind.TOO_LARGE
    title = "The upload is larger than allowed"


class UploadMalformed(DomainError):
    code = "asset.upload_malformed"
    kind = ErrorKind.MALFORMED
    title = "The upload could not be read"


class UploadCut(DomainError):
    code = "asset.upload_cut"
    kind = ErrorKind.MALFORMED
    title = "The upload ended before it was complete"


class StorageFull(DomainError):
    code = "asset.storage_full"
    kind = ErrorKind.UNAVAILABLE
    title = "The object store has no room left"


class FileUrlInvalid(DomainError):
    code = "asset.file_url_invalid"
    kind = ErrorKind.FORBIDDEN
    title = "The file's URL is not valid or has expired"


class FileNotFound(DomainError):
    code = "asset.file_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such file"
