"""Platform administration: one method per command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.actor import PermissionMissing
from contracts.auth.commands import (
    AppointAdmin,
    ChangeUser,
    EndImpersonations,
    EndUserSessions,
    Impersonate,
)
from contracts.auth.errors import (
    AccountExists,
    AccountSuspended,
    ImpersonationRefused,
    NotYourself,
    UserNotFound,
)
from contracts.auth.events import (
    PlatformRoleChanged,
    UserImpersonated,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from contracts.auth.views import AccountView, ImpersonationView
from contracts.mail.types import MailTemplate
from contracts.permissions import PLATFORM_GRANTS, PlatformPermission, PlatformRole
from contracts.sealed import Sealed
from contracts.types import now
from handlers.auth.documents import User
from handlers.auth.handlers.ending import end_session, end_sessions
from handlers.auth.queries import account_view
from handlers.auth.rules.mails import mail_to
from handlers.auth.rules.passwords import check_password
from infra.passwords import Passwords
from infra.sessions import SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class Platform:
    """The handlers of platform admins, with what they need of the outside world."""

    passwords: Passwords
    sessions: SessionStore
    keys: KeyRing
    settings: AuthSettings

    async def change_user(self, command: ChangeUser, uow: UnitOfWork) -> AccountView:
        named = command.model_fields_set
        needed = {PlatformPermission.USER_SUSPEND} if "status" in named else set()
        if "platform_role" in named:
            needed.add(PlatformPermission.USER_PROMOTE)
        # Who changes others stays what they are, so there is always an admin left; that two
        # might demote each other at once is what the hold is for.
        await self._hold_the_admin(uow, needed)
        user = await _load(command.user)
        check_revision(user, command.if_revision)
        if user.id == uow.actor.user:
            raise NotYourself()
        reason = command.reason or ""
        was_admin, weakened = user.platform_role is PlatformRole.ADMIN, False
        if "status" in named and (command.status == "suspended") != (user.suspended_at is not None):
            if command.status == "suspended":
                weakened = was_admin
                await self._suspend(user, reason, uow)
            else:
                user.suspended_at = None
                uow.save(user)
                uow.emit(UserReinstated(user_id=user.id, reason=reason), user)
        if "platform_role" in named and command.platform_role != user.platform_role:
            weakened |= was_admin
            user.platform_role = command.platform_role
            uow.save(user)
            uow.emit(PlatformRoleChanged(user_id=user.id, role=user.platform_role), user)
        if weakened:
            # After the commit: no session of before it is overlooked then.
            uow.send(EndImpersonations(admin=user.id))
        return account_view(user)

    async def end_sessions(self, command: EndUserSessions, uow: UnitOfWork) -> None:
        user = await _load(command.user)
        for session in await self.sessions.of(user.id):
            end_session(self.sessions, session.id, session.user, "ended_by_admin", uow)

    async def end_impersonations(self, command: EndImpersonations, uow: UnitOfWork) -> None:
        for session in await self.sessions.impersonations_of(command.admin):
            end_session(self.sessions, session.id, session.user, "impersonation_ended", uow)

    async def impersonate(self, command: Impersonate, uow: UnitOfWork) -> ImpersonationView:
        admin = await self._hold_the_admin(uow, {PlatformPermission.USER_IMPERSONATE})
        user = await _load(command.user)
        if user.id == admin.id:
            raise NotYourself()
        if user.platform_role is not None:
            raise ImpersonationRefused("Nobody acts in the name of who has a platform role.")
        if user.suspended_at is not None:
            raise ImpersonationRefused("The user is suspended.")
        uow.hold(user)
        opened = self.sessions.new_impersonation(
            uow.new_id("ses"),
            user.id,
            admin=admin.id,
            life=self.settings.impersonation_ttl,
            address=command.address,
            agent=command.agent,
        )
        session = replace(opened, nonce=uow.new_id("nonce"))
        uow.effect(lambda: self.sessions.put(session))
        uow.emit(
            UserImpersonated(
                user_id=user.id,
                session_id=session.id,
                reason=command.reason,
                expires_at=datetime.fromtimestamp(session.ends, UTC),
            )
        )
        life = self.settings.impersonation_ttl
        token = self.keys.sign(user.id, session.id, impersonator=admin.id, life=life)
        return ImpersonationView(access_token=Sealed(token), expires_in=life, session_id=session.id)

    async def appoint_admin(self, command: AppointAdmin, uow: UnitOfWork) -> AccountView:
        user = await User.find_one({"email": command.email})
        if user is None:
            return await self._new_admin(command, uow)
        if user.suspended_at is not None:
            raise AccountSuspended()
        if not command.promote and user.platform_role is not PlatformRole.ADMIN:
            raise AccountExists()
        if user.platform_role is not PlatformRole.ADMIN:
            user.platform_role = PlatformRole.ADMIN
            uow.save(user)
            uow.emit(PlatformRoleChanged(user_id=user.id, role=user.platform_role), user)
        return account_view(user)

    async def _new_admin(self, command: AppointAdmin, uow: UnitOfWork) -> AccountView:
        if command.password is None or command.name is None:
            raise UserNotFound()
        password = command.password.reveal()
        await self.passwords.aside(check_password, password, command.email, command.name)
        user = User(
            id=uow.new_id("usr"),
            email=command.email,
            name=command.name,
            password_hash=await self.passwords.hash(password),
            verified=True,
            platform_role=PlatformRole.ADMIN,
        )
        uow.add(user)
        uow.emit(UserRegistered(user_id=user.id, email=user.email, name=user.name), user)
        uow.emit(PlatformRoleChanged(user_id=user.id, role=user.platform_role), user)
        return account_view(user)

    async def _suspend(self, user: User, reason: str, uow: UnitOfWork) -> None:
        user.suspended_at = now()
        uow.save(user)
        uow.emit(UserSuspended(user_id=user.id, reason=reason), user)
        await end_sessions(self.sessions, user, "suspended", uow)
        uow.send(mail_to(user, MailTemplate.ACCOUNT_SUSPENDED, reason=reason or "none"))

    async def _hold_the_admin(self, uow: UnitOfWork, needed: set[PlatformPermission]) -> User:
        """The actor, who must still be allowed this when it is written."""
        admin = await _load(uow.actor.user)
        role = admin.platform_role if admin.suspended_at is None else None
        missing = needed - (PLATFORM_GRANTS[role] if role is not None else frozenset())
        if missing or role is None:
            raise PermissionMissing("This needs a role on the platform that you do not have.")
        uow.hold(admin)
        return admin


async def _load(id: str) -> User:
    user = await User.get(id)
    if user is None:
        raise UserNotFound()
    return user
