"""What a route is. ``allow`` has no default: a route cannot be written without its permission."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Any, Literal, get_args, get_origin

from aiohttp import web
from pydantic import BaseModel

from contracts.actor import Actor
from contracts.base import Command, FromRequest, View
from contracts.permissions import BY_PEOPLE_ALONE, Permission, PlatformPermission
from contracts.sealed import Sealed
from gateway.parameters import grouped, parameters_of_command, parameters_of_query


class Access(Enum):
    """For routes outside of any organization."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    """A person; an API key is refused."""
    KNOWN = "known"
    """A person or an API key."""


Allow = Permission | PlatformPermission | Access
Present = Callable[[Actor, Any], Awaitable[View]]
Reference = Callable[[Actor, str], Awaitable[Any]]
Reaches = Callable[[Actor, Any, Sequence[str]], Awaitable[str | None]]
"""Finds an asset of some projects that a command would change, though it does not name it."""


@dataclass(frozen=True, eq=False)
class Route:
    """One line of the table, with what dispatch and OpenAPI need derived from it."""

    method: str
    path: str
    kind: Literal["command", "query", "custom"]
    allow: Allow
    operation: str
    summary: str
    answers: type[View] | None
    status: int
    contract: type[Command] | None = None
    function: Callable[..., Awaitable[Any]] | None = None
    parameters: type[BaseModel] | None = None
    """The query parameters, as a model that refuses unknown ones."""
    grouped: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    """Parameters of a query that are models, whose fields are the query parameters."""
    location: str | None = None
    present: Present | None = None
    references: Mapping[str, Reference] = field(default_factory=dict)
    needs: Callable[[Any], Permission] | None = None
    """The permission that a command about many assets, its ``ids``, needs for each of them."""
    reaches: Reaches | None = None
    media: Mapping[str, Any] = field(default_factory=dict)
    """Request media types of a custom route, as OpenAPI shows them."""
    produces: str = "application/json"
    revised: bool = True
    """Whether the revision tells of every change in the answer: in it is no URL that expires
    and nothing of the caller's own. Else a GET is never answered 304."""
    silent: bool = False
    """Whether it is answered as soon as the command is durable, from the command's own fields:
    neither the answer nor the time it takes can tell what came of it."""
    carry: Callable[..., Awaitable[web.Response]] | None = None
    """Carries the command out, called as ``dispatch.carry_out`` is, which it calls in its turn."""
    placed: bool = False
    """Whether its function itself finds out which brand it is about, and uses scopes.act_in."""
    hurried: bool = True
    """Whether a GET is given up when its dependencies are slow; a file has the time it needs."""
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Request headers of a custom route, as OpenAPI shows them: name → schema."""
    refusals: tuple[int, ...] = ()
    """Statuses of a route's own problems, beside those that any route may have."""
    impersonable: bool | None = None
    """Whether somebody who impersonates may use it; None leaves it to ``by_impersonators``."""

    @cached_property
    def in_path(self) -> list[str]:
        """Names of the path parameters."""
        return re.findall(r"{(\w+)", self.path)

    @cached_property
    def ids_in_path(self) -> list[str]:
        """Those of them that are ids."""
        return [name for name in self.in_path if name not in ("key", "code")]

    @cached_property
    def tenant(self) -> bool:
        """Whether it acts in the organization named by ``{org}``."""
        return isinstance(self.allow, Permission)

    @cached_property
    def limited_as(self) -> Literal["caller", "address", "identity"]:
        """Which rate limit holds: public commands are those by which somebody gets in."""
        if self.allow is not Access.PUBLIC:
            return "caller"
        return "identity" if self.kind == "command" else "address"

    @cached_property
    def by_impersonators(self) -> bool:
        """Whether a platform admin may use it in somebody's name.

        Unless a route says otherwise, they may look at the person's account and not change it,
        and do in organizations whatever does not outlive the impersonation.
        """
        if self.impersonable is not None:
            return self.impersonable
        if isinstance(self.allow, Permission):
            return self.allow not in BY_PEOPLE_ALONE
        if isinstance(self.allow, PlatformPermission):
            return False
        return self.allow is Access.PUBLIC or self.method == "GET"

    @cached_property
    def body_fields(self) -> list[str]:
        """Fields of the command that the body may give."""
        if self.contract is None:
            return []
        return [
            name
            for name, info in self.contract.model_fields.items()
            if name not in self.in_path
            and not any(isinstance(each, FromRequest) for each in info.metadata)
        ]

    @cached_property
    def injected(self) -> dict[str, str]:
        """Fields of the command that come from the request itself: name → what."""
        if self.contract is None:
            return {}
        return {
            name: each.what
            for name, info in self.contract.model_fields.items()
            for each in info.metadata
            if isinstance(each, FromRequest)
        }


