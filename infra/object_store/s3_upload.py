"""One object on its way into S3: a single put, or parts of which some travel at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from botocore.exceptions import ClientError

from infra.object_store.s3_calls import Calls


class Upload:
    """Takes parts of equal size, then the rest. Holds ``at_once`` parts, beside the caller's."""

    def __init__(self, calls: Calls, key: str, media_type: str, *, at_once: int) -> None:
        self._calls = calls
        self._key = key
        self._media_type = media_type
        self._at_once = at_once
        self._upload_id: str | None = None
        self._sent: list[asyncio.Task[dict[str, Any]]] = []
        self._flying: set[asyncio.Task[dict[str, Any]]] = set()
        self._bytes = 0

    async def add(self, part: bytes) -> None:
        """Send one part; returns once another may travel."""
        if self._upload_id is None:
            made = await self._calls.call(
                "create_multipart_upload",
                self._key,
                Key=self._key,
                ContentType=self._media_type,
                **self._calls.encryption,
            )
            self._upload_id = made["UploadId"]
        self._bytes += len(part)
        task = asyncio.ensure_future(self._send(len(self._sent) + 1, part))
        self._sent.append(task)
        self._flying.add(task)
        while len(self._flying) >= self._at_once:
            await self._land(asyncio.FIRST_COMPLETED)

    async def complete(self, rest: bytes) -> None:
        """Send what is left and make the object appear."""
        if self._upload_id is None:
            await self._calls.call(
                "put_object",
                self._key,
                body=rest,
                Key=self._key,
                ContentType=self._media_type,
                ContentLength=len(rest),
                **self._calls.encryption,
            )
            return
        if rest:
            await self.add(rest)
        while self._flying:
            await self._land(asyncio.ALL_COMPLETED)
        parts = [task.result() for task in self._sent]
        try:
            await self._calls.call(
                "complete_multipart_upload",
                self._key,
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            # The answer to an attempt that succeeded may have been lost.
            if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                raise
            head = await self._calls.call("head_object", self._key, Key=self._key)
            if head["ContentLength"] != self._bytes:
                raise

    async def abort(self) -> None:
        """Stop what travels and remove what has arrived."""
        for task in self._flying:
            task.cancel()
        await self._calls.protected(self._remove())

    async def _remove(self) -> None:
        # A part that lands after the abort would stay, and be paid for, unseen.
        await asyncio.gather(*self._flying, return_exceptions=True)
        if self._upload_id is not None:
            await self._calls.call(
                "abort_multipart_upload", self._key, Key=self._key, UploadId=self._upload_id
            )

    async def _send(self, number: int, part: bytes) -> dict[str, Any]:
        answer = await self._calls.call(
            "upload_part",
            self._key,
            body=part,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            ContentLength=len(part),
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _land(self, when: str) -> None:
        done, self._flying = await asyncio.wait(self._flying, return_when=when)
        for task in done:
            task.result()
