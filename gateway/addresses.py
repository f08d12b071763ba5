"""Where a request comes from."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from aiohttp import web


def client_address(request: web.Request, trusted_proxies: int) -> str:
    """Who is calling, as far as the trusted proxies tell."""
    peer = request.remote or ""
    if trusted_proxies:
        hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(hops) >= trusted_proxies:
            peer = hops[-trusted_proxies]
    return _address(peer)


@lru_cache(maxsize=4096)
def _address(text: str) -> str:
    try:
        # A zone tells apart interfaces of ours, and may be any text.
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return "unknown"
