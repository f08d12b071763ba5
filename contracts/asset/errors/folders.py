"""How a change to folders is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class FolderNotFound(DomainError):
    code = "asset.folder_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such folder"


class FolderNameTaken(DomainError):
    """Names that look the same are the same, whatever their case."""

    code = "asset.folder_name_taken"
    kind = ErrorKind.CONFLICT
    title = "Another folder there has this name"


class FolderNotEmpty(DomainError):
    """Empty it, or delete it with `?recursive=true`."""

    code = "asset.folder_not_empty"
    kind = ErrorKind.CONFLICT
    title = "The folder still has assets or folders"


class FolderWithinItself(DomainError):
    code = "asset.folder_within_itself"
    kind = ErrorKind.CONFLICT
    title = "A folder cannot be moved into itself, or into one that lies in it"


class FolderTooDeep(DomainError):
    code = "asset.folder_too_deep"
    kind = ErrorKind.CONFLICT
    title = "Folders lie within one another 20 deep at most"


class TooManyFolders(DomainError):
    code = "asset.too_many_folders"
    kind = ErrorKind.CONFLICT
    title = "The organization has as many folders as it may have"
