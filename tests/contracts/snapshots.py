"""Whether a contract of today still understands who knows it as its snapshot says.

The snapshots are those of test_snapshots.py, which says how they are written anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import contracts.catalog
from contracts.base import Message
from tests.contracts.test_snapshots import CONTRACTS, SNAPSHOTS

assert contracts.catalog, "every contract must be declared"

BY_NAME = {
    name: each for name, each in CONTRACTS.items() if each.__module__.startswith("contracts.")
}
"""Contracts of the product; tests declare some of their own."""


def ours(contract: type) -> bool:
    """Whether it is a contract of the product: tests declare some of their own."""
    return contract.__module__.split(".")[0] == "contracts"


def messages() -> list[type[Message]]:
    """Every command and event."""
    return [message for message in Message.all() if ours(message)]


def schema_of(name: str) -> dict[str, Any]:
    """What the contract is now. A view is what we write, a message what we read."""
    mode: Any = "serialization" if name.startswith("view.") else "validation"
    return dict(BY_NAME[name].model_json_schema(mode=mode))


def agreed(name: str) -> dict[str, Any]:
    """What the contract was when its snapshot was written."""
    return dict(json.loads((Path(SNAPSHOTS) / f"{name}.json").read_text(encoding="utf-8")))


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why messages written under the old schema would be misunderstood now."""
    return _breaks(old, new, old, new, "")


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
    reasons += [
        f"{path}: {name} was raised to {new[name]}"
        for name in ("minLength", "minimum", "minItems")
        if new.get(name, 0) > old.get(name, 0)
    ]
    reasons += [
        f"{path}: {name} was lowered to {new[name]}"
        for name in ("maxLength", "maximum", "maxItems")
        if name in new and new[name] < old.get(name, float("inf"))
    ]
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
