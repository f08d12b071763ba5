"""The fixtures of these tests; a test that fails shows the logs of its stack."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from gateway_client import alpha, api, asker, beta, http, impersonating, platform
from gateway_stack import SHARED, no_internal_error, show_logs, stack

__all__ = [
    "alpha",
    "api",
    "asker",
    "beta",
    "http",
    "impersonating",
    "no_internal_error",
    "platform",
    "stack",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    report = yield
    if report.failed and SHARED in item.config.stash:
        report.sections.append(("logs of the stack", show_logs(item.config.stash[SHARED])))
    return report
