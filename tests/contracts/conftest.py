from __future__ import annotations

import os

import pytest

from contracts import sealed


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Sealing keys of the test's own, newest first."""
    monkeypatch.setattr(sealed, "_keys", [])
    made = [os.urandom(32), os.urandom(32)]
    sealed.use_keys(made[:1])
    return made
