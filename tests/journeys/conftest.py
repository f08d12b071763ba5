"""The stack and the client of tests/gateway."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from gateway_client import api, http
from gateway_stack import no_internal_error, stack

__all__ = ["api", "http", "no_internal_error", "stack"]
