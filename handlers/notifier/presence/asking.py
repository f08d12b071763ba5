"""What clients may ask of presence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from contracts.realtime.errors import FrameInvalid, NotSubscribed, PresenceUnknown


def wants_watch(frame: dict[str, Any]) -> bool:
    """Whether an op asks to be told of presence, or no longer. Raises FrameInvalid."""
    watch = frame.get("watch", True)
    if not isinstance(watch, bool):
        raise FrameInvalid("watch must be true or false.")
    return watch


def check_presence(channel: str) -> None:
    """Raise PresenceUnknown for a channel on which nobody can meet anybody."""
    if channel == "me":
        raise PresenceUnknown("Nobody but you is on the channel me.")


def watched_channels(request: web.Request, channels: Sequence[str]) -> list[str]:
    """The channels of an event stream whose presence is to be told: ``?presence=`` names them.

    Raises NotSubscribed for one that is not among its channels, and PresenceUnknown.
    """
    watched = list(dict.fromkeys(request.query.getall("presence", [])))
    for channel in watched:
        check_presence(channel)
        if channel not in channels:
            raise NotSubscribed(f"Name it as a channel, too: &channel={channel}")
    return watched
