"""How an upload is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


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


class TypeForbidden(DomainError):
    code = "asset.type_forbidden"
    kind = ErrorKind.UNSUPPORTED
    title = "Files of this kind are not taken"


class QuotaExceeded(DomainError):
    """A smaller file may still fit, and so may this one once others are removed for good."""

    code = "asset.quota_exceeded"
    kind = ErrorKind.TOO_LARGE
    title = "The organization has no room left for the upload"
