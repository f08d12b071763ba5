"""Which device a sign-in comes from."""

from __future__ import annotations

import hashlib

from infra.networks import network_of


def device_network(address: str) -> str:
    """Home and office networks hand out addresses anew: /24 of IPv4, /48 of IPv6."""
    return network_of(address, 24, 48)


def device_id(user: str, agent: str, address: str) -> str:
    """The same for the same program in the same network."""
    text = "\n".join((user, agent, device_network(address)))
    return f"dev_{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:32]}"
