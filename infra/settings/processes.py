"""The processes: where they listen, how much they take on, what they tell."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from infra.settings.concern import MIB, Concern, split_list


class GatewaySettings(Concern):
    host: str = Field("127.0.0.1", description="Address the gateway binds.")
    port: int = Field(
        8000, ge=0, le=65535, description="Port the gateway binds; 0 takes a free one."
    )
    public_url: str | None = Field(
        None,
        description="What clients call the gateway, for absolute URLs; default http://host:port.",
    )
    reply_timeout: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Seconds a write waits for its worker before it is answered 202.",
    )
    body_limit: int = Field(
        MIB,
        ge=1024,
        description="Bytes a JSON body may have; larger is 413. Uploads have their own limit.",
    )
    cors_origins: Annotated[list[str], NoDecode] = Field(
        [],
        description="Origins that browsers may call from, comma-separated; * is refused in production.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        description="Reverse proxies in front; that many entries of X-Forwarded-For are believed.",
    )
    drain_grace: float = Field(
        15.0, ge=0, description="Seconds a stopping gateway lets running requests finish."
    )
    metrics_public: bool = Field(
        True,
        description="Serve /metrics on the public port; turn off in production and scrape the ops port.",
    )

    _lists = field_validator("cors_origins", mode="before")(split_list)


class LimitsSettings(Concern):
    """Generous, because people load what ``up`` starts to see what it bears."""

    caller: int = Field(
        60_000,
        ge=0,
        description="Requests a minute of one user or API key, over all gateways; 0 is no limit.",
    )
    address: int = Field(
        6_000,
        ge=0,
        description="Requests a minute of one address (IPv6: of one /64) without a valid caller: public routes, and what is refused; 0 is no limit.",
    )
    identity: int = Field(
        1_200,
        ge=0,
        description="Registrations, sign-ins, refreshes and the like a minute of one address; 0 is no limit.",
    )
    patience: float = Field(
        0.1,
        gt=0,
        le=5,
        description="Seconds that counting a request may take, before it is let in uncounted; those of identity wait 2 s, and are refused.",
    )


class WorkerSettings(Concern):
    slots: int = Field(
        64,
        ge=1,
        description="Messages one domain handles at once in its fast lane. More make larger batches, for which gateway, worker and MongoDB then wait in turn.",
    )
    slow_slots: int = Field(
        2, ge=1, description="Messages one domain handles at once in its slow lane."
    )
    flush_limit: int = Field(
        128, ge=1, description="Units of work committed in one transaction at most."
    )
    claim_after: float = Field(
        8.0,
        gt=0,
        description="Seconds without a sign of life after which another consumer takes a message over.",
    )
    heartbeat: float = Field(
        2.0,
        gt=0,
        description="Seconds between signs of life for messages in hand; below a third of claim_after.",
    )
    max_deliveries: int = Field(
        5, ge=1, description="Attempts before a message goes to the dead-letter stream."
    )
    backoff_base: float = Field(
        0.2,
        gt=0,
        description="Seconds before the first retry; doubles with jitter up to claim_after.",
    )
    drain_grace: float = Field(
        20.0, ge=0, description="Seconds a stopping worker lets running handlers finish."
    )
    command_timeout: float = Field(
        60.0, gt=0, description="Seconds a fast-lane handler may run; the slow lane has no limit."
    )


class RelaySettings(Concern):
    interval: float = Field(
        1.0,
        gt=0,
        description="Seconds between looks for events and commands a crash left unpublished.",
    )
    grace: float = Field(
        5.0,
        gt=0,
        description="Seconds a worker has to publish what it committed before the relay does it.",
    )
    margin: float = Field(
        120.0,
        gt=0,
        description="Seconds between staging an event and its commit at most, clock differences included: after a loss of Redis the event log is looked through from that long before the watermark. Longer than command_timeout.",
    )


class NotifierSettings(Concern):
    host: str = Field("127.0.0.1", description="Address the notifier binds.")
    port: int = Field(
        8001, ge=0, le=65535, description="Port of WebSocket and SSE; 0 takes a free one."
    )
    public_url: str | None = Field(
        None, description="What clients call the notifier; default http://host:port."
    )
    push_shards: int = Field(
        4,
        ge=1,
        le=256,
        description="Push streams; organizations are spread over them. Same value in every process.",
    )
    push_length: int = Field(
        100_000,
        ge=100,
        description="Entries a push stream keeps, about; behind them, cursors resume from the archive.",
    )
    archive_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days for which a cursor resumes from the archive of pushes in MongoDB; 0 keeps none, so that a cursor lasts as long as its entry in the push stream. Same value on every notifier and gateway.",
    )
    archive_every: float = Field(
        5.0,
        gt=0,
        description="Seconds between copies of what is new in a push stream; until then the event log fills in for what Redis loses.",
    )
    queue_limit: int = Field(
        512, ge=8, description="Frames queued for one slow socket before it is cut (WS close 4008)."
    )
    heartbeat: float = Field(
        15.0, gt=0, description="Seconds between SSE comments and WebSocket pings."
    )
    ticket_ttl: int = Field(60, ge=5, description="Seconds a realtime ticket can be redeemed.")
    reconnect: int = Field(
        86_400,
        ge=1,
        description="Seconds after the end of an event stream in which its client may go on with it without another ticket.",
    )
    subscriptions: int = Field(64, ge=1, description="Channels one socket may subscribe to.")
    message_limit: int = Field(16 * 1024, ge=1024, description="Bytes a client frame may have.")
    alive_for: float = Field(
        3.0,
        ge=0.5,
        le=60,
        description="Seconds after its last sign of life in which a notifier, and each connection it had, still counts; it gives three in that time.",
    )
    presence_grace: float = Field(
        2.5,
        ge=0,
        le=60,
        description="Seconds in which who comes back to a channel has not left it.",
    )
    presence_batch: float = Field(
        0.2,
        ge=0,
        le=10,
        description="Seconds in which those who join and leave a channel are gathered before watchers are told.",
    )
    presence_listed: int = Field(
        500, ge=1, description="People listed of a channel, or told of in one message, at most."
    )
    sockets: int = Field(
        20_000, ge=0, description="Sockets of one notifier process; 0 is no limit."
    )
    sockets_per_user: int = Field(
        2_000,
        ge=0,
        description="Sockets of one user or API key, over all notifiers and organizations; 0 is no limit.",
    )
    sockets_per_org: int = Field(
        10_000, ge=0, description="Sockets of one organization, over all notifiers; 0 is no limit."
    )
    idle: float = Field(
        60.0,
        gt=0,
        description="Seconds a socket may be subscribed to nothing before it is closed (WS close 4004).",
    )


class OpsSettings(Concern):
    host: str = Field(
        "127.0.0.1", description="Address of /health, /ready and /metrics of workers and relay."
    )
    port: int = Field(
        0, ge=-1, le=65535, description="Their port; 0 takes a free one, -1 serves none."
    )


class LogSettings(Concern):
    format: Literal["console", "json"] = Field(
        "console", description="console for people, json for machines."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level written."
    )


class TracingSettings(Concern):
    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP endpoint, e.g. http://127.0.0.1:4318; tracing is off without it.",
    )
    sample: float = Field(
        1.0, ge=0, le=1, description="Share of requests without a sampled parent that are traced."
    )
