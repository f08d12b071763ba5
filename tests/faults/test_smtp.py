"""The SMTP server goes away, stands still, and says no: mails wait, and each is sent once."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

import contracts.catalog  # noqa: F401 - commands are declared
from bus import streams
from bus.broker import FIELD, encode
from contracts import sealed
from contracts.envelope import Envelope
from contracts.mail.commands import SendMail
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from infra.embedded.running import RunningStack
from infra.secrets import use_secrets
from infra.settings import SecretsSettings, Settings
from tests.faults.harness import (
    Stores,
    check_mails,
    check_quiet,
    fault_stack,
    kept,
    stores_of,
    until,
)
from tests.faults.line import Line, State
from tests.faults.test_dependency import metric
from tests.infra.smtp_servers import Post, post_office

MAILS = 12
BREAKER = "grid8:breaker:{smtp}"
SLOW = streams.commands("mail", "slow")
QUICK_MAIL = {
    "GRID8_MAIL__TIMEOUT": "1",
    "GRID8_MAIL__ANSWER_TIMEOUT": "2",
    "GRID8_MAIL__ATTEMPTS": "2",
    "GRID8_BREAKER__THRESHOLD": "3",
    "GRID8_BREAKER__TTL": "1.5",
}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    """A stack with its own sink."""
    async with fault_stack(tmp_path_factory.mktemp("sink"), QUICK_MAIL) as running:
        yield running


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[tuple[Post, Line]]:
    """A server that answers as it is told, behind a line that can be cut."""
    async with post_office() as post:
        line = Line("127.0.0.1", post.port)
        await line.turn("through")
        yield post, line
        await line.close()


@pytest.fixture(scope="module")
async def elsewhere(
    office: tuple[Post, Line], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningStack]:
    """A stack whose mails go to that server."""
    env = {**QUICK_MAIL, "GRID8_MAIL__SMTP_URL": f"smtp://127.0.0.1:{office[1].port}"}
    async with fault_stack(tmp_path_factory.mktemp("elsewhere"), env) as running:
        yield running


async def ask(stack: RunningStack, stores: Stores, count: int, host: str) -> list[str]:
    """Ask for so many mails, as another domain would; the addresses."""
    before = list(sealed._keys)
    keys = SecretsSettings.model_validate({"keys": stack.env["GRID8_SECRETS__KEYS"]})
    use_secrets(Settings(secrets=keys))
    addresses = [f"{number}@{host}" for number in range(count)]
    for to in addresses:
        command = SendMail(
            to=to,
            template=MailTemplate.VERIFY_ADDRESS,
            values={"name": "Ann"},
            token=Sealed("vt_secret"),
        )
        message = Envelope.of_command(command, source="/grid8/tests")
        value = encode(message.wire(), id=message.id, correlation=None)
        await stores.redis.xadd(streams.commands("mail"), {FIELD: value})
    sealed._keys[:] = before
    return addresses


async def until_sent(stores: Stores, host: str, count: int) -> None:
    async def sent() -> Any:
        query = {"to": {"$regex": f"@{host}$"}, "status": "sent"}
        found = await stores.database["mails"].count_documents(query)
        return found == count or found

    await until(sent, f"{count} mails to {host} are sent")


async def test_a_sink_that_stands_still_takes_every_mail_once_when_it_goes_on(
    stack: RunningStack,
) -> None:
    async with stores_of(stack) as stores:
        sink = stack.process("mails")
        sink.signal(signal.SIGSTOP)
        try:
            await ask(stack, stores, MAILS, "still.example")
            worker = stack.ops_url("worker-mail")

            async def opened() -> Any:
                state = await metric(worker, "grid8_breaker_state", circuit="smtp")
                return state == 2 or state

            await until(opened, "the breaker to open")
            rows = await stores.redis.xpending_range(SLOW, "mail", "-", "+", 100)
            assert {row["times_delivered"] for row in rows} <= {0, 1}, "waiting is no attempt"
        finally:
            sink.signal(signal.SIGCONT)
        await until_sent(stores, "still.example", MAILS)
        await check_quiet(stores)
        assert not await stores.redis.hget(BREAKER, "state"), "the breaker is closed"
        await check_mails(stack, stores, exact=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_a_worker_that_ends_in_the_middle_of_its_mails_loses_none(
    stack: RunningStack, number: signal.Signals
) -> None:
    host = f"{number.name.lower()}.example"
    async with stores_of(stack) as stores:
        await ask(stack, stores, 4 * MAILS, host)

        async def begun() -> Any:
            return any(host in each.to for each in kept(stack)) or "none"

        await until(begun, "the first mail to be there")
        await stack.hold("worker-mail", number)
        await stack.release("worker-mail")
        await until_sent(stores, host, 4 * MAILS)
        await check_quiet(stores)
        await check_mails(stack, stores, exact=number is signal.SIGTERM)


@pytest.mark.parametrize("state", ["refused", "silent"])
async def test_a_server_that_is_away_gets_every_mail_once_when_it_is_back(
    elsewhere: RunningStack, office: tuple[Post, Line], state: State
) -> None:
    post, line = office
    worker, host = elsewhere.ops_url("worker-mail"), f"{state}.example"
    async with stores_of(elsewhere) as stores:
        refused = await metric(worker, "grid8_breaker_refused_total", circuit="smtp")
        await line.turn(state)
        try:
            await ask(elsewhere, stores, MAILS, host)

            async def waits() -> Any:
                now = await metric(worker, "grid8_breaker_refused_total", circuit="smtp")
                return now > refused + MAILS or now

            await until(waits, "mails to be refused by the breaker again and again")
            assert await stores.database["mails"].count_documents({"status": "failed"}) == 0
            assert await stores.redis.xlen(streams.dead("mail")) == 0
        finally:
            await line.turn("through")
        await until_sent(stores, host, MAILS)
        await check_quiet(stores)
        assert not await stores.redis.hget(BREAKER, "state"), "the breaker is closed"
        assert await metric(worker, "grid8_breaker_state", circuit="smtp") == 0
    sent = Counter(to for _, to in post.envelopes if to.endswith(host))
    assert len(sent) == MAILS
    assert set(sent.values()) == {1}


async def test_no_for_now_is_asked_again_and_no_for_good_is_not(
    elsewhere: RunningStack, office: tuple[Post, Line]
) -> None:
    post, _ = office
    async with stores_of(elsewhere) as stores:
        post.answers[:] = ["451 later"] * 5
        await ask(elsewhere, stores, 1, "later.example")
        await until_sent(stores, "later.example", 1)
        assert post.answers == []
        post.answers[:] = ["550 never"]
        tries = post.tries
        [to] = await ask(elsewhere, stores, 1, "never.example")

        async def failed() -> Any:
            mail = await stores.database["mails"].find_one({"to": to})
            return (mail is not None and mail["status"] == "failed") or mail

        await until(failed, "the mail to have failed")
        assert post.tries == tries + 1
        mail = await stores.database["mails"].find_one({"to": to})
        assert mail is not None
        assert (mail["failure"], mail["detail"]) == ("refused", "550 never")
        assert "token" not in mail
        await check_quiet(stores)
        await check_mails(elsewhere, stores, exact=True)
    assert Counter(to for _, to in post.envelopes)["0@later.example"] == 1
