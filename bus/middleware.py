"""What surrounds the handling of every message: log context, metrics, a trace span."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from contracts.envelope import Envelope

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)

HANDLED = Counter(
    "grid8_messages_total", "Messages handled, by outcome", ["group", "type", "outcome"]
)
DURATION = Histogram(
    "grid8_handler_seconds", "Handling, commit included", ["group", "type"], buckets=_SECONDS
)
LATENCY = Histogram(
    "grid8_message_age_seconds",
    "Age of a message when it is begun",
    ["group", "type"],
    buckets=_SECONDS,
)
RETRIES = Counter(
    "grid8_retries_total", "Deliveries that will be repeated", ["group", "type", "kind"]
)
DEAD = Counter("grid8_dead_letters_total", "Messages given up", ["group", "handler", "reason"])
READ = Histogram(
    "grid8_read_entries",
    "Entries a read brought",
    ["stream", "group"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
IN_HAND = Gauge("grid8_messages_in_hand", "Messages being handled", ["stream", "group"])

_tracing = False
_message: ContextVar[tuple[Envelope, int] | None] = ContextVar("message", default=None)
_tracer = trace.get_tracer("grid8.bus")
_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, when there is one that is recorded."""
    if not tracing_is_on():
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


class Observed:
    """Surrounds the handling of one message: its log context, its trace, its measures."""

    __slots__ = ("_duration", "_message", "_span", "_started")

    def __init__(self, envelope: Envelope, group: str, attempt: int) -> None:
        self._duration, latency = measures(group, envelope.type)
        self._started = time.perf_counter()
        latency.observe(max(0.0, time.time() - envelope.time.timestamp()))
        self._message = (envelope, attempt)
        self._span = _span(envelope) if tracing_is_on() else None

    def __enter__(self) -> None:
        # The message has a task, and so a context, of its own: nothing need be restored.
        _message.set(self._message)
        if self._span is not None:
            self._span.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        if self._span is not None:
            self._span.__exit__(kind, error, trace_)
        self._duration.observe(time.perf_counter() - self._started)


def add_message(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: says in each line which message is being handled.

    Binding these one by one would cost a fifth of the bus's throughput.
    """
    found = _message.get()
    if found is not None:
        envelope, attempt = found
        event.setdefault("message", envelope.id)
        event.setdefault("type", envelope.type)
        event.setdefault("attempt", attempt)
        for name, value in (("request_id", envelope.correlationid), ("org", envelope.org)):
            if value is not None:
                event.setdefault(name, value)
    return event


def use_tracing(on: bool) -> None:
    """Make spans in this process; making them costs even when nobody collects them."""
    global _tracing
    _tracing = on


def tracing_is_on() -> bool:
    """Whether anybody collects spans."""
    return _tracing


def label_of(type: str) -> str:
    """A wire type as a label: producers may make up any number of types of their own."""
    return "custom.*" if type.startswith("custom.") else type


@lru_cache(maxsize=4096)
def measures(group: str, type: str) -> tuple[Histogram, Histogram]:
    """How long messages of this type take, and how old they are when they are begun."""
    label = label_of(type)
    return DURATION.labels(group, label), LATENCY.labels(group, label)


@lru_cache(maxsize=4096)
def handled(group: str, type: str, outcome: str) -> Counter:
    """The counter of messages that ended in this way."""
    return HANDLED.labels(group, label_of(type), outcome)


def retried(group: str, type: str, kind: str) -> Counter:
    """The counter of deliveries that will be repeated for this reason."""
    return RETRIES.labels(group, label_of(type), kind)


def _span(envelope: Envelope) -> AbstractContextManager[trace.Span]:
    carrier = {"traceparent": envelope.traceparent} if envelope.traceparent else {}
    return _tracer.start_as_current_span(
        envelope.type,
        context=_propagator.extract(carrier),
        kind=trace.SpanKind.CONSUMER,
        attributes={"messaging.system": "redis", "messaging.message.id": envelope.id},
    )
