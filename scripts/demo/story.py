"""What happens in the demonstration, step by step."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from rich.console import Console

from scripts.demo.client import Client, DemoError

console = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Photo:
    """One photo on its way."""

    path: Path
    status: str = "waiting"
    reason: str = ""
    asset: str = ""
    view: dict[str, Any] = field(default_factory=dict)


async def play(url: str, paths: Sequence[Path], patience: float) -> bool:
    """Do it all; whether every photo came to an end and one at least is ready.

    Raises DemoError when a step cannot be done.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=patience)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = Client(http, url)
        where = await _settle_in(client)
        photos = [Photo(path) for path in paths]
        ticket = await client.call("Ticket", "POST", f"/v1/orgs/{where['org']}/realtime/tickets")
        try:
            async with http.ws_connect(
                f"{ticket['ws_url']}?ticket={ticket['ticket']}", max_msg_size=0
            ) as socket:
                channel = f"project:{where['project']}"
                await socket.send_json({"op": "subscribe", "channel": channel})
                answer = await socket.receive_json(timeout=10)
                if answer.get("op") != "subscribed":
                    raise DemoError(f"Live subscription: {answer}")
                _done("live", f"subscribed to {channel}")
                ended: dict[str, tuple[str, str]] = {}
                listening = asyncio.create_task(_listen(socket, ended))
                try:
                    for photo in photos:
                        await _upload(client, where, photo)
                    await _all_ended(photos, ended, listening, patience)
                finally:
                    listening.cancel()
        except (aiohttp.ClientError, TimeoutError, TypeError) as error:
            raise DemoError(f"Live subscription: {ticket['ws_url']}: {error!r}") from error
        for photo in photos:
            if photo.status == "ready":
                photo.view = await client.call(
                    "Read", "GET", f"/v1/orgs/{where['org']}/assets/{photo.asset}"
                )
        await _look_at_renditions(http, photos)
    return _summary(photos)


async def _settle_in(client: Client) -> dict[str, str]:
    """A new person with an organization, a brand and a project."""
    email = f"demo-{secrets.token_hex(5)}@example.org"
    password = secrets.token_urlsafe(18)
    person = {"email": email, "password": password, "name": "Demo"}
    await client.call("Register", "POST", "/v1/auth/register", json=person)
    _done("register", email)
    tokens = await client.call(
        "Sign in", "POST", "/v1/auth/sessions", json={"email": email, "password": password}
    )
    client.token = tokens["access_token"]
    _done("sign in", f"session {tokens['session_id']}")
    org = await client.call("Organization", "POST", "/v1/orgs", json={"name": "Demo Studio"})
    base = f"/v1/orgs/{org['id']}"
    _done("organization", f"{org['name']} ({org['slug']})")
    brand = await client.call("Brand", "POST", f"{base}/brands", json={"name": "Sunrise"})
    _done("brand", brand["name"])
    project = await client.call(
        "Project", "POST", f"{base}/projects", json={"brand_id": brand["id"], "name": "Launch"}
    )
    _done("project", project["name"])
    return {"org": org["id"], "project": project["id"]}


async def _upload(client: Client, where: dict[str, str], photo: Photo) -> None:
    query = f"filename={quote(photo.path.name)}&project_id={where['project']}"
    size = photo.path.stat().st_size
    try:
        with photo.path.open("rb") as body:
            view = await client.call(
                "Upload",
                "POST",
                f"/v1/orgs/{where['org']}/assets?{query}",
                data=body,
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
            )
    except DemoError as error:
        if "does not answer" in str(error) or " 503 " in str(error) or "in time" in str(error):
            raise
        photo.status, photo.reason = "refused", str(error).removeprefix("Upload: ")
        console.print(f"  [red]refused[/]    {photo.path.name}: {photo.reason}")
        return
    photo.asset = view["id"]
    photo.status = "processing"
    console.print(f"  [cyan]uploaded[/]   {photo.path.name}  {size:,} bytes, {view['media_type']}")


async def _listen(
    socket: aiohttp.ClientWebSocketResponse, ended: dict[str, tuple[str, str]]
) -> None:
    """Show every event as it arrives, and note how assets end."""
    async for event in _events(socket):
        data = event["data"]
        console.print(f"  [green]event[/]      {event['type']}  {data.get('name', '')}")
        if event["type"] in ("asset.asset.ready", "asset.asset.failed"):
            reason = f"{data['code']}: {data['detail']}" if "code" in data else ""
            ended[data["asset_id"]] = (event["type"].rpartition(".")[2], reason)
    raise DemoError("Live subscription: the socket was closed.")


async def _events(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        frame = message.json()
        if frame["op"] == "event":
            yield frame["event"]
        elif frame["op"] == "error":
            raise DemoError(f"Live subscription: {frame}")


async def _all_ended(
    photos: list[Photo],
    ended: dict[str, tuple[str, str]],
    listening: asyncio.Task[None],
    patience: float,
) -> None:
    """Wait until no photo is on its way; ``patience`` seconds without progress are too long."""
    left, since = -1, time.monotonic()
    while True:
        for photo in photos:
            if photo.status == "processing" and photo.asset in ended:
                photo.status, photo.reason = ended[photo.asset]
        waiting = [photo for photo in photos if photo.status == "processing"]
        if not waiting:
            return
        if listening.done():
            listening.result()
        if len(waiting) != left:
            left, since = len(waiting), time.monotonic()
        if time.monotonic() - since > patience:
            names = ", ".join(photo.path.name for photo in waiting)
            raise DemoError(f"No event within {patience:g} s for {names}.")
        await asyncio.sleep(0.05)


async def _look_at_renditions(http: aiohttp.ClientSession, photos: list[Photo]) -> None:
    """Fetch each rendition: a URL that does not work is no end of a demonstration."""
    for photo in photos:
        for rendition in photo.view.get("renditions", []):
            async with http.get(rendition["url"]) as response:
                body = await response.read()
            if response.status != 200 or len(body) != rendition["bytes"]:
                raise DemoError(
                    f"Rendition {rendition['name']} of {photo.path.name}: {response.status}, "
                    f"{len(body)} of {rendition['bytes']} bytes."
                )


def _summary(photos: list[Photo]) -> bool:
    console.print()
    for photo in photos:
        if photo.status != "ready":
            console.print(f"[red]{photo.status}[/]  {photo.path.name}: {photo.reason}")
            continue
        view = photo.view
        size = f"{view['width']}×{view['height']}" if view["width"] else view["kind"]
        console.print(f"[green]ready[/]  {photo.path.name}  {size}  {view['dominant_color'] or ''}")
        for rendition in view["renditions"]:
            console.print(
                f"         {rendition['name']:<10} {rendition['width']}×{rendition['height']}"
                f"  {rendition['bytes']:,} bytes"
            )
            console.print(f"         {rendition['url']}", style="dim")
    ready = sum(photo.status == "ready" for photo in photos)
    console.print(f"\n{ready} of {len(photos)} ready.")
    return ready > 0


def _done(step: str, what: str) -> None:
    console.print(f"  [green]{step:<12}[/] {what}")
