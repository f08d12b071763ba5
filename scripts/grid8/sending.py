"""Sends one command to the running stack, and waits for what becomes of it."""

from __future__ import annotations

import asyncio

import click

from bus.outcomes import find_outcome
from bus.publisher import Publisher
from bus.replies import Outcome, Replies
from contracts.base import Command
from contracts.envelope import Envelope
from scripts.grid8.connections import servers

PATIENCE = 15.0
SOURCE = "/grid8/cli"


async def send(command: Command) -> Outcome:
    """The outcome of a command that nobody signed in has sent, or a click.ClickException."""
    domain = command.domain()
    async with servers() as here:
        if not here.settings.secrets.keys:
            raise click.ClickException(
                "GRID8_SECRETS__KEYS is not set; give this command what the stack was given."
            )
        replies = Replies(here.redis)
        publisher = Publisher(here.redis, durable=here.settings.redis.durable)
        await publisher.start()
        await replies.start()
        try:
            envelope = Envelope.of_command(command, source=SOURCE, replyto=replies.channel)
            with replies.expect(envelope.id) as reply:
                await publisher.send(envelope)
                try:
                    async with asyncio.timeout(PATIENCE):
                        return await reply
                except TimeoutError:
                    found = await find_outcome(here.database, envelope.id, [domain])
            if found is None:
                raise click.ClickException(
                    f"The {domain} worker has not answered in {PATIENCE:g} s; it will carry the "
                    "command out as soon as it runs."
                )
            return found
        finally:
            await replies.close()
            await publisher.pipeline.close()
