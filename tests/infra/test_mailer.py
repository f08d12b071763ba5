"""Handing mails to a real SMTP server, and what nothing in a mail can do to it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import EmailStr, TypeAdapter, ValidationError
from redis.asyncio import Redis

from bus.broker import connect
from infra.breaker import Breakers, DependencyUnavailable
from infra.embedded.ports import free_port
from infra.letter import Letter
from infra.mail_notes import MailNotes
from infra.mailer import MailDeferred, Mailer, MailRefused
from infra.settings import BreakerSettings, MailSettings
from tests.infra.smtp_servers import Post, part, post_office

AT = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)


def letter(**changes: str) -> Letter:
    given = {"to": "ann@example.org", "subject": "Hello", "text": "Good day.\n", "html": "<p>x</p>"}
    return Letter(id="mail_1", made_at=AT, **{**given, **changes})


def mailer_of(post: Post, *, threshold: int = 5, ttl: float = 0.2, **settings: object) -> Mailer:
    given = MailSettings.model_validate(
        {"smtp_url": post.url, "timeout": 5.0, "attempts": 2, **settings}
    )
    return Mailer(given, Breakers(None, BreakerSettings(threshold=threshold, ttl=ttl)))


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with post_office() as made:
        yield made


async def test_a_mail_arrives_with_its_headers_and_both_parts(post: Post) -> None:
    mailer = mailer_of(post, sender="Grid8 Ünit <post@grid8.example>")
    await mailer.send(letter(subject="Grüße, 你好 " + "long " * 30, text="Ein € \n.\nend\n"))
    await mailer.close()
    [message] = post.taken
    assert post.envelopes == [("post@grid8.example", "ann@example.org")]
    assert message["From"] == "Grid8 Ünit <post@grid8.example>"
    assert message["Subject"] == ("Grüße, 你好 " + "long " * 30).strip()
    assert message["Message-ID"] == "<mail_1@grid8.example>"
    assert message["Date"].datetime == AT
    assert message["Auto-Submitted"] == "auto-generated"
    assert part(message, "plain") == "Ein € \n.\nend\n"
    assert part(message, "html").strip() == "<p>x</p>"
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "hostile",
    [
        "a\r\nBcc: eve@example.org",
        "a\nX-Evil: 1",
        "a\r\n\r\nbody",
        "a\0b",
        "a\x85b\u2028c\u2029d",
        "\u202egnp.exe",
        "\ud800",
        "=?utf-8?q?x=0D=0ABcc:_eve@example.org?=",
        "x" * 1_000_000,
        "é" * 300_000,
    ],
    ids=[
        "crlf",
        "lf",
        "blank",
        "nul",
        "separators",
        "rtl",
        "surrogate",
        "encoded",
        "huge",
        "huge8",
    ],
)
async def test_a_subject_stays_a_subject(post: Post, hostile: str) -> None:
    mailer = mailer_of(post)
    await mailer.send(letter(subject=hostile))
    [message] = post.taken
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted",
        "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert len(message["Subject"]) <= 200
    assert "\u202e" not in message["Subject"]
    assert part(message, "plain") == "Good day.\n"


async def test_an_address_of_another_alphabet_is_reached(post: Post) -> None:
    mailer = mailer_of(post)
    await mailer.send(letter(to="ann@bücher.example"))
    await mailer.send(letter(to="ännchen@example.org"))
    assert [to for _, to in post.envelopes] == ["ann@xn--bcher-kva.example", "ännchen@example.org"]
    assert post.taken[1]["To"] == "ännchen@example.org"


async def test_an_address_that_looks_encoded_brings_no_header(post: Post) -> None:
    to = TypeAdapter(EmailStr).validate_python("=?utf-8?q?x=0D=0ABcc=3A_e?=@example.org")
    await mailer_of(post).send(letter(to=to))
    [message] = post.taken
    assert "Bcc" not in message
    assert "To" not in message


async def test_the_server_is_signed_in_to_with_user_and_password_of_the_url(post: Post) -> None:
    mailer = mailer_of(post, smtp_url=f"smtp://grid%408:s3cr%3At%40@127.0.0.1:{post.port}")
    await mailer.send(letter())
    assert post.users == [(b"grid@8", b"s3cr:t@")]


async def test_a_wrong_password_is_not_the_mails_fault(post: Post) -> None:
    mailer = mailer_of(post, smtp_url=f"smtp://grid8:hunter2@127.0.0.1:{post.port}")
    with pytest.raises(DependencyUnavailable) as caught:
        await mailer.send(letter())
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"
    assert post.taken == []


async def test_a_mail_refused_for_now_is_tried_again_at_once(post: Post) -> None:
    post.answers = ["451 4.7.1 greylisted"]
    await mailer_of(post).send(letter())
    assert (post.tries, len(post.taken)) == (2, 1)


async def test_a_mail_refused_for_longer_is_deferred_without_opening_the_breaker(
    post: Post,
) -> None:
    mailer = mailer_of(post, threshold=2)
    post.rcpt_answers = ["452 mailbox full"] * 4
    for _ in range(2):
        with pytest.raises(MailDeferred, match="452 mailbox full"):
            await mailer.send(letter())
    await mailer.send(letter())
    assert len(post.taken) == 1


async def test_a_mail_refused_for_good_is_tried_once(post: Post) -> None:
    post.answers = ["554 5.7.1 spam\r\n"]
    with pytest.raises(MailRefused, match=r"^554 5.7.1 spam$") as caught:
        await mailer_of(post).send(letter())
    assert caught.value.status == 554
    assert post.tries == 1


@pytest.mark.parametrize("answer", ["421 closing", "530 authenticate first"])
async def test_what_a_server_says_of_itself_is_no_refusal_of_a_mail(
    post: Post, answer: str
) -> None:
    post.rcpt_answers = [answer] * 2
    with pytest.raises(DependencyUnavailable):
        await mailer_of(post).send(letter())


async def test_the_breaker_opens_while_nobody_answers_and_closes_when_somebody_does() -> None:
    post = Post(port=free_port())
    mailer = mailer_of(post, threshold=2, ttl=0.3)
    with pytest.raises(DependencyUnavailable):
        await mailer.send(letter())
    began = time.monotonic()
    with pytest.raises(DependencyUnavailable, match="unavailable"):
        await mailer.check()
    async with post_office() as there:
        mailer._url = mailer._url._replace(netloc=f"127.0.0.1:{there.port}")
        while True:
            try:
                await mailer.send(letter())
                break
            except DependencyUnavailable as error:
                assert time.monotonic() - began < 20
                await asyncio.sleep(error.retry_after)
        assert len(there.taken) == 1
        await mailer.check()


async def test_a_server_that_says_nothing_is_given_up_after_the_timeout(post: Post) -> None:
    post.gate.clear()
    mailer = mailer_of(post, timeout=0.2, answer_timeout=0.3, attempts=1)
    with pytest.raises(DependencyUnavailable):
        await mailer.send(letter())
    post.gate.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and certificate of localhost that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_tls_is_spoken_with_a_server_that_can_prove_its_name_and_no_other(
    scheme: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    options = {"tls": context} if scheme == "smtps" else {"tls_context": context}
    async with post_office(**options) as post:
        given = {"smtp_url": f"{scheme}://localhost:{post.port}"}
        with pytest.raises(DependencyUnavailable):
            await mailer_of(post, **given).send(letter())
        assert post.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await mailer_of(post, **given).send(letter())
        assert len(post.taken) == 1


async def test_starttls_is_not_given_up_where_the_server_does_not_offer_it(post: Post) -> None:
    mailer = mailer_of(post, smtp_url=f"smtp+starttls://127.0.0.1:{post.port}")
    with pytest.raises(DependencyUnavailable):
        await mailer.send(letter())
    assert post.taken == []


@pytest.mark.parametrize(
    "url",
    ["http://mail", "smtp://", "mail:25", "smtp://ann@mail", "smtp://mail:99999", "smtp://mail:0"],
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValidationError):
        MailSettings(smtp_url=url)


@pytest.mark.parametrize("sender", ["", "Grid8", "a@b\r\nBcc: c@d", "@b", "Ann <@>"])
def test_a_sender_without_an_address_is_refused(sender: str) -> None:
    with pytest.raises(ValidationError):
        MailSettings(sender=sender)


async def test_notes_tell_what_was_sent_and_how_long_to_wait(redis_url: str) -> None:
    redis: Redis = connect(redis_url.removesuffix("/0") + "/7")
    await redis.flushdb()
    notes = MailNotes(redis)
    assert not await notes.was_sent("mail_1")
    assert await notes.wait("mail_1") == 0
    await notes.put_off("mail_1", 30)
    assert 0 < await notes.wait("mail_1") <= 30
    await notes.sent("mail_1")
    assert await notes.was_sent("mail_1")
    assert await notes.wait("mail_1") == 0
    await redis.aclose()
