"""An upgrade that renders otherwise, as an operator does it: start the new program, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.embedded.running import RunningStack
from scripts.demo.client import Client
from tests.faults.harness import fault_stack, until
from tests.infra.pictures import quarters
from tests.scripts.test_on_a_stack import grid8

ANN = {"email": "ann@example.org", "password": "correct horse battery"}
NEXT = "99"


async def signed_in(http: aiohttp.ClientSession, stack: RunningStack) -> Client:
    client = Client(http, stack.gateway_url)
    tokens = await client.call("Sign in", "POST", "/v1/auth/sessions", json=ANN)
    client.token = tokens["access_token"]
    return client


async def uploaded(client: Client, org: str, name: str, data: bytes) -> Any:
    path = f"/v1/orgs/{org}/assets?filename={name}&wait=ready"
    return await client.call("Upload", "POST", path, data=data)


@pytest.mark.slow
async def test_a_replay_after_an_upgrade_makes_every_rendition_anew(tmp_path: Path) -> None:
    picture = quarters(400, 300).write_to_buffer(".png")
    async with aiohttp.ClientSession() as http:
        async with fault_stack(tmp_path / "stack") as before:
            client = Client(http, before.gateway_url)
            await client.call("Register", "POST", "/v1/auth/register", json={**ANN, "name": "Ann"})
            client = await signed_in(http, before)
            org = (await client.call("Org", "POST", "/v1/orgs", json={"name": "Acme"}))["id"]
            # The same bytes twice, others, and what is no picture.
            made = [
                await uploaded(client, org, "a.png", picture),
                await uploaded(client, org, "b.png", picture),
                await uploaded(client, org, "c.png", quarters(90, 60).write_to_buffer(".png")),
                await uploaded(client, org, "d.png", picture[:500]),
            ]
            assert [each["status"] for each in made] == ["ready"] * 3 + ["failed"]

        new = {"GRID8_ASSETS__PIPELINE": NEXT, "GRID8_ASSETS__REPLACED_KEPT": "1"}
        async with fault_stack(tmp_path / "stack", new) as after:
            client = await signed_in(http, after)

            async def shown() -> list[Any]:
                return [
                    await client.call("Read", "GET", f"/v1/orgs/{org}/assets/{each['id']}")
                    for each in made
                ]

            async def answer(url: str) -> int:
                path = "/files/" + url.partition("/files/")[2]
                async with http.get(after.gateway_url + path) as response:
                    return response.status

            old = [rendition["url"] for each in await shown() for rendition in each["renditions"]]
            assert not any(f"/{NEXT}/" in url for url in old), "nothing happens by itself"
            assert [await answer(url) for url in old] == [200] * len(old)

            said = await grid8(
                after, "replay", "--group", "asset", "--type", "asset.asset.uploaded"
            )
            assert "done: 4 of 4" in said
            views = await shown()
            assert [each["status"] for each in views] == ["ready"] * 3 + ["failed"]
            urls = [rendition["url"] for each in views for rendition in each["renditions"]]
            assert len(urls) == len(old)
            assert all(f"/{NEXT}/" in url for url in urls)
            assert [await answer(url) for url in urls] == [200] * len(urls)

            async def gone() -> Any:
                return {await answer(url) for url in old} == {404}

            await until(gone, "the old renditions to be removed", 30)
            assert [await answer(url) for url in urls] == [200] * len(urls)
