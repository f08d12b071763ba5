"""A file of gigabytes in pieces, whose gateway is killed in the middle: it comes whole, and costs no memory.

``TUS_BYTES`` is the size; the ordinary run takes a smaller one. The long run of 5 GB:
``TUS_BYTES=5368709120 .venv/bin/python -m pytest tests/faults/test_tus_kill.py --timeout 1800``.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.embedded.running import RunningStack
from tests.faults.harness import Caller, fault_stack, until

MIB = 1024 * 1024
BYTES = int(os.environ.get("TUS_BYTES", 200 * MIB))
BLOCK = random.Random(7).randbytes(MIB)
GROWTH = 100 * MIB
TUS = {"Tus-Resumable": "1.0.0"}


def block(number: int) -> bytes:
    """The bytes of one mebibyte of the file: no two are alike."""
    return number.to_bytes(8) + BLOCK[8:]


def content(start: int, end: int) -> bytes:
    """Bytes of the file, within one block."""
    number, at = divmod(start, MIB)
    return block(number)[at : at + end - start]


async def stream(start: int) -> AsyncIterator[bytes]:
    """The file from an offset on, made as it is sent."""
    while start < BYTES:
        end = min(BYTES, (start // MIB + 1) * MIB)
        yield content(start, end)
        start = end


def digest() -> str:
    whole = hashlib.sha256()
    for start in range(0, BYTES, MIB):
        whole.update(content(start, min(BYTES, start + MIB)))
    return whole.hexdigest()


def memory(pid: int, name: str) -> int:
    """VmHWM, the largest resident set a process has had, or VmRSS, that of now; in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{pid} tells no {name}")


class Resumer:
    """Sends what is missing, and asks where to go on."""

    def __init__(self, http: aiohttp.ClientSession, stack: RunningStack, caller: Caller) -> None:
        self.http = http
        self.base = stack.gateway_url
        self.headers = {"Authorization": f"Bearer {caller.token}", **TUS}

    async def create(self, org: str) -> str:
        url = f"{self.base}/v1/orgs/{org}/uploads"
        headers = {**self.headers, "Upload-Length": str(BYTES)}
        async with self.http.post(url, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return self.base + answer.headers["Location"]

    async def head(self, url: str) -> Any:
        try:
            async with self.http.head(url, headers=self.headers) as answer:
                return answer.headers if answer.status == 200 else None
        except (aiohttp.ClientError, OSError):
            return None

    async def send(self, url: str, offset: int) -> tuple[int, dict[str, str]]:
        """One PATCH of all that is missing; 0 where its connection broke."""
        headers = {
            **self.headers,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(BYTES - offset),
        }
        try:
            async with self.http.patch(url, data=stream(offset), headers=headers) as answer:
                return answer.status, dict(answer.headers)
        except (aiohttp.ClientError, OSError):
            return 0, {}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells of memory")
@pytest.mark.timeout(1800)
async def test_a_large_upload_survives_the_death_of_its_gateway(tmp_path: Path) -> None:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=600)
    async with fault_stack(tmp_path) as stack, aiohttp.ClientSession(timeout=timeout) as http:
        caller = await Caller.new(http, stack.gateway_url)
        org = (await caller.send("POST", "/v1/orgs", json={"name": "Large"})).body["id"]
        resumer = Resumer(http, stack, caller)
        url = await resumer.create(org)
        gateway = stack.process("gateway")
        before = memory(gateway.pid, "VmRSS")

        began = time.monotonic()
        sending = asyncio.create_task(resumer.send(url, 0))
        staged = Path(stack.env["GRID8_STORE__FOLDER"]) / ".staged" / org
        file = staged / f"{url.rpartition('/')[2]}.bytes"

        async def half() -> bool:
            return file.stat().st_size >= BYTES // 2

        await until(half, "half of it has come", seconds=900)
        first_growth = memory(gateway.pid, "VmHWM") - before
        stack.kill("gateway")
        status, _ = await sending
        assert status == 0
        kept = file.stat().st_size
        assert kept >= BYTES // 2, "what had come is kept"
        first = time.monotonic() - began
        await stack.restarted("gateway")

        async def there() -> bool:
            found = await resumer.head(url)
            return found is not None and int(found["Upload-Offset"]) == kept

        await until(there, "the upload is found as it was")
        pid = stack.process("gateway").pid
        again = memory(pid, "VmRSS")
        began, answer = time.monotonic(), {}

        async def ended() -> bool:
            """The lock of the gateway that died frees itself."""
            nonlocal answer
            status, answer = await resumer.send(url, kept)
            assert status in (0, 204, 423), (status, answer)
            return status == 204

        await until(ended, "the rest is taken", seconds=900)
        second = time.monotonic() - began
        second_growth = memory(pid, "VmHWM") - again
        assert answer["Upload-Offset"] == str(BYTES)
        asset = (await caller.send("GET", answer["Content-Location"])).body
        assert asset["bytes"] == BYTES
        assert asset["sha256"] == digest()
        print(
            f"\n{BYTES / MIB:.0f} MiB: {kept / MIB:.0f} kept by the kill, {first:.1f} s before and "
            f"{second:.1f} s after it (with the lock and the second reading); growth of the "
            f"gateway's memory {first_growth / MIB:.1f} and {second_growth / MIB:.1f} MiB"
        )
        assert max(first_growth, second_growth) < GROWTH
