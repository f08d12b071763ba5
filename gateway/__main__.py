"""``python -m gateway``."""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError
from redis.exceptions import RedisError

from gateway.app import serve
from infra.secrets import NoSealingKey
from infra.settings import SettingUnknown, settings


def main() -> int:
    """Exit code 0 after a clean drain, 1 with one sentence when it cannot start."""
    try:
        uvloop.run(serve(settings()))
    except (ValidationError, SettingUnknown, NoSealingKey, OSError, RedisError) as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
