"""Accounts: one method per command."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.auth.commands import RegisterUser, ResendVerification, UpdateProfile, VerifyEmail
from contracts.auth.errors import UserNotFound
from contracts.auth.events import RegistrationRefused, UserRegistered, UserUpdated, UserVerified
from contracts.auth.views import ProfileView, RegistrationView
from contracts.mail.types import MailTemplate
from contracts.types import now
from handlers.auth.documents import Notice, User
from handlers.auth.handlers.linking import Linking
from handlers.auth.queries import profile_view
from handlers.auth.rules.mails import mail_to
from handlers.auth.rules.passwords import check_password
from infra.passwords import Passwords
from infra.settings import AuthSettings


@dataclass(frozen=True, slots=True)
class Accounts:
    """The handlers of accounts, with what they need of the outside world."""

    passwords: Passwords
    linking: Linking
    settings: AuthSettings

    async def register_user(self, command: RegisterUser, uow: UnitOfWork) -> RegistrationView:
        password = command.password.reveal()
        await self.passwords.aside(check_password, password, command.email, command.name)
        # Hashed before looking, so that a taken address takes as long as a free one.
        password_hash = await self.passwords.hash(password)
        owner = await User.find_one({"email": command.email})
        if owner is None:
            user = User(
                id=uow.new_id("usr"),
                email=command.email,
                name=command.name,
                password_hash=password_hash,
            )
            uow.add(user)
            uow.emit(UserRegistered(user_id=user.id, email=user.email, name=user.name), user)
            self.linking.mail_anew(None, user, "verify", MailTemplate.VERIFY_ADDRESS, uow)
        else:
            await self._tell(owner, uow)
        return RegistrationView(email=command.email)

    async def _tell(self, owner: User, uow: UnitOfWork) -> None:
        """Tell the owner of an address, now and then, that somebody tried to register it.

        Also where it is not verified: to mail them the link again would have them verify an
        account whose password somebody else may know. The mail shows how to reset it.
        """
        uow.emit(RegistrationRefused(user_id=owner.id))
        told, at = await Notice.get(f"{owner.id}:taken"), now()
        expires_at = at + timedelta(seconds=self.settings.taken_pause)
        if told is None:
            uow.add(Notice(id=f"{owner.id}:taken", expires_at=expires_at))
        elif told.expires_at <= at:
            told.expires_at = expires_at
            uow.save(told)
        else:
            return
        uow.send(mail_to(owner, MailTemplate.ADDRESS_TAKEN))

    async def verify_email(self, command: VerifyEmail, uow: UnitOfWork) -> None:
        link, user = await self.linking.owner(command.token.reveal(), "verify")
        uow.remove(link)
        if not user.verified:
            user.verified = True
            uow.save(user)
            uow.emit(UserVerified(user_id=user.id), user)

    async def resend_verification(self, command: ResendVerification, uow: UnitOfWork) -> None:
        user = await User.find_one({"email": command.email})
        if user is not None and not user.verified:
            await self.linking.mail(user, "verify", MailTemplate.VERIFY_ADDRESS, uow)

    async def update_profile(self, command: UpdateProfile, uow: UnitOfWork) -> ProfileView:
        user = await User.get(uow.actor.user)
        if user is None:
            raise UserNotFound()
        check_revision(user, command.if_revision)
        user.name = command.name
        uow.save(user)
        uow.emit(UserUpdated(user_id=user.id, name=user.name), user)
        return profile_view(user)
