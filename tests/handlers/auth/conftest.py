from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts import sealed
from handlers.auth.handlers import Accounts, Platform, Sessions
from handlers.auth.worker import REACTIONS, commands_of
from infra.passwords import Passwords
from infra.sessions import SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing, new_private_key
from tests.bus.desk import Desk, desk


@dataclass
class Auth(Desk):
    """Auth's desk, and what its handlers use."""

    sessions: SessionStore
    passwords: Passwords
    keys: KeyRing


@pytest.fixture(scope="session")
def auth_settings(tmp_path_factory: pytest.TempPathFactory) -> AuthSettings:
    folder: Path = tmp_path_factory.mktemp("keys")
    (folder / "one.pem").write_bytes(new_private_key())
    return AuthSettings(keys_folder=folder, bcrypt_cost=4)


@pytest.fixture
async def auth(
    mongo_url: str,
    redis_url: str,
    auth_settings: AuthSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Auth]:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    passwords = Passwords(auth_settings.bcrypt_cost)
    async with desk("auth", {}, mongo_url=mongo_url, redis_url=redis_url, logical=3) as made:
        sessions = SessionStore(made.redis, os.urandom(32), idle=3600, absolute=86400, grace=30)
        keys = KeyRing(auth_settings)
        table = commands_of(
            Accounts(passwords),
            Sessions(passwords, sessions, keys, auth_settings),
            Platform(passwords, sessions, keys, auth_settings),
        )
        made.handling.table.update(table)
        made.handling.table.update(REACTIONS)
        made.handling._wires.update({(c.wire, c.wire_version): c for c in made.handling.table})
        yield Auth(
            made.domain,
            made.redis,
            made.database,
            made.publisher,
            made.committer,
            made.handling,
            sessions,
            passwords,
            keys,
        )
    passwords.close()
