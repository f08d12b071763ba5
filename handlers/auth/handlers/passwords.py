"""Passwords: one method per command."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import ChangePassword, ForgetPassword, ResetPassword
from contracts.auth.errors import PasswordRefused
from contracts.auth.events import PasswordChanged, SecondFactorChanged, UserVerified
from contracts.errors import DomainError
from contracts.mail.types import MailTemplate
from handlers.auth.documents import SecondFactor, User
from handlers.auth.handlers.ending import end_sessions
from handlers.auth.handlers.linking import Linking
from handlers.auth.handlers.proving import Proving
from handlers.auth.rules.mails import mail_to
from handlers.auth.rules.passwords import check_password
from infra.passwords import Passwords
from infra.sessions import SessionStore


@dataclass(frozen=True, slots=True)
class PasswordChanges:
    """The handlers of passwords, with what they need of the outside world."""

    passwords: Passwords
    proving: Proving
    linking: Linking
    sessions: SessionStore

    async def forget_password(self, command: ForgetPassword, uow: UnitOfWork) -> None:
        user = await User.find_one({"email": command.email})
        if user is not None:
            where = uow.message.address or ""
            await self.linking.mail(user, "reset", MailTemplate.RESET_PASSWORD, uow, address=where)

    async def reset_password(self, command: ResetPassword, uow: UnitOfWork) -> None:
        link, user = await self.linking.owner(command.token.reveal(), "reset")
        await self._set(user, command.password.reveal())
        uow.remove(link)
        if not user.verified:
            await self._take_over(user, uow)
        uow.save(user)
        uow.emit(PasswordChanged(user_id=user.id, how="reset"), user)
        if not user.mfa:
            # Else whoever reads the mails could guess the second factor five times a link.
            self.proving.succeeded(user, uow.message.address or "", uow)
        await self._after(user, uow)

    async def change_password(self, command: ChangePassword, uow: UnitOfWork) -> DomainError | None:
        user = await self.proving.owner(command.current_password.reveal(), "current_password", uow)
        if isinstance(user, DomainError):
            return user
        where = uow.message.address or ""
        try:
            await self._set(user, command.password.reveal())
        except PasswordRefused as refused:
            self.proving.take_back(user, where, uow)
            return refused
        uow.save(user)
        uow.emit(PasswordChanged(user_id=user.id, how="changed"), user)
        self.proving.succeeded(user, where, uow)
        await self._after(user, uow, keep=uow.actor.session)
        return None

    async def _set(self, user: User, password: str) -> None:
        await self.passwords.aside(check_password, password, user.email, user.name)
        user.password_hash = await self.passwords.hash(password)

    async def _take_over(self, user: User, uow: UnitOfWork) -> None:
        """Nobody had proved that the address was theirs; now its owner has.

        Whoever registered it may have been somebody else, and may have set a second factor
        to keep its owner out.
        """
        user.verified = True
        uow.emit(UserVerified(user_id=user.id), user)
        factor = await SecondFactor.get(user.id)
        if factor is not None:
            uow.remove(factor)
        if user.mfa:
            user.mfa = False
            uow.emit(SecondFactorChanged(user_id=user.id, enabled=False), user)

    async def _after(self, user: User, uow: UnitOfWork, *, keep: str | None = None) -> None:
        await end_sessions(self.sessions, user, "password_changed", uow, keep=keep)
        where = uow.message.address or ""
        uow.send(mail_to(user, MailTemplate.PASSWORD_CHANGED, address=where))
