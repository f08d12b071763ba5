"""The processes of a measurement: their settings, and their processor time, from /proc."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

UNLIMITED = {
    "GRID8_LIMITS__CALLER": "0",
    "GRID8_LIMITS__ADDRESS": "0",
    "GRID8_LIMITS__IDENTITY": "0",
}
"""One caller makes all the load."""

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system seconds a process has used so far; 0.0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_kib(pid: int) -> dict[str, int]:
    """KiB a process has resident, and those that are no other's too. Raises OSError (not Linux)."""
    counted = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        if name in counted:
            counted[name] = int(rest.split()[0])
    return {
        "resident": counted["Rss"],
        "private": counted["Private_Clean"] + counted["Private_Dirty"],
    }


async def run_load(spec: dict[str, Any]) -> dict[str, Any]:
    """What ``scripts.bench.load`` measures, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.bench.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    spec = {**spec, "prefix": secrets.token_hex(4)}
    out, _ = await process.communicate(json.dumps(spec).encode())
    if process.returncode:
        raise RuntimeError("the load generator failed; see above")
    result: dict[str, Any] = json.loads(out)
    return result
