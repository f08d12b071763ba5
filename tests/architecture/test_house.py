"""Rules of the house that a tool can keep."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from pathlib import Path

import pytest

import contracts.catalog  # noqa: F401 - every contract must be declared
from contracts.base import Command
from contracts.errors import DomainError
from contracts.permissions import Permission
from gateway.routes import ROUTES
from handlers.runtime import DOMAINS

ROOT = Path(__file__).parents[2]
ROOMS = ("bus", "contracts", "gateway", "handlers", "infra", "scripts")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TOP = {*ROOMS, "tests", "pyproject.toml", "README.md", "LICENSE"}
LONGEST = 300
WRITES = {
    "insert", "insert_one", "insert_many", "save", "save_changes", "update", "update_one",
    "update_many", "replace", "replace_one", "delete", "delete_one", "delete_many",
    "bulk_write", "find_one_and_update",
}  # fmt: skip


def test_only_the_agreed_names_stand_at_the_top() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    top = {name.partition("/")[0] for name in listed if name}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_there_is_no_drawer_for_everything() -> None:
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "common", "misc")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_about_one_thing_and_says_which(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LONGEST, "make it a package of the same name"
    assert ast.get_docstring(ast.parse(text)), "it needs a docstring"


@pytest.mark.parametrize("domain", DOMAINS)
def test_handlers_stage_and_never_write(domain: str) -> None:
    folder = ROOT / "handlers" / domain
    paths = [
        path
        for name in ("handlers", "reactions")
        for path in [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")]
    ]
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if owner == "uow" or owner.endswith(("store", "sessions")):
                    continue
                assert node.func.attr not in WRITES, f"{path.name}:{node.lineno} {owner}"


def sources(domain: str) -> str:
    return "".join(path.read_text() for path in (ROOT / "handlers" / domain).glob("*.py"))


@pytest.mark.parametrize("command", list(Command.all()), ids=lambda command: command.wire)
def test_a_command_is_handled_by_its_domain_and_sent_by_somebody(command: type[Command]) -> None:
    table = inspect.getsource(importlib.import_module(f"handlers.{command.domain()}.worker"))
    assert f"{command.__name__}: " in table, "it has no line in its domain's worker.py"
    routed = any(route.contract is command for route in ROUTES)
    sent = any(
        f"{command.__name__}(" in path.read_text()
        for room in ("handlers", "gateway", "scripts")
        for path in (ROOT / room).rglob("*.py")
    )
    assert routed or sent, "nobody sends it"


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_query_takes_its_actor_first(domain: str) -> None:
    module = importlib.import_module(f"handlers.{domain}.queries")
    for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
        # A package of queries shows those of its modules.
        if name.startswith("_") or not function.__module__.startswith(module.__name__):
            continue
        assert next(iter(inspect.signature(function).parameters)) == "actor", name
        assert name.split("_")[0] in ("get", "find", "list"), name


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_in_an_organization_needs_a_permission_of_it(route: object) -> None:
    from gateway.table import Route

    assert isinstance(route, Route)
    if route.method == "OPTIONS":
        return  # tells what is supported: of every organization the same, there or not
    assert ("{org}" in route.path) == isinstance(route.allow, Permission)


CODE = re.compile(rf"({'|'.join(DOMAINS)}|realtime)\.[a-z]+(_[a-z]+)+")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_code_of_a_failure_is_one_that_the_gateway_can_explain(path: Path) -> None:
    """Each is declared where the gateway may import it, for GET /problems/{code}."""
    tree = ast.parse(path.read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    codes = {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}
    assert codes <= set(DomainError.all())
    declared = any(
        isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "DomainError" for base in node.bases)
        for node in ast.walk(tree)
    )
    assert not declared or path.relative_to(ROOT).parts[0] in ("bus", "contracts", "gateway")
