"""What surrounds the handling of every message: log context, metrics, a trace span."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog
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
    "grid8_message_age_seconds", "Age of a message when it is begun", ["group"], buckets=_SECONDS
)
RETRIES = Counter(
    "grid8_retries_total", "Deliveries that will be repeated", ["group", "type", "kind"]
)
DEAD = Counter("grid8_dead_letters_total", "Messages given up", ["group", "reason"])
IN_HAND = Gauge("grid8_messages_in_hand", "Messages being handled", ["stream", "group"])

_tracer = trace.get_tracer("grid8.bus")
_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, when there is one that is recorded."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextlib.contextmanager
def observed(envelope: Envelope, group: str, attempt: int) -> Iterator[None]:
    """Bind the message to the log, continue its trace, and measure it."""
    started = time.perf_counter()
    LATENCY.labels(group).observe(max(0.0, (datetime.now(UTC) - envelope.time).total_seconds()))
    carrier = {"traceparent": envelope.traceparent} if envelope.traceparent else {}
    with (
        structlog.contextvars.bound_contextvars(
            message=envelope.id,
            type=envelope.type,
            request_id=envelope.correlationid,
            org=envelope.org,
            attempt=attempt,
        ),
        _tracer.start_as_current_span(
            envelope.type,
            context=_propagator.extract(carrier),
            kind=trace.SpanKind.CONSUMER,
            attributes={"messaging.system": "redis", "messaging.message.id": envelope.id},
        ),
    ):
        yield
    DURATION.labels(group, envelope.type).observe(time.perf_counter() - started)
