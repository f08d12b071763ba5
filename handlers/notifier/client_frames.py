"""What a WebSocket client may say."""

from __future__ import annotations

import json
from typing import Any

from contracts.realtime.errors import FrameInvalid
from handlers.routing import is_channel


def parse(text: str) -> dict[str, Any]:
    """The JSON object in a message. Raises FrameInvalid."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameInvalid() from None
    if not isinstance(frame, dict):
        raise FrameInvalid()
    return frame


def channel_of(frame: dict[str, Any]) -> str:
    """The channel a frame names. Raises FrameInvalid."""
    channel = frame.get("channel")
    if not isinstance(channel, str) or not is_channel(channel):
        raise FrameInvalid("channel must be a text such as org or project:{id}.")
    return channel


def named(frame: dict[str, Any]) -> str | None:
    """The channel to name in an answer; None for what cannot be one.

    Whatever else a client says is not sent back: for one that reads nothing, it would wait here.
    """
    channel = frame.get("channel")
    return channel if isinstance(channel, str) and is_channel(channel) else None


def since_of(frame: dict[str, Any]) -> str | None:
    """The cursor a frame carries, if any. Raises FrameInvalid."""
    since = frame.get("since")
    if since is not None and not isinstance(since, str):
        raise FrameInvalid("since must be a cursor.")
    return since
