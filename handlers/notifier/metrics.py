"""What the notifier measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SOCKETS = Gauge("grid8_realtime_sockets", "Open connections", ["transport"])
SUBSCRIPTIONS = Gauge("grid8_realtime_subscriptions", "Subscribed channels")
QUEUED = Gauge("grid8_realtime_queued_frames", "Frames that wait for slow readers")
CUTS = Counter("grid8_realtime_cuts_total", "Connections ended by us", ["transport", "code"])
DELIVERIES = Counter("grid8_realtime_deliveries_total", "Frames handed to connections")
HINTS = Counter("grid8_realtime_hints_total", "Tellings of progress handed to connections")
ENTRIES = Counter("grid8_realtime_entries_total", "Entries read from push streams", ["shard"])
RESUMES = Counter("grid8_realtime_resumes_total", "Resumed channels, by outcome", ["outcome"])
GAPS = Counter("grid8_realtime_gaps_total", "Push streams that lost unread entries", ["shard"])
NOTIFIERS = Gauge("grid8_realtime_notifiers", "Notifiers that are alive, as this one knows")
PRESENCE_TOLD = Counter(
    "grid8_realtime_presence_messages_total", "Messages on who is present handed to connections"
)
REFUSED = Counter(
    "grid8_realtime_refused_total", "Handshakes refused for too many sockets", ["limit"]
)
for _limit in ("process", "user", "org"):
    REFUSED.labels(_limit)
LATENCY = Histogram(
    "grid8_realtime_latency_seconds",
    "From an event's time to its delivery to every connection of this process",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
