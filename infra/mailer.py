"""Hands mails to an SMTP server: TLS, sign-in, timeouts, retries, and a breaker for all processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from infra.breaker import Breakers, DependencyUnavailable
from infra.letter import Letter, one_line
from infra.settings import MailSettings

CIRCUIT = "smtp"
LEAVING = 2.0
"""Seconds that a server is given to say goodbye."""
PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
"""Where a server listens whose URL names no port, by scheme."""
_OUR_FAULT = {421, 530, 534, 535, 538}
"""Replies that are about the server or our access to it, whatever the mail: RFC 5321, 4954."""


class MailRefused(Exception):
    """The server will never take this mail."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status} {said}".strip())
        self.status = status


class MailDeferred(Exception):
    """The server does not take this mail now; it takes others."""


class ServerAway(Exception):
    """The server cannot be used, for whichever mail."""


class Mailer:
    """One server, as the settings name it.

    A mail has a connection of its own. It counts as handed over when the server has said so
    after the last byte; a connection that breaks just then leaves it unknown, and the mail is
    sent once more, with the Message-ID it had.
    """

    def __init__(self, settings: MailSettings, breakers: Breakers) -> None:
        self._settings = settings
        self._breakers = breakers
        self._url = urlsplit(settings.smtp_url)
        self._sender = parseaddr(settings.sender)[1]
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> None:
        """Returns once the server has the mail.

        Raises MailRefused for good, MailDeferred or DependencyUnavailable for now.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=wait_exponential_jitter(multiplier=0.2, max=5.0, jitter=0.3),
            retry=retry_if_exception_type((ServerAway, MailDeferred)),
            reraise=True,
        )
        content = letter.content(self._settings.sender)
        try:
            async for attempt in retrying:
                with attempt:
                    async with self._breakers.guard(CIRCUIT, counted=(ServerAway,)):
                        await self._hand_over(letter, content)
        except ServerAway as error:
            raise DependencyUnavailable(CIRCUIT, 1.0) from error

    async def check(self) -> None:
        """Raise unless the server greets us, for /ready. It says nothing of our password."""
        async with self._breakers.guard(CIRCUIT, counted=(ServerAway,)), self._connected(None):
            pass

    async def close(self) -> None:
        """Wait for what is said at the end of connections."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _hand_over(self, letter: Letter, content: bytes) -> None:
        user = unquote(self._url.username) if self._url.username else None
        async with self._connected(user) as client:
            options: list[str] = []
            encoding = "ascii"
            if not letter.recipient.isascii():
                if not client.supports_extension("smtputf8"):
                    raise MailRefused(553, "the server takes no address like this one (SMTPUTF8)")
                options, encoding = ["BODY=8BITMIME", "SMTPUTF8"], "utf-8"
            with _meanings():
                await client.mail(self._sender, options=options, encoding=encoding)
                await client.rcpt(letter.recipient, encoding=encoding)
                await client.data(content, timeout=self._settings.answer_timeout)

    @asynccontextmanager
    async def _connected(self, user: str | None) -> AsyncIterator[SMTP]:
        scheme = self._url.scheme
        client = SMTP(
            hostname=self._url.hostname,
            port=self._url.port or PORTS[scheme],
            username=user,
            password=unquote(self._url.password or "") if user else None,
            timeout=self._settings.timeout,
            use_tls=scheme == "smtps",
            start_tls=scheme == "smtp+starttls",
            # Not looked up: that can take longer than the mail.
            local_hostname=self._sender.rpartition("@")[2],
        )
        try:
            await client.connect()
            await client.ehlo()
        except (SMTPException, OSError) as error:
            client.close()
            raise ServerAway(_said(error)) from error
        try:
            yield client
        finally:
            task = asyncio.create_task(_leave(client))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)


async def _leave(client: SMTP) -> None:
    with contextlib.suppress(SMTPException, OSError):
        async with asyncio.timeout(LEAVING):
            await client.quit()
    client.close()


@contextlib.contextmanager
def _meanings() -> Iterator[None]:
    """What an answer to a mail, or none, means for it."""
    try:
        yield
    except SMTPResponseException as error:
        if error.code in _OUR_FAULT or not 400 <= error.code < 600:
            raise ServerAway(_said(error)) from error
        if error.code < 500:
            raise MailDeferred(_said(error)) from error
        raise MailRefused(error.code, one_line(error.message)[:300]) from error
    except (SMTPException, OSError) as error:
        raise ServerAway(_said(error)) from error


def _said(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return f"{error.code}: it does not take our user and password"
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {one_line(error.message)[:300]}"
    return f"{type(error).__name__}: {one_line(str(error))[:300]}"
