"""What the notifier measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SOCKETS = Gauge("grid8_realtime_sockets", "Open connections", ["transport"])
SUBSCRIPTIONS = Gauge("grid8_realtime_subscriptions", "Subscribed channels")
QUEUED = Gauge("grid8_realtime_queued_frames", "Frames that wait for slow readers")
QUEUES = Histogram(
    "grid8_realtime_queue_frames",
    "Frames that wait for one connection, looked at once a heartbeat",
    ["transport"],
    buckets=(0, 1, 4, 16, 64, 128, 256, 512, 1024),
)
CONNECTS = Counter(
    "grid8_realtime_connects_total",
    "Connections begun, and event streams that went on with a spent ticket",
    ["transport", "how"],
)
REFUSALS = Counter(
    "grid8_realtime_refusals_total",
    "Connections refused, by the problem's code",
    ["transport", "code"],
)
CUTS = Counter("grid8_realtime_cuts_total", "Connections ended by us", ["transport", "code"])
DELIVERIES = Counter("grid8_realtime_deliveries_total", "Frames handed to connections")
HINTS = Counter("grid8_realtime_hints_total", "Tellings of progress handed to connections")
ENTRIES = Counter("grid8_realtime_entries_total", "Entries read from push streams", ["shard"])
RESUMES = Counter(
    "grid8_realtime_resumes_total",
    "Resumes, by what they needed: stream, archive, log, or reset",
    ["outcome"],
)
ARCHIVED = Counter("grid8_realtime_archived_total", "Entries copied from push streams", ["shard"])
HOLES = Counter(
    "grid8_realtime_archive_holes_total", "Losses before entries were copied", ["shard"]
)
BEHIND = Gauge("grid8_realtime_archive_behind", "Entries yet to be copied", ["shard"])
LATE = Gauge("grid8_realtime_archive_late_seconds", "Age of the next entry to copy", ["shard"])
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
PUSH_LATENCY = Histogram(
    "grid8_realtime_push_latency_seconds",
    "From an entry's time in its push stream, by the clock of Redis, to its delivery to every "
    "connection of this process",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
