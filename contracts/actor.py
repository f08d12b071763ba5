"""Who asks: built by the gateway from a session, never from a body."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.errors import DomainError, ErrorKind
from contracts.permissions import GRANTS, Permission, Role


class PermissionMissing(DomainError):
    """The actor's role does not carry the permission."""

    code = "permission_missing"
    kind = ErrorKind.FORBIDDEN
    title = "Your role does not allow this"


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in user, and the organization and role in which they act, if any."""

    user: str
    session: str | None = None
    org: str | None = None
    role: Role | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role carries the permission."""
        return self.role is not None and permission in GRANTS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing unless the role carries the permission."""
        if not self.may(permission):
            raise PermissionMissing(f"This needs the permission {permission.value}.")

    @property
    def tenant(self) -> str:
        """The organization acted in. Raises LookupError outside of one: a wiring mistake."""
        if self.org is None:
            raise LookupError("this actor acts outside of an organization")
        return self.org
