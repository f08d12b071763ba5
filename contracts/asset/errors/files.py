"""How a file is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class FileUrlInvalid(DomainError):
    """URLs of files are signed whole: take them from a view as they are, and change nothing."""

    code = "asset.file_url_invalid"
    kind = ErrorKind.FORBIDDEN
    title = "The file's URL is not valid"


class FileUrlExpired(DomainError):
    """Read the asset again: its view has fresh URLs."""

    code = "asset.file_url_expired"
    kind = ErrorKind.FORBIDDEN
    title = "The file's URL has expired"


class FileNotFound(DomainError):
    code = "asset.file_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such file"


class FileChanged(DomainError):
    """If-Match or If-Unmodified-Since named another state of it than there is."""

    code = "asset.file_changed"
    kind = ErrorKind.PRECONDITION
    title = "The file is not the one that was named"


class RangeOutside(DomainError):
    """Content-Range of the answer says how many bytes there are."""

    code = "asset.range_outside"
    kind = ErrorKind.RANGE
    title = "The range begins after the end of the file"
