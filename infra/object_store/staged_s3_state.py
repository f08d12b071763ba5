"""What a bucket has of an object that arrives in pieces: its info, its parts, its tail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from infra.object_store.base import ObjectNotFound, checked_segment
from infra.object_store.s3_calls import Calls

PREFIX = "staged/"
HEAD_BYTES = 64 * 1024
BINARY = "application/octet-stream"


@dataclass(slots=True)
class State:
    """``info`` has key, part (bytes of every part but the last), upload, completed and note."""

    info: dict[str, Any]
    parts: list[dict[str, Any]]
    arrived: int
    """Bytes of the parts."""
    tail: int
    modified: datetime

    @property
    def offset(self) -> int:
        completed: int | None = self.info["completed"]
        return self.arrived + self.tail if completed is None else completed


class StagedObjects:
    """Reads and writes them, for S3Staging and S3Appending."""

    def __init__(self, started: Callable[[], Calls]) -> None:
        self._started = started

    @property
    def calls(self) -> Calls:
        """The bucket."""
        return self._started()

    async def state(self, tenant: str, id: str) -> State:
        """Raises ObjectNotFound."""
        info, modified = await self.read_info(tenant, id)
        parts: list[dict[str, Any]] = []
        if info["upload"] is not None:
            parts = await self._parts(info)
            modified = max([modified, *(each["LastModified"].astimezone(UTC) for each in parts)])
        arrived = sum(each["Size"] for each in parts)
        tail = 0
        try:
            name = tail_key(tenant, id, arrived)
            head = await self.calls.call("head_object", name, Key=name)
            tail = head["ContentLength"]
            modified = max(modified, head["LastModified"].astimezone(UTC))
        except ObjectNotFound:
            pass
        return State(info, parts, arrived, tail, modified)

    async def _parts(self, info: dict[str, Any]) -> list[dict[str, Any]]:
        """Those from the first on, without a gap."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {"Key": info["key"], "UploadId": info["upload"]}
        try:
            while True:
                page = await self.calls.call("list_parts", info["key"], **more)
                for part in page.get("Parts", []):
                    if part["PartNumber"] != len(found) + 1:
                        return found
                    found.append(part)
                if not page.get("IsTruncated"):
                    return found
                more["PartNumberMarker"] = page["NextPartNumberMarker"]
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise
            if info["completed"] is None:
                raise ObjectNotFound(info["key"]) from error
            return []

    async def begin_parts(self, tenant: str, id: str, state: State, media_type: str) -> None:
        """Open the multipart upload, and note it before it has a part."""
        key = state.info["key"]
        made = await self.calls.call(
            "create_multipart_upload",
            key,
            Key=key,
            ContentType=media_type,
            **self.calls.encryption,
        )
        state.info["upload"] = made["UploadId"]
        await self.write_info(tenant, id, state.info)

    async def send_part(self, state: State, number: int, body: bytes) -> dict[str, Any]:
        """Store one part; what ``list_parts`` will tell of it."""
        key = state.info["key"]
        answer = await self.calls.call(
            "upload_part",
            key,
            body=body,
            Key=key,
            UploadId=state.info["upload"],
            PartNumber=number,
            ContentLength=len(body),
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "Size": len(body)}

    async def join_parts(self, state: State) -> None:
        """Make the object of its parts. Raises ClientError when the upload is gone."""
        key = state.info["key"]
        parts = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in state.parts]
        await self.calls.call(
            "complete_multipart_upload",
            key,
            Key=key,
            UploadId=state.info["upload"],
            MultipartUpload={"Parts": parts},
        )

    async def abort(self, info: dict[str, Any]) -> None:
        """Drop the parts; it does not matter whether there are any."""
        key = info["key"]
        try:
            await self.calls.call("abort_multipart_upload", key, Key=key, UploadId=info["upload"])
        except ObjectNotFound:
            pass
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    async def is_there(self, key: str, size: int) -> bool:
        """Whether there is an object of that size."""
        try:
            head = await self.calls.call("head_object", key, Key=key)
        except ObjectNotFound:
            return False
        return bool(head["ContentLength"] == size)

    async def put(self, key: str, body: bytes, media_type: str) -> None:
        await self.calls.call(
            "put_object",
            key,
            body=body,
            Key=key,
            ContentType=media_type,
            ContentLength=len(body),
            **self.calls.encryption,
        )

    async def read(self, key: str) -> bytes:
        """A small object whole. Raises ObjectNotFound."""
        body = await self.calls.open_body(key, 0, None)
        try:
            return b"".join([chunk async for chunk in body.chunks()])
        finally:
            body.close()

    async def read_info(self, tenant: str, id: str) -> tuple[dict[str, Any], datetime]:
        key = info_key(tenant, id)
        head = await self.calls.call("head_object", key, Key=key)
        info: dict[str, Any] = json.loads(await self.read(key))
        return info, head["LastModified"].astimezone(UTC)

    async def write_info(self, tenant: str, id: str, info: dict[str, Any]) -> None:
        await self.put(info_key(tenant, id), json.dumps(info).encode(), "application/json")

    async def list(self, prefix: str) -> AsyncIterator[dict[str, Any]]:
        more: dict[str, Any] = {"Prefix": prefix}
        while True:
            page = await self.calls.call("list_objects_v2", **more)
            for each in page.get("Contents", []):
                yield each
            if not page.get("IsTruncated"):
                return
            more["ContinuationToken"] = page["NextContinuationToken"]


def folder_of(tenant: str, id: str) -> str:
    """Where its objects lie, with a slash at the end."""
    return f"{PREFIX}{checked_segment(tenant)}/{checked_segment(id)}/"


def info_key(tenant: str, id: str) -> str:
    return folder_of(tenant, id) + "info"


def tail_key(tenant: str, id: str, start: int) -> str:
    """The key of the tail that begins at ``start``."""
    return f"{folder_of(tenant, id)}tail-{start}"


def code_of(error: ClientError) -> str:
    """S3's word for an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
