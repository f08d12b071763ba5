"""Routes of platform administration."""

from __future__ import annotations

from bus.paging import Page
from contracts.auth.commands import ChangeUser, EndUserSessions, Impersonate
from contracts.auth.views import AccountView, ImpersonationView
from contracts.mail.views import MailView
from contracts.permissions import PlatformPermission
from gateway.audit import AuditPage, PlatformAuditParameters, list_platform_audit
from gateway.table import Route, command, custom, query
from handlers.auth.queries import get_user, list_users
from handlers.mail.queries import list_mails

USERS = "/v1/admin/users"
USER = USERS + "/{user}"

ADMIN: list[Route] = [
    query(USERS, list_users, allow=PlatformPermission.USER_READ, answers=Page[AccountView]),
    query(USER, get_user, allow=PlatformPermission.USER_READ, answers=AccountView),
    # Another role needs user:promote, which the handler requires.
    command("PATCH", USER, ChangeUser, allow=PlatformPermission.USER_SUSPEND, answers=AccountView),
    command("DELETE", USER + "/sessions", EndUserSessions, allow=PlatformPermission.USER_SUSPEND),
    command(
        "POST",
        USER + "/impersonation",
        Impersonate,
        allow=PlatformPermission.USER_IMPERSONATE,
        answers=ImpersonationView,
        status=201,
    ),
    custom(
        "GET",
        "/v1/admin/audit",
        list_platform_audit,
        allow=PlatformPermission.AUDIT_READ,
        answers=AuditPage,
        parameters=PlatformAuditParameters,
    ),
    query(
        "/v1/admin/mails", list_mails, allow=PlatformPermission.MAIL_READ, answers=Page[MailView]
    ),
]
