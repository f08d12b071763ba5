"""The whole truth about who may do what: permissions, roles, and one table."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """``resource:action``."""

    ORGANIZATION_READ = "organization:read"
    ORGANIZATION_WRITE = "organization:write"
    ORGANIZATION_DELETE = "organization:delete"
    MEMBER_READ = "member:read"
    MEMBER_WRITE = "member:write"
    BRAND_READ = "brand:read"
    BRAND_WRITE = "brand:write"
    BRAND_DELETE = "brand:delete"
    PROJECT_READ = "project:read"
    PROJECT_WRITE = "project:write"
    PROJECT_DELETE = "project:delete"
    ASSET_READ = "asset:read"
    ASSET_WRITE = "asset:write"
    ASSET_DELETE = "asset:delete"
    REALTIME_SUBSCRIBE = "realtime:subscribe"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"


class Role(StrEnum):
    """A member's role in an organization, the most powerful first."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    VIEWER = "viewer"

    @property
    def rank(self) -> int:
        """0 for the owner; larger is weaker."""
        return list(Role).index(self)


_READ = frozenset(
    {
        Permission.ORGANIZATION_READ,
        Permission.MEMBER_READ,
        Permission.BRAND_READ,
        Permission.PROJECT_READ,
        Permission.ASSET_READ,
        Permission.REALTIME_SUBSCRIBE,
        Permission.EVENTS_READ,
    }
)
_EDIT = _READ | {
    Permission.PROJECT_WRITE,
    Permission.ASSET_WRITE,
    Permission.ASSET_DELETE,
}
_ADMINISTER = _EDIT | {
    Permission.ORGANIZATION_WRITE,
    Permission.MEMBER_WRITE,
    Permission.BRAND_WRITE,
    Permission.BRAND_DELETE,
    Permission.PROJECT_DELETE,
    Permission.EVENTS_WRITE,
}

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: _ADMINISTER,
    Role.EDITOR: _EDIT,
    Role.REVIEWER: _READ,
    Role.VIEWER: _READ,
}
