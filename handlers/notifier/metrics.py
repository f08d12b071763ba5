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
LATENCY = Histogram(
    "grid8_realtime_latency_seconds",
    "From an event's time to its delivery to every connection of this process",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
)
