"""Every setting of every process, one class per concern.

A setting is read from the environment as ``GRID8_<CONCERN>__<NAME>``, for example
``GRID8_REDIS__URL``. ``grid8 env`` prints this file as a table, so a description
here is the documentation.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


def _split(value: Any) -> Any:
    """Accept ``a,b,c`` where a list is expected: environments have no lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class _Concern(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisSettings(_Concern):
    url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis 7.2+ or Valkey; streams, sessions and short-lived state. Must run with appendonly yes.",
    )
    max_connections: int = Field(512, ge=8, description="Connections per process.")
    socket_timeout: float = Field(
        10.0, gt=0, description="Seconds a reply may take; longer than the longest blocking read."
    )
    durable: Literal["auto", "always", "waitaof", "off"] = Field(
        "auto",
        description="How a 202 waits for the append-only file: auto asks the server (appendfsync always needs nothing more, everysec is followed by WAITAOF).",
    )


class MongoSettings(_Concern):
    url: str = Field(
        "mongodb://127.0.0.1:27017/?replicaSet=grid8",
        description="A replica set or sharded cluster: transactions need one.",
    )
    database: str = Field(
        "grid8",
        min_length=1,
        max_length=38,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Database name.",
    )
    timeout: float = Field(
        10.0, gt=0, description="Seconds to find a usable server before an operation fails."
    )


class GatewaySettings(_Concern):
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

    _lists = field_validator("cors_origins", mode="before")(_split)


class WorkerSettings(_Concern):
    slots: int = Field(
        128, ge=1, description="Messages one domain handles at once in its fast lane."
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


class RelaySettings(_Concern):
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


class NotifierSettings(_Concern):
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
        description="Push streams; organizations are spread over them. Same value on every notifier and gateway.",
    )
    push_length: int = Field(
        100_000,
        ge=100,
        description="Entries a push stream keeps, about: how far back a cursor resumes.",
    )
    queue_limit: int = Field(
        512, ge=8, description="Frames queued for one slow socket before it is cut (WS close 4008)."
    )
    heartbeat: float = Field(
        15.0, gt=0, description="Seconds between SSE comments and WebSocket pings."
    )
    ticket_ttl: int = Field(60, ge=5, description="Seconds a realtime ticket can be redeemed.")
    subscriptions: int = Field(64, ge=1, description="Channels one socket may subscribe to.")
    message_limit: int = Field(16 * 1024, ge=1024, description="Bytes a client frame may have.")


class OpsSettings(_Concern):
    host: str = Field(
        "127.0.0.1", description="Address of /health, /ready and /metrics of workers and relay."
    )
    port: int = Field(
        0, ge=-1, le=65535, description="Their port; 0 takes a free one, -1 serves none."
    )


class AuthSettings(_Concern):
    keys_folder: Path = Field(
        Path(".grid8/keys"),
        description="Folder of P-256 keys as PEM, <kid>.pem; the last by name signs, all verify. A <kid>.pub.pem only verifies.",
    )
    issuer: str = Field("grid8", min_length=1, description="iss of access tokens.")
    audience: str = Field("grid8", min_length=1, description="aud of access tokens.")
    access_ttl: int = Field(900, ge=30, le=86400, description="Seconds an access token lives.")
    session_idle: int = Field(
        14 * 86400, ge=60, description="Seconds a session lives without a refresh."
    )
    session_absolute: int = Field(90 * 86400, ge=60, description="Seconds a session lives at all.")
    refresh_grace: int = Field(
        30,
        ge=0,
        description="Seconds in which the previous refresh token returns the same successor.",
    )
    session_cache: float = Field(
        2.0,
        ge=0,
        le=5,
        description="Seconds a gateway may believe a session it has looked up; revocation takes this long at most.",
    )
    bcrypt_cost: int = Field(12, ge=4, le=16, description="bcrypt work factor.")
    verified_only: bool = Field(False, description="Refuse sign-in until the address is verified.")


class SecretsSettings(_Concern):
    keys: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        description="32-byte keys in base64, comma-separated: the first seals secrets on the wire, all open them. Kept in data_folder when empty.",
    )

    _lists = field_validator("keys", mode="before")(_split)

    @field_validator("keys")
    @classmethod
    def _are_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for key in keys:
            if len(base64.b64decode(key.get_secret_value(), validate=True)) != 32:
                raise ValueError("each key is 32 bytes in base64")
        return keys


