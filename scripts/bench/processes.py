"""The processes of a measurement: their settings, and their processor time, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

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
