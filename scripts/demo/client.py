"""A small client of the HTTP interface."""

from __future__ import annotations

from typing import Any

import aiohttp


class DemoError(Exception):
    """A step could not be done; the message says which and why."""


class Client:
    """Speaks JSON to one gateway, signed in or not."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url.rstrip("/")
        self.token: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers of a request of this client."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def call(self, step: str, method: str, path: str, **how: Any) -> dict[str, Any]:
        """The JSON answer. Raises DemoError with the problem's detail."""
        headers = {**self.headers(), **how.pop("headers", {})}
        try:
            async with self.http.request(
                method, self.url + path, headers=headers, **how
            ) as response:
                body: dict[str, Any] = (
                    await response.json(content_type=None) if response.status != 204 else {}
                )
        except (aiohttp.ClientError, OSError) as error:
            raise DemoError(f"{step}: {self.url} does not answer ({error}).") from error
        except ValueError as error:
            raise DemoError(f"{step}: {self.url} did not answer with JSON.") from error
        if response.status >= 400 or (response.status == 202 and "command_id" in body):
            raise DemoError(f"{step}: {_reason(response.status, body)}")
        return body


def _reason(status: int, body: dict[str, Any]) -> str:
    if status == 202:
        return f"no worker has answered in time; see {body['status_url']}"
    return f"{status} {body.get('code', '')} {body.get('detail', '')}".strip()
