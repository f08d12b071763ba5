"""Corp's decisions, without I/O."""

from __future__ import annotations

import re
import unicodedata

from contracts.corp.errors import LastOwner, RoleTooHigh
from contracts.permissions import Role


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


def check_role_change(actor: Role, *roles: Role) -> None:
    """An actor gives and takes only roles up to their own. Raises RoleTooHigh."""
    if any(role.rank < actor.rank for role in roles):
        raise RoleTooHigh()


def check_owner_remains(role: Role, owners: int) -> None:
    """Raise LastOwner when one who has ``role`` is about to lose it as the only owner."""
    if role is Role.OWNER and owners <= 1:
        raise LastOwner()
