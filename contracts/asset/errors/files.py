"""How a file is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class FileUrlInvalid(DomainError):
    code = "asset.file_url_invalid"
    kind = ErrorKind.FORBIDDEN
    title = "The file's URL is not valid or has expired"


class FileNotFound(DomainError):
    code = "asset.file_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such file"
