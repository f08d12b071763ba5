"""Where everything of one stack is: folders, ports, URLs, and the environment that says so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from infra.embedded import mongod, secrets, state
from infra.embedded.errors import CannotStartError
from infra.embedded.ports import free_port
from infra.settings import GIB, Settings, SettingUnknown
from infra.settings.names import UP, check_names, names_of

ROOT = Path(__file__).resolve().parents[2]
"""The checkout (or site-packages) that holds Grid8."""

_S = TypeVar("_S", bound=BaseSettings)
_PATHS = ("GRID8_DATA_FOLDER", "GRID8_AUTH__KEYS_FOLDER", "GRID8_STORE__FOLDER")


class UpSettings(BaseSettings):
    """What ``grid8 up`` itself can be told."""

    model_config = SettingsConfigDict(env_prefix="GRID8_UP__", extra="ignore", frozen=True)

    port_base: int = Field(
        8000,
        ge=1,
        le=65_000,
        description="Moves every port at once: gateway here, notifier +1, mails +25, MongoDB +27, Redis +63.",
    )
    mongo_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the embedded MongoDB; 0 takes a free one."
    )
    redis_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the embedded Valkey; 0 takes a free one."
    )
    smtp_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the embedded SMTP sink; 0 takes a free one."
    )
    mongo_cache_gb: float = Field(
        0.5, ge=0.25, description="GiB the embedded MongoDB may cache; it wants 0.25 at least."
    )
    free_disk: int = Field(
        GIB, ge=0, description="Bytes that must be free where the data folder is."
    )
    ready_timeout: float = Field(
        90.0, gt=0, description="Seconds a process may take to become ready the first time."
    )


def data_folder(env: Mapping[str, str] = os.environ) -> Path:
    """The data folder, absolute: GRID8_DATA_FOLDER, else ``.grid8`` beside the code."""
    if given := upper(env).get("GRID8_DATA_FOLDER"):
        return Path(given).expanduser().absolute()
    home = ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()
    return home / ".grid8"


def upper(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with Grid8's own names in capitals, which settings do not insist on."""
    return {
        name.upper() if name.upper().startswith("GRID8_") else name: value
        for name, value in env.items()
    }


class Layout:
    """One stack's folders, ports and URLs; ``env`` is what its processes are started with.

    Given a mapping on top of this process's environment. Raises CannotStartError naming
    the variable that is wrong. Nothing is created until `create`.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        given = upper({**os.environ, **(env or {})})
        self.settings, self.up = _read(given)
        gateway, notifier = self.settings.gateway, self.settings.notifier
        base = self.up.port_base
        self.folder = data_folder(given)
        self.logs = self.folder / "logs"
        self.mails = self.folder / "mails"
        self.stack_env = self.folder / "stack.env"

        self.owns_mongo = "url" not in self.settings.mongo.model_fields_set
        self.owns_redis = "url" not in self.settings.redis.model_fields_set
        self.owns_smtp = "smtp_url" not in self.settings.mail.model_fields_set
        self.gateway_port = _port(
            gateway.port if "port" in gateway.model_fields_set else base, gateway.host
        )
        self.notifier_port = _port(
            notifier.port if "port" in notifier.model_fields_set else base + 1, notifier.host
        )
        self.smtp_port = _port(_or(self.up.smtp_port, base + 25))
        self.mongo_port = _port(_or(self.up.mongo_port, base + 27))
        self.redis_port = _port(_or(self.up.redis_port, base + 63))

        self.gateway_host = reachable(gateway.host)
        self.notifier_host = reachable(notifier.host)
        self.ops_host = reachable(self.settings.ops.host)
        self.gateway_url = gateway.public_url or _http(self.gateway_host, self.gateway_port)
        self.notifier_url = notifier.public_url or _http(self.notifier_host, self.notifier_port)
        self.mongo_url = mongod.url(self.mongo_port) if self.owns_mongo else self.settings.mongo.url
        self.redis_url = (
            f"redis://127.0.0.1:{self.redis_port}/0" if self.owns_redis else self.settings.redis.url
        )
        self.smtp_url = (
            f"smtp://127.0.0.1:{self.smtp_port}" if self.owns_smtp else self.settings.mail.smtp_url
        )
        self._given = given
        self.env: dict[str, str] = {}

    def create(self) -> None:
        """Make the folders and keys that are missing, and fill ``env``."""
        for folder in (self.folder, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        defaults = {
            "GRID8_AUTH__KEYS_FOLDER": str(self.folder / "keys"),
            "GRID8_STORE__FOLDER": str(self.folder / "objects"),
        }
        keys = self._given.get("GRID8_SECRETS__KEYS") or secrets.sealing_key(
            self.folder / "sealing.key"
        )
        if not self._given.get("GRID8_AUTH__KEYS_FOLDER"):
            secrets.jwt_key(self.folder / "keys")
        absolute = {
            name: str(Path(self._given[name]).expanduser().absolute())
            for name in _PATHS
            if self._given.get(name)
        }
        self.env = {
            **self._given,
            **defaults,
            **absolute,
            "GRID8_DATA_FOLDER": str(self.folder),
            "GRID8_SECRETS__KEYS": keys,
            "GRID8_MONGO__URL": self.mongo_url,
            "GRID8_REDIS__URL": self.redis_url,
            "GRID8_MAIL__SMTP_URL": self.smtp_url,
            "GRID8_GATEWAY__PORT": str(self.gateway_port),
            "GRID8_NOTIFIER__PORT": str(self.notifier_port),
            "PYTHONUNBUFFERED": "1",
            # Their output is a log file, not a terminal.
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        for colour in ("FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"):
            self.env.pop(colour, None)


def known_settings() -> list[tuple[str, type[BaseModel], str]]:
    """Every setting: its variable, and the class and field it is."""
    return [*names_of(Settings), *names_of(UpSettings, UP)]


_SET_BY_UP = (state.PID, state.OPS_PORTS, state.MAILS)
"""What stack.env tells of a stack that runs."""


def check_variables(env: Mapping[str, str]) -> None:
    """Raise SettingUnknown for a variable that is misspelt."""
    check_names(env, [*(name for name, _, _ in known_settings()), *_SET_BY_UP], up=True)


def _read(given: Mapping[str, str]) -> tuple[Settings, UpSettings]:
    try:
        check_variables(given)
        return _from(Settings, given), _from(UpSettings, given)
    except ValidationError as error:
        wrong = error.errors()[0]
        prefix = "GRID8_UP__" if error.title == "UpSettings" else "GRID8_"
        path = [str(part) for part in wrong["loc"] if not isinstance(part, int)]
        raise CannotStartError(
            f"{prefix}{'__'.join(path).upper()} is wrong: {wrong['msg']} (grid8 env explains every setting)."
        ) from error
    except SettingUnknown as error:
        raise CannotStartError(str(error)) from error


def _from(model: type[_S], given: Mapping[str, str]) -> _S:
    source = EnvSettingsSource(model)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    return model(**source())


def _port(port: int, host: str = "127.0.0.1") -> int:
    return port or free_port(host)


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def reachable(host: str) -> str:
    """The address to call a server at that binds this one."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _http(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
