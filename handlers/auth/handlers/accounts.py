"""Accounts: one method per command."""

from __future__ import annotations

from dataclasses import dataclass

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.auth.commands import RegisterUser, UpdateProfile
from contracts.auth.errors import UserNotFound
from contracts.auth.events import UserRegistered, UserUpdated
from contracts.auth.views import ProfileView, RegistrationView
from handlers.auth.documents import User
from handlers.auth.queries import profile_view
from handlers.auth.rules import check_password
from infra.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Accounts:
    """The handlers of accounts, with what they need of the outside world."""

    passwords: Passwords

    async def register_user(self, command: RegisterUser, uow: UnitOfWork) -> RegistrationView:
        password = command.password.reveal()
        check_password(password, email=command.email, name=command.name)
        # Hashed before looking, so that a taken address takes as long as a free one.
        password_hash = await self.passwords.hash(password)
        if await User.find_one({"email": command.email}) is None:
            user = User(
                id=uow.new_id("usr"),
                email=command.email,
                name=command.name,
                password_hash=password_hash,
            )
            uow.add(user)
            uow.emit(UserRegistered(user_id=user.id, email=user.email, name=user.name), user)
        return RegistrationView(email=command.email)

    async def update_profile(self, command: UpdateProfile, uow: UnitOfWork) -> ProfileView:
        user = await User.get(uow.actor.user)
        if user is None:
            raise UserNotFound()
        check_revision(user, command.if_revision)
        user.name = command.name
        uow.save(user)
        uow.emit(UserUpdated(user_id=user.id, name=user.name), user)
        return profile_view(user)
