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


class UploadNotFound(DomainError):
    code = "asset.upload_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such upload"


class UploadExpired(DomainError):
    code = "asset.upload_expired"
    kind = ErrorKind.GONE
    title = "The upload was not completed in time; begin again"


class UploadLocked(DomainError):
    code = "asset.upload_locked"
    kind = ErrorKind.LOCKED
    title = "Another request is writing to this upload; try again in a moment"


class UploadOffsetWrong(DomainError):
    """Ask for the offset with HEAD, and go on from there."""

    code = "asset.upload_offset_wrong"
    kind = ErrorKind.CONFLICT
    title = "The upload does not go on at this offset"


class UploadChecksumWrong(DomainError):
    """Nothing of the request was kept: send the same bytes again."""

    code = "asset.upload_checksum_wrong"
    kind = ErrorKind.CHECKSUM
    title = "The bytes that arrived do not have the checksum that was sent"


class UploadHeaderInvalid(DomainError):
    code = "asset.upload_header_invalid"
    kind = ErrorKind.MALFORMED
    title = "A header of the tus protocol is missing or not valid"


class TusVersionUnsupported(DomainError):
    code = "asset.tus_version_unsupported"
    kind = ErrorKind.PRECONDITION
    title = "Send Tus-Resumable: 1.0.0"


class UploadsTooMany(DomainError):
    code = "asset.uploads_too_many"
    kind = ErrorKind.RATE_LIMITED
    title = "The organization has too many uploads that are not complete"


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
