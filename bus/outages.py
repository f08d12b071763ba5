"""Telling a server that is away from one that refuses what it was asked."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure, PyMongoError, WriteConcernError
from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

_LABELS = ("RetryableWriteError", "TransientTransactionError", "UnknownTransactionCommitResult")
_PASSING = (ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PREFIXES = ("LOADING", "MISCONF", "NOREPLICAS")


def is_outage(error: Exception) -> bool:
    """Whether MongoDB or Redis could not do it now and may later.

    Anything else they answer (a query with a mistake in it, a value of the wrong type) they
    would answer again.
    """
    if isinstance(error, PyMongoError):
        away = isinstance(error, (ConnectionFailure, WriteConcernError))
        return away or any(map(error.has_error_label, _LABELS))
    if isinstance(error, ResponseError):
        return isinstance(error, _PASSING) or str(error).startswith(_PREFIXES)
    return isinstance(error, RedisError)
