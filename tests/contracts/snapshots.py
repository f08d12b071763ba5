"""What crosses a wire, written down: one JSON file per command, event and view.

``python -m tests.contracts.snapshots`` (or GRID8_UPDATE_SNAPSHOTS=1 in a test run) writes
the files anew. A diff of them is what a reviewer looks at.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contracts
import contracts.catalog
from contracts.base import Command, Event, Message, View
from contracts.envelope import Envelope
from contracts.errors import Failure

FOLDER = Path(__file__).parent / "snapshots"
UPDATE = "GRID8_UPDATE_SNAPSHOTS"
HOW = f"{UPDATE}=1 pytest tests/contracts (or: python -m tests.contracts.snapshots)"


def ours(contract: type) -> bool:
    """Whether it is a contract of the product: tests declare some of their own."""
    return contract.__module__.split(".")[0] == "contracts"


def _views(of: type[View] = View) -> Iterator[type[View]]:
    for view in of.__subclasses__():
        if ours(view):
            yield view
        yield from _views(view)


def _imported() -> None:
    for module in pkgutil.walk_packages(contracts.__path__, "contracts."):
        importlib.import_module(module.name)


def messages() -> list[type[Message]]:
    """Every command and event."""
    _imported()
    return [message for message in Message.all() if ours(message)]


def contracts_by_file() -> dict[str, type[Any]]:
    """Every contract by the name of its snapshot."""
    found: dict[str, type[Any]] = {
        f"{kind_of(message)}.{message.wire}.v{message.wire_version}": message
        for message in messages()
    }
    for view in set(_views()):
        domain = view.__module__.split(".")[1]
        found[f"view.{domain}.{view.__name__}"] = view
    found["envelope"] = Envelope
    found["failure"] = Failure
    return dict(sorted(found.items()))


def kind_of(message: type[Message]) -> str:
    return "command" if issubclass(message, Command) else "event"


def snapshot(contract: type[Any]) -> dict[str, Any]:
    """What must not change by accident."""
    shown: dict[str, Any] = {"schema": contract.model_json_schema(mode="validation")}
    if issubclass(contract, Command):
        shown["lane"] = contract.lane
    if issubclass(contract, Event):
        shown["subject"] = contract.subject
        shown["private"] = contract.private
    return typing.cast(dict[str, Any], json.loads(json.dumps(shown)))


def text_of(contract: type[Any]) -> str:
    return json.dumps(snapshot(contract), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why messages written under the old contract, or to it, would be misunderstood now."""
    reasons = [
        f"its {name} was {old[name]!r} and is {new.get(name)!r}"
        for name in ("subject", "private", "lane")
        if name in old and old[name] != new.get(name)
    ]
    return reasons + _breaks(old["schema"], new["schema"], old["schema"], new["schema"], "")


def _breaks(
    old: dict[str, Any], new: dict[str, Any], old_root: Any, new_root: Any, path: str
) -> list[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    reasons = []
    if old.get("type") != new.get("type"):
        reasons.append(f"{path or 'it'} was of type {old.get('type')} and is {new.get('type')}")
    narrowed = [value for value in _values(old) if value not in _values(new)]
    if _values(new) and (narrowed or not _values(old)):
        reasons.append(f"{path or 'it'} no longer takes {narrowed or 'everything'}")
    for name in ("minLength", "minimum", "minItems"):
        if new.get(name, 0) > old.get(name, 0):
            reasons.append(f"{path}: {name} was raised to {new[name]}")
    for name in ("maxLength", "maximum", "maxItems"):
        if name in new and new[name] < old.get(name, float("inf")):
            reasons.append(f"{path}: {name} was lowered to {new[name]}")
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        reasons.append(f"{path}: its pattern was {old.get('pattern')} and is {new['pattern']}")
    if "anyOf" in old:
        taken = [_resolved(each, new_root).get("type") for each in new.get("anyOf", [new])]
        for each in old["anyOf"]:
            kind = _resolved(each, old_root).get("type")
            if kind not in taken:
                reasons.append(f"{path or 'it'} no longer takes {kind}")
    was, now = old.get("properties", {}), new.get("properties", {})
    reasons += [f"{path}/{name} was removed or renamed" for name in was if name not in now]
    reasons += [
        f"{path}/{name} is required and was not"
        for name in new.get("required", [])
        if name not in old.get("required", [])
    ]
    for name in was.keys() & now.keys():
        reasons += _breaks(was[name], now[name], old_root, new_root, f"{path}/{name}")
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        reasons += _breaks(old["items"], new["items"], old_root, new_root, f"{path}/*")
    return reasons


def _values(schema: dict[str, Any]) -> list[Any]:
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def write() -> None:
    """Write every snapshot, and remove those of contracts that are gone."""
    FOLDER.mkdir(exist_ok=True)
    found = contracts_by_file()
    for name, contract in found.items():
        (FOLDER / f"{name}.json").write_text(text_of(contract), encoding="utf-8")
    for path in FOLDER.glob("*.json"):
        if path.stem not in found:
            path.unlink()


if __name__ == "__main__":
    write()
