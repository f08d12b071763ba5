"""The whole truth about who may do what: permissions, roles, and two tables."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What may be done in an organization: ``resource:action``. Also the scopes of API keys."""

    ORGANIZATION_READ = "organization:read"
    ORGANIZATION_WRITE = "organization:write"
    ORGANIZATION_DELETE = "organization:delete"
    ORGANIZATION_TRANSFER = "organization:transfer"
    MEMBER_READ = "member:read"
    MEMBER_WRITE = "member:write"
    INVITATION_READ = "invitation:read"
    INVITATION_WRITE = "invitation:write"
    TEAM_READ = "team:read"
    TEAM_WRITE = "team:write"
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
    AUDIT_READ = "audit:read"
    APIKEY_READ = "apikey:read"
    APIKEY_WRITE = "apikey:write"


class Role(StrEnum):
    """A role in an organization, or in one of its brands; the most powerful first."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    VIEWER = "viewer"

    @property
    def rank(self) -> int:
        """0 for the owner; larger is weaker."""
        return _RANKS[self]


_RANKS = {role: rank for rank, role in enumerate(Role)}

_READ = frozenset(
    {
        Permission.ORGANIZATION_READ,
        Permission.MEMBER_READ,
        Permission.TEAM_READ,
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
    Permission.INVITATION_READ,
    Permission.INVITATION_WRITE,
    Permission.TEAM_WRITE,
    Permission.BRAND_WRITE,
    Permission.BRAND_DELETE,
    Permission.PROJECT_DELETE,
    Permission.EVENTS_WRITE,
    Permission.AUDIT_READ,
    Permission.APIKEY_READ,
    Permission.APIKEY_WRITE,
}

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: _ADMINISTER,
    Role.EDITOR: _EDIT,
    Role.REVIEWER: _READ,
    Role.VIEWER: _READ,
}

IN_BRANDS = frozenset(
    {
        Permission.BRAND_WRITE,
        Permission.BRAND_DELETE,
        Permission.PROJECT_WRITE,
        Permission.PROJECT_DELETE,
        Permission.ASSET_WRITE,
        Permission.ASSET_DELETE,
    }
)
"""What a role in a brand decides where it differs from the role in the organization. Reading is
not among it: every role reads everything of its organization."""


BY_PEOPLE_ALONE = frozenset(
    {
        Permission.ORGANIZATION_DELETE,
        Permission.ORGANIZATION_TRANSFER,
        Permission.MEMBER_WRITE,
        Permission.INVITATION_WRITE,
        Permission.TEAM_WRITE,
        Permission.APIKEY_WRITE,
    }
)
"""What only a person does, in their own name: it is no scope of an API key, and nobody who
impersonates may do it. By each of them somebody would keep a way in, or take the organization,
after the key was revoked or the impersonation has ended."""


class PlatformPermission(StrEnum):
    """What may be done to the platform itself, outside of any organization."""

    USER_READ = "user:read"
    USER_SUSPEND = "user:suspend"
    USER_PROMOTE = "user:promote"
    USER_IMPERSONATE = "user:impersonate"
    AUDIT_READ = "platform-audit:read"
    MAIL_READ = "mail:read"


class PlatformRole(StrEnum):
    """A user's role on the platform; most users have none."""

    ADMIN = "admin"
    SUPPORT = "support"


PLATFORM_GRANTS: dict[PlatformRole, frozenset[PlatformPermission]] = {
    PlatformRole.ADMIN: frozenset(PlatformPermission),
    PlatformRole.SUPPORT: frozenset(
        {
            PlatformPermission.USER_READ,
            PlatformPermission.AUDIT_READ,
            PlatformPermission.MAIL_READ,
        }
    ),
}
