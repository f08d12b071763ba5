"""Contracts only ever gain optional fields, and are named as the house names them."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import typing
from typing import Any

import pytest

from contracts.base import Command, Event, Message, View
from contracts.errors import DomainError, ErrorKind
from contracts.permissions import GRANTS, Permission, Role
from contracts.sealed import Sealed
from tests.contracts.snapshots import BY_NAME, agreed, breaks, messages, ours, schema_of

VERBS_IN_THE_PAST = re.compile(r"[a-z_]*(ed|gone|lost|sent|ready|begun|made|found|read)\Z")


@pytest.mark.parametrize("name", [name for name in BY_NAME if not name.startswith("view.")])
def test_a_message_breaks_nobody_who_knew_its_snapshot(name: str) -> None:
    broken = breaks(agreed(name), schema_of(name))
    assert not broken, (
        f"{name} would be misunderstood by who knows it as it was: {'; '.join(broken)}. "
        "Give it a new version and an upcaster, or an optional field instead."
    )


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith("view.")])
def test_a_view_still_shows_everything_it_did(name: str) -> None:
    old, new = agreed(name), schema_of(name)
    gone = set(old["properties"]) - set(new["properties"])
    assert not gone, f"clients may read {sorted(gone)} of {name}"
    absent = set(old.get("required", [])) - set(new.get("required", []))
    assert not absent, f"clients rely on {sorted(absent)} being there"


# what the comparison finds


def changed(change: Any) -> list[str]:
    old = schema_of("corp.project.update.v1")
    new = copy.deepcopy(old)
    change(new)
    return breaks(old, new)


def test_an_optional_field_more_breaks_nobody() -> None:
    def more(new: dict[str, Any]) -> None:
        new["properties"]["colour"] = {"type": "string"}

    assert changed(more) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda new: new["properties"].pop("name"), "/name was removed or renamed"),
        (lambda new: new["required"].append("name"), "/name is required and was not"),
        (
            lambda new: new["properties"]["status"]["enum"].remove("active"),
            "/status no longer takes ['active']",
        ),
        (
            lambda new: new["properties"]["name"].update(type="integer"),
            "/name was of type string and is integer",
        ),
        (
            lambda new: new["properties"]["name"].update(maxLength=5),
            "/name: maxLength was lowered to 5",
        ),
        (
            lambda new: new["properties"]["name"].update(minLength=9),
            "/name: minLength was raised to 9",
        ),
        (
            lambda new: new["properties"]["if_revision"]["anyOf"].pop(),
            "/if_revision no longer takes null",
        ),
    ],
    ids=range(7),
)
def test_what_breaks_somebody_is_found(change: Any, reason: str) -> None:
    assert reason in changed(change)


# names


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.wire)
def test_a_wire_name_is_a_literal_of_domain_noun_and_verb(message: type[Message]) -> None:
    domain, noun, verb = message.wire.split(".")
    assert message.__module__.startswith(f"contracts.{domain}.")
    assert re.fullmatch(r"[a-z]+\.[a-z_]+\.[a-z_]+", message.wire)
    assert message.domain() == domain
    assert noun
    if issubclass(message, Event):
        assert VERBS_IN_THE_PAST.match(verb), f"{message.wire} has not happened yet"
    source = ast.parse(inspect.getsource(message).strip())
    (declared,) = [
        statement.value
        for statement in ast.walk(source)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id == "wire"
    ]
    assert isinstance(declared, ast.Constant), "derived names change when a class is renamed"
    assert message.__doc__, "its first sentence is its description in OpenAPI and AsyncAPI"


def test_every_message_is_in_the_catalog_and_found_by_its_name() -> None:
    known = {id(message) for message in messages()}
    assert len(known) == len(messages()) > 30
    for message in messages():
        kind = Command if issubclass(message, Command) else Event
        other = Event if kind is Command else Command
        assert kind.of_wire(message.wire, message.wire_version) is message
        assert other.of_wire(message.wire, message.wire_version) is None
        assert kind.of_wire(message.wire, message.wire_version + 1) is None
    wires = [(message.wire, message.wire_version) for message in messages()]
    assert len(set(wires)) == len(wires)


def test_a_wire_name_cannot_be_declared_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Message, "_known", dict(Message._known))

    class Once(Command):
        wire = "tests.thing.make_once"

    assert Command.of_wire("tests.thing.make_once", 1) is Once
    with pytest.raises(TypeError, match="declared twice"):

        class Twice(Command):
            wire = "tests.thing.make_once"


EVENTS = [message for message in messages() if issubclass(message, Event)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.wire)
def test_an_events_subject_is_a_required_id_of_it(event: type[Event]) -> None:
    assert event.subject in event.model_fields
    assert event.model_fields[event.subject].is_required()
    assert event.subject.endswith("_id")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.wire)
def test_an_event_holds_no_secret(event: type[Event]) -> None:
    assert not [name for name, info in event.model_fields.items() if "Sealed" in str(info)]


ABOUT_ANOTHER = {"corp.organization.transfer", "corp.team_member.add"}
"""Commands in which ``user_id`` is somebody else than who asks."""

COMMANDS = [message for message in messages() if issubclass(message, Command)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.wire)
def test_a_command_seals_what_sounds_like_a_secret_and_names_no_actor(
    command: type[Command],
) -> None:
    for name, info in command.model_fields.items():
        if re.search(r"password|token|secret", name):
            kinds = (info.annotation, *typing.get_args(info.annotation))
            assert any(Sealed in (kind, typing.get_origin(kind)) for kind in kinds), name
    actors = {"actor", "org", "role_of_actor"}
    if command.wire not in ABOUT_ANOTHER:
        actors.add("user_id")
    assert not actors & set(command.model_fields)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_contract_refuses_what_it_does_not_know_and_cannot_be_changed(name: str) -> None:
    config = BY_NAME[name].model_config
    assert config.get("frozen")
    assert config.get("hide_input_in_errors")
    assert config.get("extra") == "forbid"


def test_every_view_says_what_it_is() -> None:
    for name, view in BY_NAME.items():
        if issubclass(view, View):
            assert inspect.getdoc(view), name


# errors


def errors() -> dict[str, type[DomainError]]:
    import contracts.actor

    assert contracts.actor
    return {code: error for code, error in DomainError.all().items() if ours(error)}


@pytest.mark.parametrize("code", errors())
def test_an_error_has_a_permanent_code_a_kind_and_a_title(code: str) -> None:
    error = errors()[code]
    assert error.code == code
    assert re.fullmatch(r"([a-z]+\.)?[a-z][a-z_]+", code)
    module = error.__module__.split(".")
    if len(module) > 2:
        assert code.startswith(module[1] + "."), "a domain's codes begin with its name"
    assert isinstance(error.kind, ErrorKind)
    assert error.title
    assert not error.title.endswith(".")
    failure = error("because", retry_after=1.5).failure()
    assert (failure.code, failure.kind, failure.detail) == (code, error.kind, "because")
    assert failure.retry_after == 1.5
    assert error().detail == f"{error.title}."


def test_an_error_code_cannot_be_declared_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DomainError, "_known", dict(DomainError._known))
    with pytest.raises(TypeError, match="declared twice"):

        class Again(DomainError):
            code = "corp.last_owner"
            kind = ErrorKind.CONFLICT
            title = "Again"


# permissions


def test_each_role_may_do_what_every_weaker_one_may() -> None:
    assert set(GRANTS) == set(Role)
    assert GRANTS[Role.OWNER] == frozenset(Permission)
    for stronger, weaker in zip(list(Role), list(Role)[1:], strict=False):
        assert GRANTS[stronger] >= GRANTS[weaker], f"{weaker} may do what {stronger} may not"
        assert stronger.rank < weaker.rank
    assert [role.rank for role in Role] == list(range(len(Role)))


def test_only_an_owner_ends_an_organization_and_a_viewer_changes_nothing() -> None:
    assert [role for role in Role if Permission.ORGANIZATION_DELETE in GRANTS[role]] == [Role.OWNER]
    for role in (Role.REVIEWER, Role.VIEWER):
        assert not [each for each in GRANTS[role] if re.search("write|delete", each.value)]
    for permission in Permission:
        assert re.fullmatch(r"[a-z]+:[a-z]+", permission.value)
        assert [role for role in Role if permission in GRANTS[role]]


def test_an_actor_without_a_role_may_do_nothing() -> None:
    from contracts.actor import Actor, PermissionMissing

    actor = Actor(user="usr_1")
    assert not [permission for permission in Permission if actor.may(permission)]
    with pytest.raises(PermissionMissing, match="brand:write"):
        actor.require(Permission.BRAND_WRITE)
    with pytest.raises(LookupError):
        _ = actor.tenant
    Actor(user="usr_1", org="org_1", role=Role.OWNER).require(Permission.BRAND_WRITE)
