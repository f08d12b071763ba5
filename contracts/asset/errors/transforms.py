"""How a transform is refused."""

from __future__ import annotations

from contracts.errors import DomainError, ErrorKind


class TransformInvalid(DomainError):
    """fit takes a width, a height or both; fill takes both, and a gravity; crop takes a region
    within the original, x,y,width,height in its pixels, and a width or height to reduce it to."""

    code = "asset.transform_invalid"
    kind = ErrorKind.INVALID
    title = "The transform does not say what is to be made"


class TransformImpossible(DomainError):
    """Only pictures can be transformed, and of these only those that could be rendered."""

    code = "asset.transform_impossible"
    kind = ErrorKind.INVALID
    title = "The asset is no picture that can be transformed"


class AssetNotReady(DomainError):
    """Its sizes are known as soon as its status is ready."""

    code = "asset.not_ready"
    kind = ErrorKind.CONFLICT
    title = "The asset is still being processed"


class TransformLater(DomainError):
    """Nobody has rendered it in time. Whoever asks again after Retry-After may find it made."""

    code = "asset.transform_later"
    kind = ErrorKind.UNAVAILABLE
    title = "The picture could not be made now"
