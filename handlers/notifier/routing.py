"""Which audiences an event has: the whole rule of who is told, without any I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import contracts.catalog
from bus import streams
from contracts.base import Event
from contracts.envelope import Envelope

assert contracts.catalog, "every contract must be declared before `private` is looked up"

HIDDEN = {"replyto", "role", "session", "traceparent"}
"""Attributes that are none of a client's business."""

CHANNEL_LENGTH = 128

_SCOPE = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Push:
    """What goes into one push stream about one event."""

    shard: int
    addresses: tuple[str, ...]
    """``{organization or user}/{channel}``; without spaces."""
    control: str = ""
    """What a hub does after delivering, see revocation.py: a verb and its objects."""


def address_of(scope: str, channel: str) -> str:
    """The address of a channel: ``scope`` is the user for ``me``, else the organization."""
    return f"{scope}/{channel}"


def is_channel(text: str) -> bool:
    """Whether a client's text can be a channel's name at all."""
    return 0 < len(text) <= CHANNEL_LENGTH and text.isascii() and text.isprintable()


def public_json(envelope: Envelope) -> bytes:
    """The CloudEvent as clients see it, in one line."""
    return envelope.model_dump_json(exclude_none=True, exclude=HIDDEN).encode()


def route(envelope: Envelope, shards: int) -> list[Push]:
    """What is pushed about an event: to its organization's stream, and to its user's.

    An event of an unknown contract may be private for all we know, and reaches nobody
    but the user who caused it, unless an internal producer made it (``custom.*``).
    """
    contract = Event.of_wire(envelope.type, envelope.dataversion)
    custom = envelope.type.startswith("custom.")
    private = not custom and (contract is None or contract.private)
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
