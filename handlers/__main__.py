"""``python -m handlers corp asset …``: any set of domains, the notifier and the relay, in one process.

``python -m handlers prepare`` creates indexes, streams and groups, and ends.
"""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError
from redis.exceptions import RedisError

import contracts.catalog  # noqa: F401 - every contract must be known to whoever relays
from handlers.runtime import ROLES, prepare, run
from infra.secrets import NoSealingKey
from infra.settings import SettingUnknown, settings


def main(arguments: list[str]) -> int:
    """Exit code 0 after a clean drain, 1 with one sentence when it cannot start, 2 for usage."""
    unknown = [role for role in arguments if role not in (*ROLES, "prepare")]
    if not arguments or unknown:
        print(f"usage: python -m handlers prepare | {{{' '.join(ROLES)}}} …", file=sys.stderr)  # noqa: T201
        return 2
    try:
        configured = settings()
        if arguments == ["prepare"]:
            uvloop.run(prepare(configured))
        else:
            uvloop.run(run(configured, arguments))
    except (ValidationError, SettingUnknown, NoSealingKey, OSError, RedisError) as error:
        print(f"{' '.join(arguments)}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
