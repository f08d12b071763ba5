"""Field types of corp."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.base import Contract
from contracts.permissions import Role
from contracts.types import Id, Name

GivenRole = Literal[Role.ADMIN, Role.EDITOR, Role.REVIEWER, Role.VIEWER]
"""What a team, or somebody in a brand, may have: only people own, and only organizations."""

Status = Literal["active", "archived"]

Holder = Annotated[
    Id,
    StringConstraints(pattern=r"^(usr|team)_"),
    Field(description="A user, usr_…, or a team, team_…."),
]

InvitationStatus = Literal["pending", "accepted", "revoked", "expired"]


COLOR_PATTERN = r"^#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$"


class KitColor(Contract):
    """A colour of a brand."""

    name: Name
    value: Annotated[
        str,
        StringConstraints(pattern=COLOR_PATTERN),
        Field(description="#RRGGBB or #RRGGBBAA."),
    ]


class KitFont(Contract):
    """A font of a brand: a family everybody has, or one in an asset."""

    family: Name
    style: Literal["normal", "italic"] = "normal"
    weight: Annotated[int, Field(ge=1, le=1000)] = 400
    asset_id: Id | None = None


class KitLogo(Contract):
    """A logo of a brand."""

    name: Name
    asset_id: Id


KitColors = Annotated[tuple[KitColor, ...], Field(max_length=50)]
KitFonts = Annotated[tuple[KitFont, ...], Field(max_length=20)]
KitLogos = Annotated[tuple[KitLogo, ...], Field(max_length=20)]
