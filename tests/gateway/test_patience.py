"""Whatever is late within a request is a dependency that is down, never an error of ours."""

from __future__ import annotations

import asyncio

import pytest

from gateway import patience as module
from gateway.errors import DependencyDown
from gateway.patience import patience


async def test_what_does_not_answer_is_a_dependency_that_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.01)
    with pytest.raises(DependencyDown), patience():
        await asyncio.Event().wait()


async def test_so_is_what_gives_up_before_its_time() -> None:
    with pytest.raises(DependencyDown), patience():
        raise TimeoutError("somebody else holds it")


async def test_other_errors_and_answers_pass() -> None:
    with pytest.raises(LookupError), patience():
        raise LookupError
    with patience():
        answer = 7
    assert answer == 7
