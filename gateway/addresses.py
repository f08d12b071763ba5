"""Where a request comes from, and what of that is counted as one address."""

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


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """What is counted as one address: of IPv6 a /64, which is what one customer is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
