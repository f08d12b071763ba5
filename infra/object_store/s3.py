"""Objects in an S3 bucket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig

from infra.breaker import Breakers
from infra.object_store.base import (
    ObjectNotFound,
    ObjectStat,
    ObjectTooLarge,
    Written,
    checked_key,
    checked_prefix,
    checked_range,
)
from infra.object_store.local_files import in_thread, read_chunks
from infra.object_store.s3_calls import Calls
from infra.object_store.s3_direct import S3Direct
from infra.object_store.s3_upload import Upload
from infra.object_store.staged_s3 import S3Staging
from infra.settings import StoreSettings

_PARTS = 10_000
_HASH_IN_THREAD_BYTES = 256 * 1024
_DELETE_KEYS = 1000


class S3Store:
    """One client for the life of the process. The bucket must exist."""

    def __init__(self, settings: StoreSettings, breakers: Breakers) -> None:
        self._settings = settings
        self._breakers = breakers
        self._stack = AsyncExitStack()
        self._calls: Calls | None = None
        self._direct: S3Direct | None = None
        self._signing = asyncio.Lock()
        self._signer: Any = None

    async def start(self) -> None:
        self._calls = Calls(
            await self._client(self._settings.endpoint_url), self._settings, self._breakers
        )
        self._direct = S3Direct(self._calls, self._signing_client, self._settings)

    async def _client(self, endpoint_url: str | None) -> Any:
        settings = self._settings
        config = AioConfig(
            # Ours know the breaker and add jitter; botocore's would multiply with them.
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=min(10.0, settings.timeout),
            read_timeout=settings.timeout,
            max_pool_connections=64,
            # Presigned URLs are signed as long ago in some regions unless this is said.
            signature_version="s3v4",
            # Other makes of S3 refuse the checksums that Amazon takes by default.
            request_checksum_calculation="when_required" if endpoint_url else None,
            response_checksum_validation="when_required",
        )
        access, secret = settings.access_key, settings.secret_key
        return await self._stack.enter_async_context(
            aioboto3.Session().client(
                "s3",
                region_name=settings.region,
                endpoint_url=endpoint_url,
                aws_access_key_id=access.get_secret_value() if access else None,
                aws_secret_access_key=secret.get_secret_value() if secret else None,
                config=config,
            )
        )

    async def _signing_client(self) -> Any:
        async with self._signing:
            if self._signer is None:
                settings = self._settings
                self._signer = await self._client(
                    settings.public_endpoint_url or settings.endpoint_url
                )
            return self._signer

    async def close(self) -> None:
        if self._calls is not None:
            await self._calls.finish()
        await self._stack.aclose()

    async def write(
        self, key: str, chunks: AsyncIterator[bytes], *, media_type: str, limit: int
    ) -> Written:
        upload = Upload(
            self._started, checked_key(key), media_type, at_once=self._settings.parts_at_once
        )
        part_bytes = max(self._settings.part_bytes, -(-limit // _PARTS))
        digest = hashlib.sha256()
        total = 0
        part = bytearray()
        try:
            async for chunk in chunks:
                total += len(chunk)
                if total > limit:
                    raise ObjectTooLarge(limit)
                if len(chunk) >= _HASH_IN_THREAD_BYTES:
                    await asyncio.to_thread(digest.update, chunk)
                else:
                    digest.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    room = part_bytes - len(part)
                    part += rest[:room]
                    rest = rest[room:]
                    if len(part) == part_bytes:
                        await upload.add(bytes(part))
                        part = bytearray()
            await upload.complete(bytes(part))
        except BaseException:
            await upload.abort()
            raise
        return Written(total, digest.hexdigest())

    async def write_file(self, key: str, path: Path, *, media_type: str) -> None:
        file = await asyncio.to_thread(path.open, "rb")
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            async with aclosing(read_chunks(file)) as chunks:
                await self.write(key, chunks, media_type=media_type, limit=size)
        finally:
            await asyncio.to_thread(file.close)

    @asynccontextmanager
    async def read(
        self, key: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        checked_range(start, end)
        body = await self._started.open_body(checked_key(key), start, end)
        async with aclosing(body.chunks()) as chunks:
            try:
                yield chunks
            finally:
                body.close()

    async def fetch(self, key: str, path: Path) -> None:
        async with self.read(key) as chunks:
            file = await asyncio.to_thread(path.open, "wb")
            try:
                try:
                    async for chunk in chunks:
                        await in_thread(file.write, chunk)
                finally:
                    await in_thread(file.close)
            except BaseException:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                raise

    async def stat(self, key: str) -> ObjectStat:
        head = await self._started.call("head_object", checked_key(key), Key=key)
        return ObjectStat(
            key,
            head["ContentLength"],
            head["LastModified"].astimezone(UTC),
            head.get("ContentType"),
        )

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            checked_key(key)
        for at in range(0, len(keys), _DELETE_KEYS):
            await self._started.delete(keys[at : at + _DELETE_KEYS])

    async def list(self, prefix: str, *, after: str = "") -> AsyncIterator[ObjectStat]:
        more: dict[str, Any] = {"Prefix": checked_prefix(prefix)}
        if after:
            more["StartAfter"] = after
        while True:
            page = await self._started.call("list_objects_v2", **more)
            for found in page.get("Contents", []):
                modified = found["LastModified"].astimezone(UTC)
                yield ObjectStat(found["Key"], found["Size"], modified, None)
            if not page.get("IsTruncated"):
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    async def check(self) -> None:
        try:
            await self._started.call("head_bucket")
        except ObjectNotFound:
            raise FileNotFoundError(f"no bucket {self._settings.bucket}") from None

    def local_path(self, key: str) -> Path | None:
        checked_key(key)
        return None

    def direct(self) -> S3Direct:
        if self._direct is None:
            raise RuntimeError("the store is not started")
        return self._direct

    def staging(self) -> S3Staging:
        return S3Staging(lambda: self._started, self._settings)

    @property
    def _started(self) -> Calls:
        if self._calls is None:
            raise RuntimeError("the store is not started")
        return self._calls
