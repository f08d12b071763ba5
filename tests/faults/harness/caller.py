"""Somebody who calls the gateway, and bears that it is not there."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.faults.harness.waiting import until

BROKEN = 0
"""The status of a request whose connection broke: nobody knows what became of it."""
UNSENT = -1
"""The status of a request for which there was no connection: nothing came of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    body: Any = None
    retry_after: str | None = None
    replayed: bool = False
    took: float = 0.0

    @property
    def code(self) -> str:
        """The code of a problem, else nothing."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""

    @property
    def unknown(self) -> bool:
        """Whether it may have been done and may not."""
        return self.status in (BROKEN, UNSENT) or (
            self.status == 503 and self.code != "command_lost"
        )


@dataclass(slots=True)
class Caller:
    """A person with a session. ``forgiving``: signs in again when the session is gone."""

    http: aiohttp.ClientSession
    url: str
    credentials: dict[str, str]
    forgiving: bool = False
    token: str = ""
    session: str = ""
    signing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def new(cls, http: aiohttp.ClientSession, url: str, *, forgiving: bool = False) -> Caller:
        """Register somebody and sign in."""
        caller = cls(
            http,
            url,
            {"email": f"{secrets.token_hex(6)}@example.org", "password": secrets.token_hex(12)},
            forgiving,
        )
        body = {**caller.credentials, "name": "Kay"}
        answer = await caller.send("POST", "/v1/auth/register", json=body, signed=False)
        assert answer.status == 202, answer
        await caller.sign_in()
        return caller

    async def sign_in(self, instead_of: str = "") -> None:
        """Open a session, unless another has replaced that token meanwhile."""
        async with self.signing:
            if self.token != instead_of:
                return

            async def signed_in() -> Any:
                answer = await self.send(
                    "POST", "/v1/auth/sessions", json=self.credentials, signed=False
                )
                if answer.status == 201:
                    self.token = answer.body["access_token"]
                    self.session = answer.body["session_id"]
                return answer.status == 201 or answer

            await until(signed_in, "somebody signs in")

    async def send(
        self, method: str, path: str, *, signed: bool = True, headers: Any = None, **more: Any
    ) -> Answer:
        """One request and its answer."""
        token = self.token
        given = {"Authorization": f"Bearer {token}"} if signed else {}
        began = time.monotonic()
        try:
            async with self.http.request(
                method, self.url + path, headers={**given, **(headers or {})}, **more
            ) as response:
                body = await response.json(content_type=None) if response.status != 204 else None
                answer = Answer(
                    response.status,
                    body,
                    response.headers.get("Retry-After"),
                    "Idempotent-Replayed" in response.headers,
                    time.monotonic() - began,
                )
        except aiohttp.ClientConnectorError:
            return Answer(UNSENT, took=time.monotonic() - began)
        except (aiohttp.ClientError, OSError):  # a timeout is not expected, and not caught
            return Answer(BROKEN, took=time.monotonic() - began)
        if signed and answer.status == 401 and self.forgiving:
            await self.sign_in(instead_of=token)
            return await self.send(method, path, headers=headers, **more)
        return answer
