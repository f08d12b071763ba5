"""A real SMTP server in this process that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Post:
    """What came, and what to answer: the front of ``answers`` to the next mails, then 250."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    rcpt_answers: list[str] = field(default_factory=list)
    taken: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, str]] = field(default_factory=list)
    tries: int = 0
    sessions: int = 0
    users: list[tuple[bytes, bytes]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: mails are answered. Cleared: they wait."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.rcpt_answers:
            return self.rcpt_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 yes"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.tries += 1
        await self.gate.wait()
        if self.answers:
            answer = self.answers.pop(0)
            if not answer.startswith("2"):
                return answer
        message = message_from_bytes(envelope.original_content or b"", policy=POLICY)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        self.envelopes.append((str(envelope.mail_from), str(envelope.rcpt_tos[0])))
        return "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cr:t@")


@asynccontextmanager
async def post_office(**options: Any) -> AsyncIterator[Post]:
    """A server on a free port; ``tls`` is the context of one that speaks TLS from the start."""
    post = Post()
    post.gate.set()
    tls = options.pop("tls", None)

    def session() -> SMTP:
        post.sessions += 1
        return SMTP(
            post,
            hostname="post.localhost",
            enable_SMTPUTF8=True,
            authenticator=post.authenticate,
            auth_require_tls=False,
            **options,
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls)
    post.port = server.sockets[0].getsockname()[1]
    async with server:
        yield post


def part(message: EmailMessage, kind: str) -> str:
    """The text of the plain or HTML part."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
