"""The opening handshake: what a request must have, and how it is answered (RFC 6455, 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from aiohttp import HttpVersion11, hdrs, web

from contracts.realtime.errors import HandshakeInvalid, UpgradeMissing, VersionUnsupported
from handlers.notifier.wire.socket import Socket
from infra.connection import Connection

VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(request: web.Request) -> str:
    """What ``Sec-WebSocket-Accept`` is to be.

    Raises UpgradeMissing, VersionUnsupported or HandshakeInvalid for what is no handshake.
    """
    if request.version < HttpVersion11:
        raise UpgradeMissing("WebSocket needs HTTP/1.1.")
    if not _has(request, hdrs.UPGRADE, "websocket"):
        raise UpgradeMissing("The request must have the header Upgrade: websocket.")
    if not _has(request, hdrs.CONNECTION, "upgrade"):
        raise UpgradeMissing("The request must have the header Connection: Upgrade.")
    if request.headers.getall(hdrs.SEC_WEBSOCKET_VERSION, []) != [VERSION]:
        raise VersionUnsupported(f"The version spoken here is {VERSION}.")
    if request.body_exists:
        raise HandshakeInvalid("A handshake has no body.")
    if not _connection(request).upgrading:
        raise HandshakeInvalid("The request could not be taken as an upgrade.")
    keys = request.headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HandshakeInvalid("Sec-WebSocket-Key must be there once: 16 bytes in base64.")
    return base64.b64encode(
        hashlib.sha1(keys[0].encode() + _GUID, usedforsecurity=False).digest()
    ).decode()


async def upgrade(request: web.Request, accept: str, socket: Socket) -> web.StreamResponse:
    """Answer 101 and let the socket have the connection.

    No extension and no subprotocol is agreed on, whatever was offered. Raises ConnectionError
    if the client is gone.
    """
    response = web.StreamResponse(
        status=101,
        headers={
            hdrs.UPGRADE: "websocket",
            hdrs.CONNECTION: "Upgrade",
            hdrs.SEC_WEBSOCKET_ACCEPT: accept,
        },
    )
    await response.prepare(request)
    await response.write_eof()
    _connection(request).hand_over(socket)
    return response


def _connection(request: web.Request) -> Connection:
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection


def _has(request: web.Request, header: str, token: str) -> bool:
    given = ",".join(request.headers.getall(header, []))
    return token in (each.strip().lower() for each in given.split(","))


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16 and len(key) == 24
    except (binascii.Error, ValueError):
        return False