class StoreSettings(_Concern):
    backend: Literal["local", "s3"] = Field(
        "local", description="Where originals and renditions live."
    )
    folder: Path = Field(Path(".grid8/objects"), description="Folder of the local store.")
    bucket: str = Field("grid8", min_length=3, description="S3 bucket; it must exist.")
    endpoint_url: str | None = Field(None, description="S3 endpoint when it is not Amazon's.")
    region: str = Field("us-east-1", description="S3 region.")
    access_key: SecretStr | None = Field(
        None, description="S3 access key; the usual AWS chain when empty."
    )
    secret_key: SecretStr | None = Field(None, description="S3 secret key.")
    sse: Literal["AES256", "aws:kms", "none"] = Field(
        "AES256", description="Server-side encryption asked of S3."
    )
    sse_kms_key: str | None = Field(None, description="KMS key id with aws:kms.")
    part_bytes: int = Field(
        8 * MIB,
        ge=5 * MIB,
        description="Bytes of one multipart part (S3: at least 5 MiB, at most 10,000 parts).",
    )
    attempts: int = Field(
        4, ge=1, le=10, description="Tries of one S3 call, with exponential backoff and jitter."
    )
    timeout: float = Field(30.0, gt=0, description="Seconds one S3 call may take.")
    url_ttl: int = Field(
        3600,
        ge=60,
        description="Seconds a signed file URL is good for, at least; it is rounded up so that caches hit.",
    )
    url_keys: Annotated[list[SecretStr], NoDecode] = Field(
        [],
        description="Keys of signed file URLs, comma-separated: the first signs, all verify. Derived from the sealing keys when empty.",
    )

    _lists = field_validator("url_keys", mode="before")(_split)


class AssetSettings(_Concern):
    upload_limit: int = Field(5 * GIB, ge=1024, description="Bytes one upload may have.")
    free_disk: int = Field(
        512 * MIB,
        ge=0,
        description="Bytes that must stay free on the local store's disk; below, uploads get 503.",
    )
    max_pixels: int = Field(100_000_000, ge=1, description="Pixels an image may have (100 MP).")
    max_side: int = Field(65_535, ge=1, description="Pixels a side of an image may have.")
    max_frames: int = Field(500, ge=1, description="Frames an animation may have.")
    image_workers: int = Field(
        1, ge=1, le=64, description="Processes that render images, per asset worker."
    )
    image_timeout: float = Field(120.0, gt=0, description="Seconds rendering one image may take.")
    image_memory: int = Field(
        2 * GIB,
        ge=256 * MIB,
        description="Bytes of address space growth one rendering process may take.",
    )


class MailSettings(_Concern):
    smtp_url: str = Field(
        "smtp://127.0.0.1:1025",
        description="SMTP server; smtps:// and smtp+starttls:// too, with user:password@.",
    )
    sender: str = Field("Grid8 <no-reply@grid8.localhost>", description="From of system mails.")


class LogSettings(_Concern):
    format: Literal["console", "json"] = Field(
        "console", description="console for people, json for machines."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level written."
    )


class TracingSettings(_Concern):
    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP endpoint, e.g. http://127.0.0.1:4318; tracing is off without it.",
    )
    sample: float = Field(
        1.0, ge=0, le=1, description="Share of requests without a sampled parent that are traced."
    )


class BreakerSettings(_Concern):
    threshold: int = Field(5, ge=1, description="Failures in a row that open a circuit.")
    ttl: float = Field(
        10.0, gt=0, description="Seconds a circuit stays open before one call is let through."
    )


class Settings(BaseSettings):
    """All settings; frozen, read once per process."""

    model_config = SettingsConfigDict(
        env_prefix="GRID8_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    environment: Literal["development", "production"] = Field(
        "development", description="production turns on HSTS and refuses development defaults."
    )
    data_folder: Path = Field(
        Path(".grid8"), description="Folder of everything ./scripts/up keeps."
    )
    redis: RedisSettings = RedisSettings()
    mongo: MongoSettings = MongoSettings()
    gateway: GatewaySettings = GatewaySettings()
    worker: WorkerSettings = WorkerSettings()
    relay: RelaySettings = RelaySettings()
    notifier: NotifierSettings = NotifierSettings()
    ops: OpsSettings = OpsSettings()
    auth: AuthSettings = AuthSettings()
    secrets: SecretsSettings = SecretsSettings()
    store: StoreSettings = StoreSettings()
    assets: AssetSettings = AssetSettings()
    mail: MailSettings = MailSettings()
    logs: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    breaker: BreakerSettings = BreakerSettings()

    @property
    def gateway_url(self) -> str:
        return self.gateway.public_url or f"http://{self.gateway.host}:{self.gateway.port}"

    @property
    def notifier_url(self) -> str:
        return self.notifier.public_url or f"http://{self.notifier.host}:{self.notifier.port}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings. Raises pydantic.ValidationError naming the bad variable."""
    return Settings()
