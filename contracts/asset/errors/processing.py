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
