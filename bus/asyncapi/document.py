"""AsyncAPI 3.0 of every command and event, and of the realtime interface in short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bus import streams
from bus.asyncapi.realtime import realtime_channels, realtime_messages, realtime_operations
from bus.broker import FIELD
from bus.replies import Outcome
from contracts.base import Command, Event, Lane, Message
from contracts.envelope import Envelope
from contracts.realtime.views import ProgressView

_CUSTOM = r"^custom(\.[a-z0-9][a-z0-9_-]*)+$"
_SCHEMAS = "#/components/schemas/"
_SEALED = {
    "type": "string",
    "format": "password",
    "pattern": r"^sealed\.v1\.[A-Za-z0-9_-]+$",
    "description": "Ciphertext: secrets are encrypted wherever they are serialised.",
}
_DESCRIPTION = (
    "Commands and events of Grid8 on Redis Streams. An entry has one field, "
    f"`{FIELD}`, in FastStream's binary format: headers and, as body, a CloudEvent 1.0 in JSON. "
    "Commands wait on `grid8:{domain}:cmd` (long ones on `….slow`) for the group of their "
    "domain; events are on `grid8:{domain}:evt` for every group that reacts to them. Braces in "
    "addresses are meant literally: they are Redis Cluster hash tags."
)


def build(
    *,
    version: str,
    reactions: Mapping[str, Sequence[type[Event]]],
    observers: Mapping[str, Sequence[str]],
    servers: Mapping[str, Any],
) -> dict[str, Any]:
    """The document, of every contract that is declared.

    ``reactions`` are the events each group reacts to, ``observers`` the domains whose events
    each group sees all of; ``servers`` are AsyncAPI server objects, ``redis``, ``websocket`` and ``http``.
    """
    commands, events = list(Command.all()), list(Event.all())
    channels: dict[str, Any] = {"replies": _replies()}
    operations: dict[str, Any] = {}
    for domain in sorted({each.domain() for each in commands}):
        for lane in ("fast", "slow"):
            ours = [each for each in commands if each.domain() == domain and each.lane == lane]
            if ours:
                _add_commands(channels, operations, domain, lane, ours)
    for domain in sorted({each.domain() for each in events}):
        _add_events(channels, operations, domain, events, reactions, observers)
    _add_custom(channels, operations, reactions, observers)
    channels.update(realtime_channels())
    operations.update(realtime_operations())
    references, schemas = _schemas([*commands, *events])
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Grid8", "version": version, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": dict(servers),
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                **{_key(each): _message(each, references) for each in (*commands, *events)},
                "custom": _cloudevent(
                    "custom",
                    "An internal producer's event",
                    "Any JSON object as data; the organization is required.",
                    {"properties": {"type": {"pattern": _CUSTOM}}, "required": ["org"]},
                ),
                "outcome": {
                    "name": "outcome",
                    "title": "How a command ended",
                    "contentType": "application/json",
                    "payload": {"$ref": f"{_SCHEMAS}Outcome"},
                },
                **realtime_messages(),
            },
            "schemas": schemas,
        },
    }


def _key(contract: type[Message]) -> str:
    return f"{contract.wire}.v{contract.wire_version}"


def _message(contract: type[Message], references: Mapping[str, Any]) -> dict[str, Any]:
    return _cloudevent(
        contract.wire,
        contract.__name__,
        (contract.__doc__ or contract.__name__).strip().partition("\n")[0],
        {
            "properties": {
                "type": {"const": contract.wire},
                "dataversion": {"const": contract.wire_version},
                "data": references[_key(contract)],
            }
        },
    )


def _cloudevent(name: str, title: str, summary: str, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "summary": summary,
        "contentType": "application/cloudevents+json",
        "headers": {"$ref": f"{_SCHEMAS}Headers"},
        "payload": {"allOf": [{"$ref": f"{_SCHEMAS}Envelope"}, {"type": "object", **more}]},
    }


def _stream(address: str, domain: str, title: str, messages: Sequence[str]) -> dict[str, Any]:
    tag = f"{{{domain}}}"
    return {
        "address": address,
        "title": title,
        "servers": [{"$ref": "#/servers/redis"}],
        # An address's braces are parameters to AsyncAPI: this one's only value is itself.
        "parameters": {
            domain: {"enum": [tag], "default": tag, "description": "Literally, with its braces."}
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(
    action: str, channel: str, summary: str, messages: Sequence[str], **more: Any
) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
        **more,
    }


def _replies() -> dict[str, Any]:
    return {
        # Each message says where, in replyto.
        "address": None,
        "title": "Replies to one gateway (pub/sub)",
        "servers": [{"$ref": "#/servers/redis"}],
        "messages": {"outcome": {"$ref": "#/components/messages/outcome"}},
    }


def _add_commands(
    channels: dict[str, Any],
    operations: dict[str, Any],
    domain: str,
    lane: Lane,
    commands: Sequence[type[Command]],
) -> None:
    channel = f"{domain}.commands" + (".slow" if lane == "slow" else "")
    names = [_key(each) for each in commands]
    title = f"Commands of {domain}" + (", long ones" if lane == "slow" else "")
    channels[channel] = _stream(streams.commands(domain, lane), domain, title, names)
    reply = {
        "address": {"location": "$message.payload#/replyto"},
        "channel": {"$ref": "#/channels/replies"},
        "messages": [{"$ref": "#/channels/replies/messages/outcome"}],
    }
    operations[f"{channel}.send"] = _operation(
        "send", channel, f"Ask {domain} to do something.", names, reply=reply
    )
    operations[f"{channel}.receive"] = _operation(
        "receive", channel, f"{domain} handles its commands.", names, **{"x-group": domain}
    )


def _add_events(
    channels: dict[str, Any],
    operations: dict[str, Any],
    domain: str,
    events: Sequence[type[Event]],
    reactions: Mapping[str, Sequence[type[Event]]],
    observers: Mapping[str, Sequence[str]],
) -> None:
    channel = f"{domain}.events"
    ours = [each for each in events if each.domain() == domain]
    names = [_key(each) for each in ours]
    channels[channel] = _stream(streams.events(domain), domain, f"Events of {domain}", names)
    operations[f"{channel}.send"] = _operation(
        "send", channel, f"{domain} tells what has happened.", names
    )
    groups = {
        group: [_key(each) for each in ours if each in wanted]
        for group, wanted in reactions.items()
    }
    groups |= {group: names for group, domains in observers.items() if domain in domains}
    for group, wanted in sorted(groups.items()):
        if wanted:
            operations[f"{channel}.receive.{group}"] = _operation(
                "receive", channel, f"{group} reacts.", wanted, **{"x-group": group}
            )


def _add_custom(
    channels: dict[str, Any],
    operations: dict[str, Any],
    reactions: Mapping[str, Sequence[type[Event]]],
    observers: Mapping[str, Sequence[str]],
) -> None:
    channels["custom.events"] = _stream(
        streams.events("custom"), "custom", "Events of internal producers", ["custom"]
    )
    operations["custom.events.send"] = _operation(
        "send", "custom.events", "An internal producer tells what has happened.", ["custom"]
    )
    groups = {group for group, domains in observers.items() if "custom" in domains}
    groups |= {
        group for group, wanted in reactions.items() if any(e.domain() == "custom" for e in wanted)
    }
    for group in sorted(groups):
        operations[f"custom.events.receive.{group}"] = _operation(
            "receive", "custom.events", f"{group} reacts.", ["custom"], **{"x-group": group}
        )


def _schemas(contracts: Sequence[type[Message]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """References to the contracts' schemas by their key, and all schemas."""
    models: list[type[BaseModel]] = [*contracts, Envelope, Outcome, ProgressView]
    found, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}"
    )
    references = {_key(each): found[(each, "validation")] for each in contracts}
    schemas: dict[str, Any] = _sealed(definitions["$defs"])
    text = {"type": "string"}
    schemas["Headers"] = {
        "type": "object",
        "description": "Headers of an entry in FastStream's format; ASCII.",
        "properties": {
            "message_id": {**text, "description": "The CloudEvent's id."},
            "correlation_id": text,
            "content-type": {"const": "application/cloudevents+json"},
        },
        "required": ["message_id", "correlation_id", "content-type"],
    }
    return references, dict(sorted(schemas.items()))


def _sealed(schema: Any) -> Any:
    """The schema as the wire has it, where secrets are ciphertext whatever rules they obey."""
    if isinstance(schema, list):
        return [_sealed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "password":
        return _SEALED
    return {name: _sealed(part) for name, part in schema.items()}
