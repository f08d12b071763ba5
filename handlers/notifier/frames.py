"""What is written to sockets, rendered once however many sockets it is written to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import quote

from bus.feed.push_cursor import Position, encode
from handlers.notifier.wire.encode import TEXT, frame

_PLACES = {"project": "projects", "asset": "assets"}
_BREAKS = bytes.maketrans(b"\r\n\0", b"   ")


class Entry:
    """An entry of a push stream."""

    __slots__ = (
        *("at", "control", "copies", "event", "id", "position", "shard", "to", "type"),
        *("_messages",),
    )

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
        self._messages: dict[str, bytes] = {}

    def op(self, channel: str, shards: int) -> bytes:
        """What a client is told of the event on one of its channels, as JSON."""
        cursor = encode(shards, {self.shard: self.position})
        head = f'{{"op":"event","channel":{json.dumps(channel)},"cursor":"{cursor}","event":'
        return head.encode() + self.event + b"}"

    def message(self, channel: str, shards: int) -> bytes:
        """The same for an event stream of ops, rendered once; see ``Told.message``."""
        found = self._messages.get(channel)
        if found is None:
            found = self._messages[channel] = b"data: %b\n\n" % self.op(channel, shards)
        return found


class Frame:
    """One event on one channel."""

    def __init__(self, entry: Entry, channel: str, shards: int) -> None:
        self.entry = entry
        self.channel = channel
        self._shards = shards

    @cached_property
    def text(self) -> bytes:
        """For a WebSocket."""
        return frame(TEXT, self.entry.op(self.channel, self._shards))

    @cached_property
    def lines(self) -> bytes:
        """For an event stream, where each stream's own ``id:`` goes before."""
        entry = self.entry
        return b"event: %b\ndata: %b\n\n" % (entry.type.translate(_BREAKS), entry.event)


class Burst:
    """Events on one channel that come one right after the other."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames

    @cached_property
    def text(self) -> bytes:
        """For a WebSocket."""
        return b"".join([frame.text for frame in self.frames])


class Hint:
    """How far some work is, on one channel. It has no cursor: it is not to be had again."""

    def __init__(self, channel: str, progress: Mapping[str, Any]) -> None:
        self._channel = channel
        self._progress = progress

    @cached_property
    def text(self) -> bytes:
        """For a WebSocket."""
        return op("progress", channel=self._channel, progress=self._progress)

    @cached_property
    def lines(self) -> bytes:
        """For an event stream."""
        return sse("progress", {"channel": self._channel, "progress": self._progress})

    @cached_property
    def message(self) -> bytes:
        """For an event stream of ops."""
        return message("progress", channel=self._channel, progress=self._progress)


def snapshot(org: str, channel: str) -> str:
    """The path of what a channel is about, as it is now."""
    kind, _, id = channel.partition(":")
    if kind == "me":
        return "/v1/me"
    place = f"/v1/orgs/{quote(org, safe='')}"
    return f"{place}/{_PLACES[kind]}/{quote(id, safe='')}" if kind in _PLACES else place


class Told:
    """A message on a channel that is no event, rendered once for all of its readers."""

    def __init__(self, name: str, channel: str, **members: Any) -> None:
        self._name = name
        self._members = {"channel": channel, **members}

    @cached_property
    def text(self) -> bytes:
        """For a WebSocket."""
        return op(self._name, **self._members)

    @cached_property
    def lines(self) -> bytes:
        """For an event stream."""
        return sse(self._name, self._members)

    @cached_property
    def message(self) -> bytes:
        """For an event stream of ops, where an ``id:`` may go before."""
        return message(self._name, **self._members)


def op(name: str, **members: Any) -> bytes:
    """A WebSocket message of ours, as a frame; members that are None are left out."""
    return frame(TEXT, _json(name, members))


def message(name: str, **members: Any) -> bytes:
    """The same as an unnamed event of an event stream."""
    return b"data: %b\n\n" % _json(name, members)


def _json(name: str, members: Mapping[str, Any]) -> bytes:
    given = {key: value for key, value in members.items() if value is not None}
    return json.dumps({"op": name, **given}, separators=(",", ":")).encode()


def sse(name: str, members: Mapping[str, Any], cursor: str | None = None) -> bytes:
    """An event of ours on an event stream."""
    head = f"id: {cursor}\n" if cursor else ""
    data = json.dumps(members, separators=(",", ":"))
    return f"{head}event: {name}\ndata: {data}\n\n".encode()
