"""Errors a caller can act on: a permanent code, a kind that decides the status, a detail."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

from contracts.base import Contract


class ErrorKind(StrEnum):
    """What sort of failure it is; infra/problems.py alone turns it into a status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD = "method"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    RANGE = "range"
    INVALID = "invalid"
    LOCKED = "locked"
    UPGRADE = "upgrade"
    CHECKSUM = "checksum"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class FieldError(Contract):
    """One field that was wrong: a JSON pointer into the body, or a parameter's name."""

    pointer: str
    code: str
    detail: str


class Failure(Contract):
    """A DomainError as it travels in a reply."""

    code: str
    kind: ErrorKind
    title: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None


class DomainError(Exception):
    """A refusal by rule: answered, acknowledged, never retried. One subclass per code."""

    code: ClassVar[str]
    kind: ClassVar[ErrorKind]
    title: ClassVar[str]

    _known: ClassVar[dict[str, type[DomainError]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if code := cls.__dict__.get("code"):
            if code in DomainError._known:
                raise TypeError(f"the error code {code} is declared twice")
            DomainError._known[code] = cls

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def failure(self) -> Failure:
        """The form that goes into a reply."""
        return Failure(
            code=self.code,
            kind=self.kind,
            title=self.title,
            detail=self.detail,
            errors=self.errors,
            retry_after=self.retry_after,
        )

    @classmethod
    def all(cls) -> dict[str, type[DomainError]]:
        """Every declared error by its code."""
        return dict(sorted(DomainError._known.items()))


class RevisionMismatch(DomainError):
    """If-Match named another revision than the stored one."""

    code = "revision_mismatch"
    kind = ErrorKind.PRECONDITION
    title = "It has changed since you read it"


class Retry(Exception):
    """Ask for the same message again in ``after`` seconds; does not count as an attempt."""

    def __init__(self, after: float, reason: str = "") -> None:
        super().__init__(reason or f"again in {after} s")
        self.after = after
