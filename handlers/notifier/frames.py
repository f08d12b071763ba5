"""What is written to sockets, rendered once however many sockets it is written to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bus.feed.push_cursor import Position, encode

_BREAKS = bytes.maketrans(b"\r\n\0", b"   ")


class Text:
    """A WebSocket text message: its payload, and the same as complete unmasked frame."""

    __slots__ = ("payload", "wire")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.wire = _header(len(payload)) + payload


class Entry:
    """An entry of a push stream."""

    __slots__ = ("at", "control", "copies", "event", "id", "position", "shard", "to", "type")

    def __init__(self, shard: int, position: Position, fields: Mapping[bytes, bytes]) -> None:
        self.shard = shard
        self.position = position
        self.to = fields.get(b"to", b"").decode().split()
        self.id = fields.get(b"id", b"")
        self.type = fields.get(b"type", b"")
        self.event = fields.get(b"event", b"")
        self.at = int(fields.get(b"at", b"0"))
        self.control = fields.get(b"control", b"").decode()
        self.copies = int(fields.get(b"copies", b"1"))


class Frame:
    """One event on one channel."""

    def __init__(self, entry: Entry, channel: str, shards: int) -> None:
        self.entry = entry
        self.channel = channel
        self._shards = shards

    @cached_property
    def text(self) -> Text:
        """For a WebSocket."""
        entry = self.entry
        cursor = encode(self._shards, {entry.shard: entry.position})
        head = f'{{"op":"event","channel":{json.dumps(self.channel)},"cursor":"{cursor}","event":'
        return Text(head.encode() + entry.event + b"}")

    @cached_property
    def lines(self) -> bytes:
        """For an event stream, where each stream's own ``id:`` goes before."""
        entry = self.entry
        return b"event: %b\ndata: %b\n\n" % (entry.type.translate(_BREAKS), entry.event)


class Hint:
    """How far some work is, on one channel. It has no cursor: it is not to be had again."""

    def __init__(self, channel: str, progress: Mapping[str, Any]) -> None:
        self._channel = channel
        self._progress = progress

    @cached_property
    def text(self) -> Text:
        """For a WebSocket."""
        return op("progress", channel=self._channel, progress=self._progress)

    @cached_property
    def lines(self) -> bytes:
        """For an event stream."""
        return sse("progress", {"channel": self._channel, "progress": self._progress})


class Told:
    """A message on a channel that is no event, rendered once for all of its readers."""

    def __init__(self, name: str, channel: str, **members: Any) -> None:
        self._name = name
        self._members = {"channel": channel, **members}

    @cached_property
    def text(self) -> Text:
        """For a WebSocket."""
        return op(self._name, **self._members)

    @cached_property
    def lines(self) -> bytes:
        """For an event stream."""
        return sse(self._name, self._members)


def op(name: str, **members: Any) -> Text:
    """A WebSocket message of ours; members that are None are left out."""
    given = {key: value for key, value in members.items() if value is not None}
    return Text(json.dumps({"op": name, **given}, separators=(",", ":")).encode())


def sse(name: str, members: Mapping[str, Any], cursor: str | None = None) -> bytes:
    """An event of ours on an event stream."""
    head = f"id: {cursor}\n" if cursor else ""
    data = json.dumps(members, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


def _header(length: int) -> bytes:
    """RFC 6455, 5.2: a final text frame from a server is not masked, so it is the same for all."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)
