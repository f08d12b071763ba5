"""How an upload straight into the object store is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class PresignUnavailable(DomainError):
    """Files are kept in a folder here, which only the gateway can write to."""

    code = "asset.presign_unavailable"
    kind = ErrorKind.CONFLICT
    title = "Uploads straight into the store are not available here"


class PresignedNotFound(DomainError):
    code = "asset.presigned_not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such presigned upload of yours, or it has expired"


class PresignedIncomplete(DomainError):
    """It can still be completed: send what is missing, and ask again."""

    code = "asset.presigned_incomplete"
    kind = ErrorKind.CONFLICT
    title = "The upload is not complete yet"


class PresignedMismatch(DomainError):
    """What had arrived is removed; begin anew."""

    code = "asset.presigned_mismatch"
    kind = ErrorKind.INVALID
    title = "What was uploaded is not what was announced"
