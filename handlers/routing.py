"""Which audiences an event has: the whole rule of who is told, without any I/O.

Every process that publishes needs it, so it is no part of the notifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bus import streams
from bus.feed.pushing import Push, Pushes
from bus.streams import address_of
from contracts.base import Event
from contracts.envelope import Envelope
from contracts.visibility import is_private
from infra.settings import Settings

CHANNEL_LENGTH = 128

_SCOPE = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def pushes_of(settings: Settings) -> Pushes:
    """What pushes events to their audiences, with as many push streams as the settings say."""
    limits = settings.notifier
    return Pushes(route, shards=limits.push_shards, length=limits.push_length)


def is_channel(text: str) -> bool:
    """Whether a client's text can be a channel's name at all."""
    return 0 < len(text) <= CHANNEL_LENGTH and text.isascii() and text.isprintable()


def route(envelope: Envelope, shards: int) -> list[Push]:
    """What is pushed about an event: to its organization's stream, and to its user's.

    A private one reaches nobody but the user it is about, or who caused it.
    """
    contract = Event.of_wire(envelope.type, envelope.dataversion)
    private = is_private(envelope)
    pushes = []
    org = _scope(envelope.org)
    if org is not None and not private:
        addresses = tuple(address_of(org, channel) for channel in _channels(envelope))
        shard = streams.shard_of(org, shards)
        pushes.append(Push(shard, addresses, _organization_control(envelope, org)))
    user: str | None = None
    if private:
        user = _scope(envelope.data.get("user_id")) or _scope(envelope.actor)
    elif contract is not None and contract.subject == "user_id":
        user = _scope(envelope.data.get("user_id"))
    if user is not None:
        shard = streams.shard_of(user, shards)
        control = _user_control(envelope, user, org)
        pushes.append(Push(shard, (address_of(user, "me"),), control))
    return pushes


def _channels(envelope: Envelope) -> Iterator[str]:
    yield "org"
    project = _scope(envelope.data.get("project_id"))
    if project is None and envelope.type.startswith("corp.project."):
        project = _scope(envelope.subject)
    if project is not None:
        yield f"project:{project}"
    asset = _scope(envelope.data.get("asset_id"))
    if asset is not None:
        yield f"asset:{asset}"


def _organization_control(envelope: Envelope, org: str) -> str:
    match envelope.type:
        case "corp.organization.deleted":
            return f"organization {org}"
        case "auth.api_key.revoked":
            key = _scope(envelope.data.get("key_id"))
            return f"key {key}" if key else ""
        case "corp.project.deleted":
            kind, id = "project", _scope(envelope.data.get("project_id"))
        case "asset.asset.deleted":
            kind, id = "asset", _scope(envelope.data.get("asset_id"))
        case _:
            return ""
    return f"channel {org} {kind}:{id}" if id else ""


def _user_control(envelope: Envelope, user: str, org: str | None) -> str:
    match envelope.type:
        case "auth.session.revoked":
            session = _scope(envelope.data.get("session_id"))
            return f"session {user} {session}" if session else ""
        case "corp.member.removed":
            return f"left {user} {org}" if org else ""
        case "corp.member.changed":
            return f"role {user} {org}" if org else ""
    return ""


def _scope(value: object) -> str | None:
    """An id that may stand in an address; producers' data may hold anything."""
    return value if isinstance(value, str) and _SCOPE.fullmatch(value) else None
