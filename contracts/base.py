"""The three kinds of contract: a command asks, an event tells, a view shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Lane = Literal["fast", "slow"]


class Contract(BaseModel):
    """Anything that crosses a wire. Unknown fields are refused, instances never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class FromRequest:
    """Marks a command's field that the gateway fills from the request, never from the body.

    ``parameter`` is a query parameter of the field's name, ``barred`` what of the command's
    ``ids`` the actor may not change. What is ``gateway``, whoever carries out the route's
    command fills in by other knowledge.
    """

    what: Literal["address", "agent", "if_match", "parameter", "barred", "gateway"]


IfRevision = Annotated[
    int | None,
    FromRequest("if_match"),
    Field(description="Refuse unless this is the stored revision."),
]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def absent() -> Any:
    """Default of a field that may be left out but may not be null: PATCH changes what is named."""
    return Field(default=None, json_schema_extra=_without_default)


class View(Contract):
    """What a query or a command answers."""


class Message(Contract):
    """A command or an event: something with a name on the wire."""

    wire: ClassVar[str]
    """``{domain}.{noun}.{verb or past}``: written out, because renaming a class must not rename it."""
    wire_version: ClassVar[int] = 1

    _known: ClassVar[dict[tuple[str, int], type[Message]]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        wire = cls.__dict__.get("wire")
        if wire is None or wire.endswith(".*"):
            return  # nobody's contract: see Event.takes
        key = (wire, cls.wire_version)
        if key in Message._known:
            raise TypeError(f"{wire} version {cls.wire_version} is declared twice")
        Message._known[key] = cls

    @classmethod
    def domain(cls) -> str:
        """The domain that owns the contract: what stands before the first dot of its wire name."""
        return cls.wire.partition(".")[0]

    @classmethod
    def of_wire(cls, wire: str, version: int) -> type[Self] | None:
        """The contract with this wire name and version, when it is one of this kind."""
        found = Message._known.get((wire, version))
        return found if found is not None and issubclass(found, cls) else None

    @classmethod
    def all(cls) -> Iterator[type[Self]]:
        """Every declared contract of this kind, by wire name."""
        for _, found in sorted(Message._known.items()):
            if issubclass(found, cls):
                yield found


class Command(Message):
    """Asks one domain to do something. Its actor is in the envelope, never in the body."""

    lane: ClassVar[Lane] = "fast"


class Event(Message):
    """Says what has happened; only ever gains optional fields."""

    subject: ClassVar[str]
    """The field that holds the id of what the event is about."""
    private: ClassVar[bool] = False
    """Whether only the user it is about may see it live, and not the organization."""
    producible: ClassVar[bool] = False
    """Whether internal producers may send it over HTTP, in the name of an organization.

    Everybody who reacts to it then believes what they say: never open an event from which
    another domain grants something, such as ``corp.member.added``.
    """

    @classmethod
    def takes(cls, data: Mapping[str, Any]) -> bool:
        """Of a reaction to events without a contract, whose wire name is ``custom.*``: whether one
        with this data is of use. The others are not even noted as handled."""
        return True
