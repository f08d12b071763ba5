"""Networks of IP addresses: what is counted, or remembered, as one place."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)
def network_of(address: str, v4: int, v6: int) -> str:
    """The network of an address, of so many bits; what is no address is left as it is.

    An IPv4 address within IPv6 is the former, and a network of all its bits the address itself.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    bits = v4 if parsed.version == 4 else v6
    if bits == parsed.max_prefixlen:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), bits), strict=False))


def customer_network(address: str) -> str:
    """What is counted as one address: of IPv6 a /64, which is what one customer is given."""
    return network_of(address, 32, 64)
