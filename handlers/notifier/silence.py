"""Notices a client that is no longer there, where nothing is ever heard of it.

A WebSocket answers pings. From an event stream's client only TCP's acknowledgements come.
"""

from __future__ import annotations

import asyncio
import os
import socket

HEARTBEATS = 3
SHORTEST = 5.0
"""Seconds. A client may be held up for as long and be there."""


def end_when_silent(transport: asyncio.Transport, heartbeat: float) -> None:
    """End the connection when three heartbeats have not been acknowledged, or not been taken.

    Without it a host that vanished is noticed after a quarter of an hour. Does nothing where
    the system cannot do it.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    ours = transport.get_extra_info("socket")
    if option is None or ours is None or ours.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if ours.fileno() < 0:
        return  # the client has left already
    # A copy, since a transport's own socket may not be changed; both are one connection.
    with socket.socket(fileno=os.dup(ours.fileno())) as same:
        milliseconds = int(1000 * max(SHORTEST, HEARTBEATS * heartbeat))
        same.setsockopt(socket.IPPROTO_TCP, option, milliseconds)
