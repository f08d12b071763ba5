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


# Why an asset has failed: told in its view and its event, not as an answer to a request.


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
