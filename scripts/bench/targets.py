"""What both sides of a measurement over HTTP need before it begins."""

from __future__ import annotations

import asyncio
import secrets
import time

import aiohttp

from infra.embedded.running import RunningStack
from scripts.demo.client import Client


async def new_account(http: aiohttp.ClientSession, stack: RunningStack) -> tuple[str, str]:
    """An access token, and the id of an organization that is its owner's."""
    client = Client(http, stack.gateway_url)
    person = {"email": "bench@example.org", "password": secrets.token_urlsafe(18)}
    await client.call("Register", "POST", "/v1/auth/register", json={**person, "name": "Bench"})
    tokens = await client.call("Sign in", "POST", "/v1/auth/sessions", json=person)
    client.token = tokens["access_token"]
    org = await client.call("Organization", "POST", "/v1/orgs", json={"name": "Bench"})
    return tokens["access_token"], org["id"]


async def until_answers(http: aiohttp.ClientSession, port: int) -> None:
    """Wait for a program of this machine to answer, whatever. Raises aiohttp.ClientError after 15 s."""
    deadline = time.monotonic() + 15
    while True:
        try:
            async with http.get(f"http://127.0.0.1:{port}/"):
                return
        except aiohttp.ClientError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
