"""No request hangs on a dependency that has stopped answering."""

from __future__ import annotations

from types import TracebackType

from bus.deadlines import Within
from gateway.errors import DependencyDown

SECONDS = 6.0
"""What a dependency may take to answer, retries included: longer than a restart of Redis."""


class patience(Within):  # noqa: N801 - reads as what it does: with patience()
    """Raise DependencyDown when what is inside has not been done in time, or says so itself."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        except TimeoutError as late:
            raise DependencyDown(retry_after=5) from late
        if isinstance(error, TimeoutError):
            raise DependencyDown(retry_after=5) from error
