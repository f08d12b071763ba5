"""Who reads what: derived from the domains' tables of contents, written down nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bus import streams
from bus.recovery.epoch import Readers
from contracts.base import Event

DOMAINS = ("auth", "corp", "asset", "mail", "inbox")
PUBLISHED = (*DOMAINS, "custom")
"""Domains that have events; ``custom`` are those of internal producers."""
INSPECTED = (*PUBLISHED, "notifier")
"""Domains that have streams of any kind."""
GROUPS = (*DOMAINS, "notifier")
"""Domains that may read events."""


def reactions_of(group: str) -> Mapping[type[Event], str]:
    """The events a group reacts to, and the names of its reactions."""
    reactions = importlib.import_module(f"handlers.{group}.worker").REACTIONS
    return {event: reaction.__name__ for event, reaction in reactions.items()}


def rebuilds_of(group: str) -> Mapping[type[Event], str]:
    """The events with which a group rebuilds something when a replay feeds them to it, and how."""
    if group == "notifier":
        return {}
    rebuilds = getattr(importlib.import_module(f"handlers.{group}.worker"), "REBUILDS", {})
    return {event: rebuild.__name__ for event, rebuild in rebuilds.items()}


def reacts_to(group: str) -> set[str]:
    """The domains to whose events a group reacts."""
    return {event.domain() for event in reactions_of(group)}


def reads(group: str) -> list[str]:
    """The domains whose events a group is given; the notifier sees everything."""
    known = set(PUBLISHED) if group == "notifier" else reacts_to(group)
    return sorted(known)


def replays(group: str) -> list[str]:
    """The domains whose events a replay may feed to a group."""
    return sorted({*reads(group), *(event.domain() for event in rebuilds_of(group))})


def command_groups() -> list[tuple[str, str]]:
    """Every (stream, group) of commands."""
    return [
        (streams.commands(domain, lane), domain) for domain in DOMAINS for lane in ("fast", "slow")
    ]


def event_groups() -> list[tuple[str, str]]:
    """Every (stream, group) of events, lanes of replays included."""
    pairs = [(streams.events(source), group) for group in GROUPS for source in reads(group)]
    return pairs + [(streams.replay(group), group) for group in GROUPS if replays(group)]


def readers() -> Readers:
    """What the relay must know when Redis has lost its data."""
    reacting: dict[str, list[str]] = {}
    patterns: dict[str, list[type[Event]]] = {}
    for group in DOMAINS:
        for event in reactions_of(group):
            reacting.setdefault(event.wire, []).append(group)
            if event.wire.endswith(".*"):
                patterns.setdefault(event.wire, []).append(event)
    takes = {wire: partial(_is_of_use, events) for wire, events in patterns.items()}
    observing = {source: ["notifier"] for source in reads("notifier")}
    return Readers(event_groups(), command_groups(), reacting, observing, takes)


def _is_of_use(reacted_to: Sequence[type[Event]], data: Mapping[str, Any]) -> bool:
    return any(event.takes(data) for event in reacted_to)
