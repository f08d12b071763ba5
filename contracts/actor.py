"""Who asks: built by the gateway from a session or an API key, never from a body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from contracts.errors import DomainError, ErrorKind
from contracts.permissions import BY_PEOPLE_ALONE, GRANTS, Permission, Role

KEY_PREFIX = "key_"
"""Ids of API keys begin so; those of users do not."""


class PermissionMissing(DomainError):
    """The actor's role, or the API key's scopes, do not carry the permission."""

    code = "permission_missing"
    kind = ErrorKind.FORBIDDEN
    title = "Your role does not allow this"


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in user or an API key, and the organization and role in which they act, if any."""

    user: str
    """The user's id; of an API key, the key's own, ``key_…``."""
    session: str | None = None
    org: str | None = None
    role: Role | None = None
    """A user's role in the organization or, once ``in_brand`` was asked, in the brand."""
    scopes: frozenset[Permission] | None = None
    """All that an API key may; None for a user."""
    brand_roles: Mapping[str, Role] = field(default_factory=dict, hash=False)
    """The brands where a user has another role than in the organization."""
    impersonator: str | None = None
    """The platform admin who acts in the user's name."""

    @property
    def is_key(self) -> bool:
        """Whether it is an API key, and no person."""
        return self.user.startswith(KEY_PREFIX)

    @property
    def caller(self) -> str:
        """Who it is that calls, for what is kept per caller: an admin in a user's name is not the
        user."""
        return self.user if self.impersonator is None else f"{self.user} by {self.impersonator}"

    def may(self, permission: Permission) -> bool:
        """Whether the role, or the key's scopes, carry the permission."""
        if permission in BY_PEOPLE_ALONE and (self.is_key or self.impersonator is not None):
            return False
        if self.scopes is not None:
            return permission in self.scopes
        return self.role is not None and permission in GRANTS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing unless the role or the key's scopes carry the permission."""
        if not self.may(permission):
            raise PermissionMissing(f"This needs the permission {permission.value}.")

    def in_brand(self, brand: str | None) -> Actor:
        """The actor with their role in a brand; in none, or where it is the same, themselves."""
        role = self.brand_roles.get(brand) if brand is not None else None
        return self if role is None else replace(self, role=role)

    @property
    def tenant(self) -> str:
        """The organization acted in. Raises LookupError outside of one: a wiring mistake."""
        if self.org is None:
            raise LookupError("this actor acts outside of an organization")
        return self.org
