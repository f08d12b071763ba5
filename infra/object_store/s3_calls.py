"""Single S3 calls: breaker, timeout, retries, and what an answer means."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from infra.breaker import Breakers, DependencyUnavailable
from infra.object_store.base import READ_BYTES, ObjectNotFound
from infra.settings import StoreSettings

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

CIRCUIT = "s3"
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchBucket"}
_TRANSIENT = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "InternalError",
    "ServiceUnavailable",
    "OperationAborted",
}
# A connection that could not be made (refused, no such name, TLS) is none of the others.
_WIRE = (
    OSError,
    BotoConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    aiohttp.ClientError,
)


class Transient(Exception):
    """The call may succeed when it is made again."""


class Calls:
    """The client, used for one bucket. Errors that retries do not cure become
    DependencyUnavailable; a 404 becomes ObjectNotFound; any other answer stays a
    botocore ClientError."""

    def __init__(self, client: S3Client, settings: StoreSettings, breakers: Breakers) -> None:
        self._client = client
        self._settings = settings
        self._breakers = breakers
        self._cleanups: set[asyncio.Task[Any]] = set()

    @property
    def encryption(self) -> dict[str, Any]:
        """The server-side encryption to ask for when an object is made."""
        if self._settings.sse == "none":
            return {}
        asked: dict[str, Any] = {"ServerSideEncryption": self._settings.sse}
        if self._settings.sse == "aws:kms" and self._settings.sse_kms_key:
            asked["SSEKMSKeyId"] = self._settings.sse_kms_key
        return asked

    async def call(
        self, operation: str, key: str = "", *, body: bytes | None = None, **parameters: Any
    ) -> Any:
        """One call, made again while the failure is transient. ``key`` names it in errors."""
        parameters["Bucket"] = self._settings.bucket
        method = getattr(self._client, operation)

        async def once() -> Any:
            if body is not None:
                # A new reader for every attempt: the last one may be half read.
                parameters["Body"] = io.BytesIO(body)
            try:
                async with asyncio.timeout(self._settings.timeout):
                    return await method(**parameters)
            except ClientError as error:
                raise _meaning(error, key) from error
            except _WIRE as error:
                raise Transient(f"{operation}: {error!r}") from error

        return await self._again(once)

    async def delete(self, keys: Sequence[str]) -> None:
        """At most 1,000 keys."""
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        answer = await self.call("delete_objects", Delete=wanted)
        if errors := answer.get("Errors"):
            first = errors[0]
            code, message = first.get("Code", ""), first.get("Message", "")
            error = ClientError({"Error": {"Code": code, "Message": message}}, "DeleteObjects")
            if code in _TRANSIENT:
                raise DependencyUnavailable(CIRCUIT, 1.0) from error
            raise error

    async def open_body(self, key: str, start: int, end: int | None) -> Body:
        body = Body(self, key, start, end, self._settings)
        await body.open()
        return body

    async def protected(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a cleanup to its end though the caller is cancelled; its errors are dropped."""
        task = asyncio.ensure_future(work)
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)
        with suppress(Exception):
            await asyncio.shield(task)

    async def finish(self) -> None:
        await asyncio.gather(*self._cleanups, return_exceptions=True)

    async def _again(self, once: Any) -> Any:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.2),
            retry=retry_if_exception_type(Transient),
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    async with self._breakers.guard(CIRCUIT, counted=(Transient,)):
                        return await once()
        except Transient as error:
            raise DependencyUnavailable(CIRCUIT, 1.0) from error


class Body:
    """The bytes of one object, read on from where the connection broke."""

    def __init__(
        self, calls: Calls, key: str, start: int, end: int | None, settings: StoreSettings
    ) -> None:
        self._calls = calls
        self._key = key
        self._position = start
        self._end = end
        self._settings = settings
        self._etag: str | None = None
        self._stream: Any = None

    async def open(self) -> None:
        """Raises ObjectNotFound. A range that holds nothing has no stream."""
        if self._end is not None and self._position >= self._end:
            await self._calls.call("head_object", self._key, Key=self._key)
            return
        asked: dict[str, Any] = {"Key": self._key}
        if self._position or self._end is not None:
            last = "" if self._end is None else self._end - 1
            asked["Range"] = f"bytes={self._position}-{last}"
        if self._etag:
            asked["IfMatch"] = self._etag
        try:
            answer = await self._calls.call("get_object", self._key, **asked)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "InvalidRange":
                raise
            return
        self._etag = answer["ETag"]
        self._end = self._position + answer["ContentLength"]
        self._stream = answer["Body"]

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        broken = 0
        while self._stream is not None:
            try:
                async with asyncio.timeout(self._settings.timeout):
                    chunk = await self._stream.read(READ_BYTES)
                if not chunk and self._position < (self._end or 0):
                    raise ConnectionError("the body ended early")
            except (*_WIRE, BotoCoreError) as error:
                self.close()
                broken += 1
                if broken >= self._settings.attempts:
                    raise DependencyUnavailable(CIRCUIT, 1.0) from error
                await self.open()
                continue
            if not chunk:
                return
            self._position += len(chunk)
            yield chunk


def _meaning(error: ClientError, key: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _TRANSIENT or status >= 500 or status == 429:
        return Transient(str(error))
    return ObjectNotFound(key) if code in _MISSING else error
