"""The names of settings, and what is wrong with one that is none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

PREFIX = "GRID8_"
UP = "GRID8_UP__"
"""What ``grid8 up`` is told, and tells its processes."""

# Kubernetes tells every container of every service, such as GRID8_GATEWAY_SERVICE_HOST.
_OF_KUBERNETES = re.compile(r"_SERVICE_HOST|_(SERVICE_)?PORT(_\w+)?")


class SettingUnknown(Exception):
    """A variable that begins like a setting, and is none."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        super().__init__(f"{name} is no setting{hint} (grid8 env lists every setting.)")


def names_of(
    model: type[BaseModel], prefix: str = PREFIX
) -> Iterator[tuple[str, type[BaseModel], str]]:
    """Each setting: its variable, and the class and field it is."""
    nested: list[tuple[str, type[BaseModel]]] = []
    for field, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            nested.append((f"{prefix}{field.upper()}__", kind))
        else:
            yield f"{prefix}{field.upper()}", model, field
    for inner, kind in nested:
        yield from names_of(kind, inner)


def check_names(env: Mapping[str, str], known: Iterable[str], *, up: bool) -> None:
    """Raise SettingUnknown for the first misspelt variable.

    ``up`` tells whether those of ``grid8 up`` are among the known ones; else they are passed
    over. A whole concern as JSON (``GRID8_REDIS``) is known with its first setting.
    """
    names = sorted(known)
    whole = {name.partition("__")[0] for name in names if "__" in name}
    for given in sorted(name.upper() for name in env):
        if not given.startswith(PREFIX) or given in names or given in whole:
            continue
        if given.startswith(UP) and not up:
            continue
        rest = given.removeprefix(PREFIX)
        if "KUBERNETES_SERVICE_HOST" in env and "__" not in rest and _OF_KUBERNETES.search(rest):
            continue
        raise SettingUnknown(given, names)