def command(
    method: str,
    path: str,
    contract: type[Command],
    *,
    allow: Allow,
    answers: type[View] | None = None,
    status: int | None = None,
    location: str | None = None,
    present: Present | None = None,
    references: Mapping[str, Reference] | None = None,
    needs: Callable[[Any], Permission] | None = None,
    reaches: Reaches | None = None,
    silent: bool = False,
    impersonable: bool | None = None,
    carry: Callable[..., Awaitable[web.Response]] | None = None,
) -> Route:
    """A request that becomes a command. ``location`` is formatted with the answer's fields."""
    return Route(
        method=method,
        path=path,
        kind="command",
        allow=allow,
        operation=contract.__name__[0].lower() + contract.__name__[1:],
        summary=_summary(contract),
        answers=answers,
        status=status or (204 if answers is None else 201 if location else 200),
        contract=contract,
        location=location,
        present=present,
        references=references or {},
        parameters=parameters_of_command(contract),
        needs=needs,
        reaches=reaches,
        silent=silent,
        impersonable=impersonable,
        carry=carry,
    )


def query(
    path: str,
    function: Callable[..., Awaitable[Any]],
    *,
    allow: Allow,
    answers: type[View],
    revised: bool = True,
    refusals: tuple[int, ...] = (),
) -> Route:
    """A GET answered by a query: path and query parameters are the function's own."""
    route = Route(
        method="GET",
        path=path,
        kind="query",
        allow=allow,
        operation=_camel(function.__name__),
        summary=_summary(function),
        answers=answers,
        status=200,
        function=function,
        parameters=parameters_of_query(function, set(re.findall(r"{(\w+)", path))),
        grouped=grouped(function),
        revised=revised,
        refusals=refusals,
    )
    if isinstance(allow, Permission) and "{org}" not in path:
        raise TypeError(f"{path} needs {{org}} for the permission {allow.value}")
    return route


def custom(
    method: str,
    path: str,
    function: Callable[..., Awaitable[web.StreamResponse]],
    *,
    allow: Allow,
    answers: type[View] | None = None,
    status: int = 200,
    parameters: type[BaseModel] | None = None,
    media: Mapping[str, Any] | None = None,
    produces: str = "application/json",
    placed: bool = False,
    hurried: bool = True,
    headers: Mapping[str, Any] | None = None,
    refusals: tuple[int, ...] = (),
) -> Route:
    """A request that is neither: ``function(request, gateway, actor)`` answers itself."""
    return Route(
        method=method,
        path=path,
        kind="custom",
        allow=allow,
        operation=_camel(function.__name__),
        summary=_summary(function),
        answers=answers,
        status=status,
        function=function,
        parameters=parameters,
        media=media or {},
        produces=produces,
        placed=placed,
        hurried=hurried,
        headers=headers or {},
        refusals=refusals,
    )


@cache
def has_secrets(view: type[BaseModel] | None) -> bool:
    """Whether a view carries sealed fields, to be revealed to its addressee only."""
    if view is None:
        return False
    return any(_holds_secret(info.annotation) for info in view.model_fields.values())


def _holds_secret(annotation: Any) -> bool:
    """Whether it is a sealed type, or one of such, as in ``tuple[Sealed[str], ...]``."""
    if annotation is Sealed or get_origin(annotation) is Sealed:
        return True
    return any(_holds_secret(each) for each in get_args(annotation))


def is_page(view: type[BaseModel] | None) -> bool:
    """Whether an answer is one page of a list."""
    return view is not None and "next_cursor" in view.model_fields


def _summary(thing: Any) -> str:
    return (inspect.getdoc(thing) or thing.__name__).split("\n")[0]


def _camel(name: str) -> str:
    head, *rest = name.strip("_").split("_")
    return head + "".join(word.title() for word in rest)
