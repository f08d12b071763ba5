"""An inbox that was lost, as an operator brings it back: a replay of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from handlers.inbox.documents import DOCUMENTS
from infra.embedded.running import RunningStack
from scripts.demo.client import Client
from tests.faults.harness import fault_stack, stores_of, until
from tests.scripts.test_on_a_stack import grid8

PASSWORD = "correct horse battery"
NOTES = "/v1/me/notifications"


async def somebody(http: aiohttp.ClientSession, stack: RunningStack, name: str) -> Client:
    client, email = Client(http, stack.gateway_url), f"{name}@example.org"
    given = {"email": email, "password": PASSWORD}
    await client.call("Register", "POST", "/v1/auth/register", json={**given, "name": name})
    signed = await client.call("Sign in", "POST", "/v1/auth/sessions", json=given)
    client.token = signed["access_token"]
    return client


@pytest.mark.slow
async def test_a_replay_brings_a_lost_inbox_back_and_tells_nobody(tmp_path: Path) -> None:
    async with (
        aiohttp.ClientSession() as http,
        fault_stack(tmp_path / "stack") as stack,
        stores_of(stack) as stores,
    ):
        ann, bob = await somebody(http, stack, "ann"), await somebody(http, stack, "bob")
        org = (await ann.call("Org", "POST", "/v1/orgs", json={"name": "Acme"}))["id"]
        member = {"email": "bob@example.org", "role": "editor"}
        await ann.call("Add", "POST", f"/v1/orgs/{org}/members", json=member)
        me = (await bob.call("Me", "GET", "/v1/me"))["id"]
        batch = [
            {
                "specversion": "1.0",
                "id": str(number),
                "source": "/tests/boards",
                "type": "custom.note.added",
                # Every other mentions nobody, and is replayed too.
                "data": {"mentions": [me] if number % 2 else [], "title": f"Note {number}"},
            }
            for number in range(20)
        ]
        await ann.call(
            "Mention",
            "POST",
            f"/v1/orgs/{org}/events",
            json=batch,
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )

        async def shown() -> list[dict[str, Any]]:
            page = await bob.call("List", "GET", NOTES)
            return [{**each, "revision": 0} for each in page["items"]]

        async def all_there() -> bool:
            return len(await shown()) == 11

        await until(all_there, "the notifications to be there", 30)
        first, second, *_ = await shown()
        await bob.call("Read", "POST", f"{NOTES}/{first['id']}/read")
        await bob.call("Delete", "DELETE", f"{NOTES}/{second['id']}")
        before, unread = await shown(), await bob.call("Count", "GET", f"{NOTES}/unread")
        told = await stores.database["events"].count_documents({"type": {"$regex": "^inbox"}})

        for document in DOCUMENTS:
            await stores.database[document.Settings.name].delete_many({})  # type: ignore[attr-defined]
        assert await shown() == []
        said = await grid8(stack, "replay", "--group", "inbox")
        assert " done: " in said, said

        async def back() -> bool:
            return await shown() == before

        await until(back, "the inbox to be as it was", 30)
        counted = await bob.call("Count", "GET", f"{NOTES}/unread")
        assert (counted["count"], counted["by_org"]) == (unread["count"], unread["by_org"])
        again = await grid8(stack, "replay", "--group", "inbox", "--type", "custom.*")
        assert "done: 20 of 20" in again, again
        assert await shown() == before
        events = await stores.database["events"].count_documents({"type": {"$regex": "^inbox"}})
        assert events == told, "a replay tells nobody"
