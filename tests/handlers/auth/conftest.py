from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from bus import streams
from bus.broker import decode
from contracts import sealed
from contracts.envelope import Envelope
from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from handlers.auth.worker import REACTIONS, built, open_attempts
from infra.attempts import Attempts
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
    attempts: Attempts

    async def mails(self) -> list[SendMail]:
        """The mails that were staged and nobody has taken yet; takes them."""
        found = []
        for id, fields in await self.redis.xrange(streams.commands("mail")):
            message = Envelope.model_validate_json(decode(fields))
            found.append(SendMail.model_validate(message.data, context=sealed.OPEN))
            await self.redis.xdel(streams.commands("mail"), id)
        return found

    async def token(self, template: MailTemplate) -> str:
        """The secret of the one mail of this template among those staged."""
        (mail,) = [each for each in await self.mails() if each.template == template]
        assert mail.token is not None
        return mail.token.reveal()


@pytest.fixture(scope="session")
def auth_settings(tmp_path_factory: pytest.TempPathFactory) -> AuthSettings:
    folder: Path = tmp_path_factory.mktemp("keys")
    (folder / "one.pem").write_bytes(new_private_key())
    return AuthSettings(keys_folder=folder, bcrypt_cost=4, attempts_free=5)


@dataclass
class Clock:
    """The time as the delays after failed sign-ins see it."""

    now: float

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It stands still: on a slow machine no delay passes by itself."""
    made = Clock(time.time())
    monkeypatch.setattr("infra.attempts.time", made)
    return made


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
        attempts = open_attempts(made.redis, auth_settings)
        table = built(passwords, sessions, keys, attempts, auth_settings, patience=10.0)
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
            attempts,
        )
    passwords.close()


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often bcrypt was asked, by what it was asked."""
    counted: Counter[str] = Counter()

    def counting(name: str, real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            counted[name] += 1
            return real(*arguments)

        return call

    for name in ("hashpw", "checkpw"):
        monkeypatch.setattr(bcrypt, name, counting(name, getattr(bcrypt, name)))
    return counted
