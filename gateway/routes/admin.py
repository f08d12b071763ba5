"""Routes of platform administration."""

from __future__ import annotations

from bus.paging import Page
from contracts.auth.commands import ChangeUser, EndSessions, Impersonate
from contracts.auth.views import AccountView, ImpersonationView
from contracts.permissions import PlatformPermission
from gateway.table import Route, command, query
from handlers.auth.platform_queries import get_user, list_users

USERS = "/v1/admin/users"
USER = USERS + "/{user}"

ADMIN: list[Route] = [
    query(USERS, list_users, allow=PlatformPermission.USER_READ, answers=Page[AccountView]),
    query(USER, get_user, allow=PlatformPermission.USER_READ, answers=AccountView),
    # Another role needs user:promote, which the handler requires.
    command("PATCH", USER, ChangeUser, allow=PlatformPermission.USER_SUSPEND, answers=AccountView),
    command("DELETE", USER + "/sessions", EndSessions, allow=PlatformPermission.USER_SUSPEND),
    command(
        "POST",
        USER + "/impersonation",
        Impersonate,
        allow=PlatformPermission.USER_IMPERSONATE,
        answers=ImpersonationView,
        status=201,
    ),
]
