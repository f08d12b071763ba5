"""Presigned uploads into an S3 bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from infra.object_store.base import ObjectNotFound, checked_key, checked_prefix
from infra.object_store.direct import Multipart, Part, Target
from infra.object_store.s3_calls import Calls
from infra.settings import StoreSettings

BINARY = "application/octet-stream"
"""What the store calls them: nobody has looked into them yet."""
_SIGNED_AT_ONCE = 10
"""URLs between which others get their turn: each takes a millisecond or two of processor."""


class S3Direct:
    """``signer`` gives the client whose URLs lead where clients reach the store."""

    def __init__(
        self, calls: Calls, signer: Callable[[], Awaitable[Any]], settings: StoreSettings
    ) -> None:
        self._calls = calls
        self._signer = signer
        self._settings = settings

    async def target(self, key: str, size: int, seconds: int) -> Target:
        more = self._calls.encryption
        url = await self._sign("put_object", key, size, seconds, more)
        headers = {}
        if "ServerSideEncryption" in more:
            headers["x-amz-server-side-encryption"] = more["ServerSideEncryption"]
        if "SSEKMSKeyId" in more:
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = more["SSEKMSKeyId"]
        return Target(url, headers)

    async def begin(self, key: str) -> str:
        made = await self._calls.call(
            "create_multipart_upload",
            key,
            Key=checked_key(key),
            ContentType=BINARY,
            **self._calls.encryption,
        )
        return str(made["UploadId"])

    async def part_targets(
        self, key: str, id: str, sizes: Sequence[int], seconds: int
    ) -> list[Target]:
        found = []
        for number, size in enumerate(sizes, 1):
            part = {"UploadId": id, "PartNumber": number}
            found.append(Target(await self._sign("upload_part", key, size, seconds, part), {}))
            if number % _SIGNED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    async def parts(self, key: str, id: str) -> list[Part]:
        found: list[Part] = []
        more: dict[str, Any] = {}
        while True:
            page = await self._of_upload("list_parts", key, id, **more)
            found += [
                Part(
                    each["PartNumber"],
                    each["Size"],
                    each["ETag"].strip('"'),
                    each["LastModified"].astimezone(UTC),
                )
                for each in page.get("Parts", [])
            ]
            if not page.get("IsTruncated"):
                return found
            more["PartNumberMarker"] = page["NextPartNumberMarker"]

    async def assemble(self, key: str, id: str, parts: Sequence[Part]) -> None:
        named = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        await self._of_upload(
            "complete_multipart_upload", key, id, MultipartUpload={"Parts": named}
        )

    async def abort(self, key: str, id: str) -> None:
        try:
            await self._of_upload("abort_multipart_upload", key, id)
        except ObjectNotFound:
            return

    async def unfinished(self, prefix: str) -> AsyncIterator[Multipart]:
        more: dict[str, Any] = {"Prefix": checked_prefix(prefix)}
        while True:
            page = await self._calls.call("list_multipart_uploads", **more)
            for each in page.get("Uploads", []):
                begun = each["Initiated"].astimezone(UTC)
                yield Multipart(each["Key"], each["UploadId"], begun)
            if not page.get("IsTruncated"):
                return
            more["KeyMarker"] = page["NextKeyMarker"]
            more["UploadIdMarker"] = page["NextUploadIdMarker"]

    async def _of_upload(self, operation: str, key: str, id: str, **more: Any) -> Any:
        try:
            return await self._calls.call(operation, key, Key=checked_key(key), UploadId=id, **more)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchUpload":
                raise ObjectNotFound(key) from error
            raise

    async def _sign(
        self, operation: str, key: str, size: int, seconds: int, more: dict[str, Any]
    ) -> str:
        signer = await self._signer()
        place = {"Bucket": self._settings.bucket, "Key": checked_key(key), "ContentLength": size}
        url: str = await signer.generate_presigned_url(
            operation, Params=place | more, ExpiresIn=seconds
        )
        return url
