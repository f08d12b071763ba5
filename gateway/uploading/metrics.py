"""How uploads went, as metrics: by the way they came, their bytes, their time, their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Histogram

from contracts.asset.errors import UploadCut
from contracts.errors import DomainError, ErrorKind
from contracts.types import made_at, now

Way = Literal["raw", "form", "tus", "presigned"]
Outcome = Literal["stored", "queued", "refused", "cut", "unavailable", "failed"]

UPLOADS = Counter("grid8_uploads_total", "Uploads that have ended", ["way", "outcome"])
BYTES = Histogram(
    "grid8_upload_bytes",
    "Bytes of uploads that became assets",
    ["way"],
    buckets=[4**power * 1024 for power in range(13)],
)
SECONDS = Histogram(
    "grid8_upload_seconds",
    "Seconds from an upload's beginning to its end",
    ["way", "outcome"],
    buckets=[0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000],
)


@dataclass(slots=True)
class Measured:
    """One upload, and once that is known the status it was answered with, and its bytes."""

    way: Way
    began: float
    status: int = 201
    bytes: int = 0

    def ended(self, outcome: Outcome) -> None:
        """Count it."""
        UPLOADS.labels(self.way, outcome).inc()
        SECONDS.labels(self.way, outcome).observe(time.monotonic() - self.began)
        if outcome in ("stored", "queued"):
            BYTES.labels(self.way).observe(self.bytes)


@contextmanager
def measured(way: Way, *, ago: float = 0.0) -> Iterator[Measured]:
    """Measure an upload that ends with what is inside; it began ``ago`` seconds before."""
    upload = Measured(way, time.monotonic() - ago)
    try:
        yield upload
    except BaseException as error:
        upload.ended(_outcome(error))
        raise
    upload.ended(_answered(upload.status))


def measured_since(way: Way, upload: str) -> AbstractContextManager[Measured]:
    """The same of an upload that began when its id was made."""
    with suppress(ValueError):
        return measured(way, ago=max(0.0, (now() - made_at(upload)).total_seconds()))
    return measured(way)


def _answered(status: int) -> Outcome:
    if status >= 400:
        return "unavailable" if status == 503 else "refused"
    return "queued" if status == 202 else "stored"


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, (UploadCut, asyncio.CancelledError, ConnectionError)):
        return "cut"
    if not isinstance(error, DomainError):
        return "failed"
    return "unavailable" if error.kind is ErrorKind.UNAVAILABLE else "refused"
