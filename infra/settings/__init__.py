"""Every setting of every process, one class per concern.

A setting is read from the environment as ``GRID8_<CONCERN>__<NAME>``, for example
``GRID8_REDIS__URL``. ``grid8 env`` prints this file as a table, so a description
here is the documentation.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.settings.assets import (
    AssetSettings,
    FilesSettings,
    LibrarySettings,
    UploadsSettings,
)
from infra.settings.concern import GIB, MIB
from infra.settings.domains import (
    AuthSettings,
    CorpSettings,
    InboxSettings,
    SecretsSettings,
)
from infra.settings.names import SettingUnknown, check_names, names_of
from infra.settings.processes import (
    GatewaySettings,
    LimitsSettings,
    LogSettings,
    NotifierSettings,
    OpsSettings,
    RelaySettings,
    TracingSettings,
    WorkerSettings,
)
from infra.settings.servers import (
    BreakerSettings,
    MailSettings,
    MongoSettings,
    RedisSettings,
    StoreSettings,
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
    limits: LimitsSettings = LimitsSettings()
    worker: WorkerSettings = WorkerSettings()
    relay: RelaySettings = RelaySettings()
    notifier: NotifierSettings = NotifierSettings()
    ops: OpsSettings = OpsSettings()
    auth: AuthSettings = AuthSettings()
    corp: CorpSettings = CorpSettings()
    secrets: SecretsSettings = SecretsSettings()
    store: StoreSettings = StoreSettings()
    assets: AssetSettings = AssetSettings()
    uploads: UploadsSettings = UploadsSettings()
    files: FilesSettings = FilesSettings()
    library: LibrarySettings = LibrarySettings()
    mail: MailSettings = MailSettings()
    inbox: InboxSettings = InboxSettings()
    logs: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    breaker: BreakerSettings = BreakerSettings()

    @property
    def gateway_url(self) -> str:
        return self.gateway.public_url or f"http://{self.gateway.host}:{self.gateway.port}"

    @property
    def files_url(self) -> str:
        return (self.files.cdn_url or self.gateway_url).rstrip("/")

    @property
    def link_url(self) -> str:
        return (self.mail.link_url or f"{self.gateway_url}/account").rstrip("/")

    @property
    def notifier_url(self) -> str:
        return self.notifier.public_url or f"http://{self.notifier.host}:{self.notifier.port}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings.

    Raises pydantic.ValidationError naming the bad variable, or SettingUnknown.
    """
    check_names(os.environ, [name for name, _, _ in names_of(Settings)], up=False)
    return Settings()


__all__ = [
    "GIB",
    "MIB",
    "AssetSettings",
    "AuthSettings",
    "BreakerSettings",
    "CorpSettings",
    "FilesSettings",
    "GatewaySettings",
    "InboxSettings",
    "LibrarySettings",
    "LimitsSettings",
    "LogSettings",
    "MailSettings",
    "MongoSettings",
    "NotifierSettings",
    "OpsSettings",
    "RedisSettings",
    "RelaySettings",
    "SecretsSettings",
    "SettingUnknown",
    "Settings",
    "StoreSettings",
    "TracingSettings",
    "WorkerSettings",
    "settings",
]
