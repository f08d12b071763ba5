"""Corp's decisions, without I/O."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from contracts.actor import Actor
from contracts.corp.errors import (
    BrandArchived,
    InvitationExpired,
    InvitationForAnother,
    InvitationSpent,
    InvitationVoid,
    KitNameTwice,
    LastOwner,
    ProjectArchived,
    RoleTooHigh,
)
from contracts.corp.types import InvitationStatus, KitColor, KitFont, KitLogo, Status
from contracts.errors import FieldError
from contracts.permissions import GRANTS, Role


def name_key(name: str) -> str:
    """Names that look the same are the same: compared by NFKC, case-folded, single spaces.

    Without what is invisible (zero-width spaces and joiners, marks of direction).
    """
    plain = unicodedata.normalize("NFKC", name)
    visible = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    folded = unicodedata.normalize("NFKC", visible.casefold())
    return re.sub(r"\s+", " ", folded).strip()


def slug_from(name: str) -> str:
    """A slug made of a name; ``organization`` when no letter or digit of it can be kept."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:50].strip("-")
    return slug or "organization"


def check_gives(actor: Actor, *roles: Role | None) -> None:
    """Nobody gives or takes more than they have: a user no role above theirs, an API key no
    role that may what the key may not. Raises RoleTooHigh."""
    for role in roles:
        if role is None:
            continue
        if actor.scopes is not None:
            too_high = not GRANTS[role] <= actor.scopes
        else:
            too_high = actor.role is None or role.rank < actor.role.rank
        if too_high:
            raise RoleTooHigh()


def check_owner_remains(role: Role, owners: int) -> None:
    """Raise LastOwner when one who has ``role`` is about to lose it as the only owner."""
    if role is Role.OWNER and owners <= 1:
        raise LastOwner()


# What somebody has


def is_team(holder: str) -> bool:
    """Whether a holder of roles is a team, and no user."""
    return holder.startswith("team_")


@dataclass(frozen=True, slots=True)
class Held:
    """What a team or a user holds: a role in the organization, and roles in brands."""

    role: Role | None = None
    brands: Mapping[str, Role] = field(default_factory=dict)


def strongest(roles: Iterable[Role]) -> Role | None:
    """The most powerful of some roles."""
    return min(roles, key=lambda role: role.rank, default=None)


def effective_role(own: Role, teams: Iterable[Held]) -> Role:
    """A member's role in the organization: the strongest of their own and their teams'."""
    given = [team.role for team in teams if team.role is not None]
    return strongest([own, *given]) or own


def effective_brand_roles(effective: Role, own: Held, teams: Iterable[Held]) -> dict[str, Role]:
    """The brands where another role counts than ``effective``, and which.

    What is said of the member counts, whatever is said of their teams; of several teams'
    roles the strongest. It may be weaker than the role in the organization; but who owns or
    administers the organization does so in every brand.
    """
    if effective.rank <= Role.ADMIN.rank:
        return {}
    given: dict[str, Role] = {}
    for team in teams:
        for brand, role in team.brands.items():
            given[brand] = strongest([role, given.get(brand, role)]) or role
    return {brand: role for brand, role in {**given, **own.brands}.items() if role is not effective}


# Archives


def archived_with(brand: Status, project: Status) -> tuple[Status, Literal["brand"] | None]:
    """What a project counts as, and whether that is because of its brand."""
    return ("archived", "brand") if brand == "archived" else (project, None)


def check_brand_changes(stored: Status, wanted: Status | None, *, more: bool) -> None:
    """An archived brand can be restored, and changed only then. Raises BrandArchived.

    ``more`` tells that something else than the status is to change.
    """
    if stored == "archived" and wanted != "active" and more:
        raise BrandArchived()


def check_project_changes(
    brand: Status, stored: Status, wanted: Status | None, *, more: bool
) -> None:
    """As a brand; in an archived brand not even that. Raises ProjectArchived, BrandArchived."""
    if brand == "archived":
        raise BrandArchived()
    if stored == "archived" and wanted != "active" and more:
        raise ProjectArchived()


# Invitations


def invitation_status(
    stored: InvitationStatus, expires_at: datetime, now: datetime
) -> InvitationStatus:
    """What an invitation is at an instant."""
    return "expired" if stored == "pending" and expires_at <= now else stored


def check_invitation_lives(status: InvitationStatus) -> None:
    """Raise InvitationSpent, InvitationVoid or InvitationExpired unless it is pending."""
    match status:
        case "accepted":
            raise InvitationSpent()
        case "revoked":
            raise InvitationVoid()
        case "expired":
            raise InvitationExpired()


def check_invited(email: str, own: str) -> None:
    """An invitation is for one address. Raises InvitationForAnother, which does not say which."""
    if email.lower() != own.lower():
        raise InvitationForAnother()


# Brand kits


def check_kit(
    colors: Iterable[KitColor], fonts: Iterable[KitFont], logos: Iterable[KitLogo]
) -> None:
    """Names are unique in each list; a font's are family, style and weight. Raises KitNameTwice."""
    for kind, keys in (
        ("colors", [name_key(each.name) for each in colors]),
        ("fonts", [f"{name_key(each.family)} {each.style} {each.weight}" for each in fonts]),
        ("logos", [name_key(each.name) for each in logos]),
    ):
        for number, key in enumerate(keys):
            if key in keys[:number]:
                pointer = f"/{kind}/{number}"
                raise KitNameTwice(
                    f"{pointer}: this name is in the list already.",
                    errors=[FieldError(pointer=pointer, code="twice", detail="is there already")],
                )
