"""What AsyncAPI says of the notifier's WebSocket and event stream, in short."""

from __future__ import annotations

from typing import Any

_CHANNEL = {
    "type": "string",
    "maxLength": 128,
    "description": "`org`, `me`, `project:{id}` or `asset:{id}`.",
    "examples": ["org", "asset:ast_01kb3v5qm8x0y2z4a6c8e0g2j4"],
}
_CURSOR = {"type": "string", "description": "Opaque: give it back as `since` to resume."}
_SHOWN = {
    "allOf": [{"$ref": "#/components/schemas/Envelope"}],
    "description": "The CloudEvent, without role, session, traceparent and replyto.",
}
_QUERY = {
    "type": "object",
    "properties": {
        "ticket": {
            "type": "string",
            "description": "From POST /v1/orgs/{org}/realtime/tickets; good once, for 60 s.",
        }
    },
    "required": ["ticket"],
}

_SENT_BY_CLIENTS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "subscribe": ("Listen to a channel", {"channel": _CHANNEL, "since": _CURSOR}, ["channel"]),
    "unsubscribe": ("Listen no more", {"channel": _CHANNEL}, ["channel"]),
    "ping": ("Is anybody there", {}, []),
}
_SENT_BY_STREAMS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "heartbeat": ("The stream is alive, though nothing has happened", {}, []),
    "close": (
        "The stream ends; the codes are those with which a WebSocket is closed",
        {"code": {"type": "integer"}, "reason": {"type": "string"}},
        ["code", "reason"],
    ),
}
"""With ``frames=ops``."""
_SENT_BY_US: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "subscribed": (
        "The channel is served",
        {"channel": _CHANNEL, "cursor": _CURSOR, "recovered": {"type": "boolean"}},
        ["channel", "cursor", "recovered"],
    ),
    "unsubscribed": (
        "The channel is served no more; code and detail say why, unless it was asked for",
        {"channel": _CHANNEL, "code": {"type": "string"}, "detail": {"type": "string"}},
        ["channel"],
    ),
    "event": (
        "Something has happened",
        {"channel": _CHANNEL, "cursor": _CURSOR, "event": _SHOWN},
        ["channel", "cursor", "event"],
    ),
    "progress": (
        "How far work is: not kept, and left out where the reader is slow",
        {"channel": _CHANNEL, "progress": {"$ref": "#/components/schemas/ProgressView"}},
        ["channel", "progress"],
    ),
    "reset": (
        "Events are lost: read afresh what is at `snapshot`",
        {"channel": _CHANNEL, "cursor": _CURSOR, "snapshot": {"type": "string"}},
        ["channel", "cursor", "snapshot"],
    ),
    "pong": ("Somebody is", {}, []),
    "error": (
        "What was asked for is refused",
        {"code": {"type": "string"}, "detail": {"type": "string"}, "channel": _CHANNEL},
        ["code", "detail"],
    ),
}


_STREAMED = ["sse", *(name for name in _SENT_BY_US if name != "pong"), *_SENT_BY_STREAMS]


def realtime_messages() -> dict[str, Any]:
    """Messages of both directions, for ``components``."""
    frames = {
        f"realtime.{name}": {
            "name": name,
            "title": title,
            "contentType": "application/json",
            "payload": {
                "type": "object",
                "properties": {"op": {"const": name}, **properties},
                "required": ["op", *required],
            },
        }
        for name, (title, properties, required) in {
            **_SENT_BY_CLIENTS,
            **_SENT_BY_US,
            **_SENT_BY_STREAMS,
        }.items()
    }
    return {
        **frames,
        "realtime.sse": {
            "name": "sse",
            "title": "Something has happened",
            "summary": "`id:` is the cursor, `event:` the type, `data:` the CloudEvent.",
            "contentType": "text/event-stream",
            "payload": _SHOWN,
        },
    }


def realtime_channels() -> dict[str, Any]:
    """The two addresses of the notifier."""
    return {
        "realtime.ws": _address(
            "/v1/realtime/ws", "WebSocket", "websocket", [*_SENT_BY_CLIENTS, *_SENT_BY_US]
        ),
        "realtime.sse": _address("/v1/realtime/sse", "Server-sent events", "http", _STREAMED),
    }


def realtime_operations() -> dict[str, Any]:
    """What clients send, and what is sent to them."""
    return {
        "realtime.ws.receive": _operation("receive", "ws", "Clients subscribe.", _SENT_BY_CLIENTS),
        "realtime.ws.send": _operation("send", "ws", "Clients are told.", _SENT_BY_US),
        "realtime.sse.send": _operation("send", "sse", "Clients are told.", _STREAMED),
    }


def _address(address: str, title: str, server: str, names: list[str]) -> dict[str, Any]:
    binding = {"query": _QUERY}
    return {
        "address": address,
        "title": title,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/realtime.{name}"} for name in names},
        **({"bindings": {"ws": {"method": "GET", **binding}}} if server == "websocket" else {}),
    }


def _operation(action: str, channel: str, summary: str, names: Any) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/realtime.{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/realtime.{channel}/messages/{name}"} for name in names],
        **(
            {"bindings": {"http": {"method": "GET", "query": _SSE_QUERY}}}
            if channel == "sse"
            else {}
        ),
    }


_SSE_QUERY = {
    "type": "object",
    "properties": {
        **_QUERY["properties"],  # type: ignore[dict-item]
        "channel": {"type": "array", "items": _CHANNEL, "minItems": 1},
        "since": _CURSOR,
        "frames": {
            "const": "ops",
            "description": "Every message unnamed, its `data:` what a WebSocket would be sent.",
        },
    },
    "required": ["ticket", "channel"],
}
