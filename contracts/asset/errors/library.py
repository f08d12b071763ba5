"""How a change to the library is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class AssetNotFound(DomainError):
    code = "asset.not_found"
    kind = ErrorKind.NOT_FOUND
    title = "There is no such asset"


class FilterInvalid(DomainError):
    """What a list is asked for cannot be: the errors name the parameters."""

    code = "asset.filter_invalid"
    kind = ErrorKind.INVALID
    title = "The filters contradict one another"


class BulkInvalid(DomainError):
    """The errors name the fields that the operation needs, or has no use for."""

    code = "asset.bulk_invalid"
    kind = ErrorKind.INVALID
    title = "The operation does not go with what was sent"


class TooManyTags(DomainError):
    code = "asset.too_many_tags"
    kind = ErrorKind.CONFLICT
    title = "An asset has at most 50 tags"


class TagUnchanged(DomainError):
    code = "asset.tag_unchanged"
    kind = ErrorKind.INVALID
    title = "The tag is this already"


class AssetInUse(DomainError):
    """Take it out of what the errors name, then delete it."""

    code = "asset.in_use"
    kind = ErrorKind.CONFLICT
    title = "The asset is in use"
