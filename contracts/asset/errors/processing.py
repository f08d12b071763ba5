"""Why an asset has failed: told in its view and its event, not as an answer to a request."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class ImageCorrupt(DomainError):
    code = "asset.image_corrupt"
    kind = ErrorKind.INVALID
    title = "The image is damaged or cut off"


class ImageTooLarge(DomainError):
    code = "asset.image_too_large"
    kind = ErrorKind.INVALID
    title = "The image has more pixels, or takes more memory, than is rendered"


class ImageUnsupported(DomainError):
    code = "asset.image_unsupported"
    kind = ErrorKind.INVALID
    title = "The image is of a kind that is not rendered"


class ImageTimeout(DomainError):
    code = "asset.image_timeout"
    kind = ErrorKind.INVALID
    title = "Rendering the image took too long"


class ImageFailed(DomainError):
    code = "asset.image_failed"
    kind = ErrorKind.INVALID
    title = "Rendering the image failed again and again"


class BytesMissing(DomainError):
    code = "asset.bytes_missing"
    kind = ErrorKind.INVALID
    title = "The bytes that were uploaded are gone"


class ArchiveCorrupt(DomainError):
    code = "asset.archive_corrupt"
    kind = ErrorKind.INVALID
    title = "The archive is damaged or cut off"


class ArchiveBomb(DomainError):
    code = "asset.archive_bomb"
    kind = ErrorKind.INVALID
    title = "The archive would unpack to far more than it is"


class ArchiveUnsafe(DomainError):
    code = "asset.archive_unsafe"
    kind = ErrorKind.INVALID
    title = "The archive would write outside of the folder it is unpacked in"


class ArchiveTooLarge(DomainError):
    code = "asset.archive_too_large"
    kind = ErrorKind.INVALID
    title = "The archive has more entries or bytes than are looked into"


class InspectionTimeout(DomainError):
    code = "asset.inspection_timeout"
    kind = ErrorKind.INVALID
    title = "Looking into the file took too long"
