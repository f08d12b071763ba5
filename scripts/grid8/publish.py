"""``grid8 publish event.json``: CloudEvents of internal producers, into the event log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from bus.committer import Committer
from bus.producing.accept import Accepted, produce
from bus.producing.cloudevents import EventsInvalid, read_events
from bus.publisher import Publisher
from contracts.envelope import Envelope
from handlers.routing import pushes_of
from scripts.grid8.connections import run, servers
from scripts.grid8.json_input import JsonRefused, parse_json

CLOSING = 1.0
"""Seconds that Redis is given to take what it has not taken."""


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--org", help="The organization of events that name none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def publish(file: Any, org: str | None, as_json: bool) -> None:
    """Publish the CloudEvents 1.0 in FILE (- is stdin): one JSON object, or an array of them.

    The type is custom.<name>, for which the extension attribute org is required, or a
    registered event, whose data must fit its contract. All are accepted or none. An event
    with the organization, source and id of one before is accepted once.
    """
    try:
        document = parse_json(file.read())
    except JsonRefused as error:
        raise click.ClickException(str(error)) from error
    try:
        envelopes = read_events(document, org=org, by_operator=True)
    except EventsInvalid as error:
        lines = [f"{each.pointer or '/'}: {each.detail}" for each in error.errors]
        raise click.ClickException("\n".join(lines or [error.detail])) from error
    accepted = run(_publish(envelopes))
    if as_json:
        rows = [
            {"id": each.id, "event": each.event, "repeated": each.repeated} for each in accepted
        ]
        json.dump(rows, sys.stdout, indent=2)
        click.echo()
        return
    for each in accepted:
        click.echo(f"{each.id} is {each.event}{', as before' if each.repeated else ''}")


async def _publish(envelopes: Sequence[Envelope]) -> list[Accepted]:
    async with servers() as here:
        publisher = Publisher(
            here.redis, durable=here.settings.redis.durable, pushes=pushes_of(here.settings)
        )
        committer = Committer(here.database.client, here.database)
        try:
            return await produce(committer, publisher, here.database, envelopes)
        finally:
            await committer.close()
            # What has not been sent by now is in the outbox.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await publisher.pipeline.close()
