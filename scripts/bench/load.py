"""A load generator that costs little: keep-alive sockets, requests written by hand.

``python -m scripts.bench.load`` reads one JSON object from standard input
(url, token, headers, connections, seconds, prefix) and prints one with counts and latencies.
``method`` may be GET; ``bodies`` are sent in turn instead of a brand each, or files of ``size``
random bytes, no two alike, as ``media_type``; ``rate`` is how many
requests a second are due on each connection, late ones counted from when they were due.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop

MARK = 32
"""Bytes at the beginning of a file that make it another one."""


async def _client(number: int, spec: dict[str, Any], until: float, seen: dict[str, Any]) -> None:
    url = urlsplit(spec["url"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    method, media_type = spec.get("method", "POST"), spec.get("media_type", "application/json")
    head = (
        f"{method} {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        + (f"Authorization: Bearer {spec['token']}\r\n" if spec["token"] else "")
        + ("" if method == "GET" else f"Content-Type: {media_type}\r\n")
        + "".join(f"{name}: {value}\r\n" for name, value in spec["headers"].items())
    )
    bodies, pause = spec.get("bodies"), 1 / spec["rate"] if spec.get("rate") else 0.0
    filler = os.urandom(spec["size"] - MARK) if spec.get("size") else b""
    due = time.perf_counter() + pause * number / spec["connections"]
    count = 0
    while time.perf_counter() < until:
        body = json.dumps({"name": f"{spec['prefix']} {number} {count}"})
        if bodies:
            body = bodies[(number + count) % len(bodies)]
        count += 1
        started = time.perf_counter()
        if pause:
            await asyncio.sleep(max(0.0, due - started))
            started, due = due, due + pause
        if method == "GET":
            writer.write(f"{head}\r\n".encode())
        elif filler:
            mark = f"file {number} {count} ".encode().ljust(MARK, b"\x00")
            writer.write(f"{head}Content-Length: {MARK + len(filler)}\r\n\r\n".encode() + mark)
            writer.write(filler)
            await writer.drain()
        else:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        lowered = answer.lower()
        at = lowered.index(b"content-length:") + 15
        await reader.readexactly(int(lowered[at : lowered.index(b"\r\n", at)]))
        seen["latencies"].append(time.perf_counter() - started)
        status = answer[9:12].decode()
        seen["statuses"][status] = seen["statuses"].get(status, 0) + 1
    writer.close()


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    """Load one address for some seconds; requests/s, latencies in ms, and statuses."""
    seen: dict[str, Any] = {"latencies": [], "statuses": {}}
    started = time.perf_counter()
    until = started + spec["seconds"]
    await asyncio.gather(
        *(_client(number, spec, until, seen) for number in range(spec["connections"]))
    )
    took = time.perf_counter() - started
    ordered = sorted(seen["latencies"])
    return {
        "requests": len(ordered),
        "per_second": len(ordered) / took,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
        "statuses": seen["statuses"],
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.load(sys.stdin)))))
