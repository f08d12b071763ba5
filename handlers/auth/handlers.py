"""One method per command: load, decide, stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bus.unit_of_work import UnitOfWork, check_revision
from contracts.auth.commands import (
    OpenSession,
    RefreshSession,
    RegisterUser,
    RevokeSession,
    RevokeSessions,
    UpdateProfile,
)
from contracts.auth.errors import (
    CredentialsWrong,
    EmailUnverified,
    RefreshTokenInvalid,
    RefreshTokenReused,
    SessionNotFound,
    UserNotFound,
)
from contracts.auth.events import SessionOpened, SessionRevoked, UserRegistered, UserUpdated
from contracts.auth.views import ProfileView, RegistrationView, TokensView
from contracts.errors import DomainError
from contracts.sealed import Sealed
from handlers.auth.documents import User
from handlers.auth.queries import profile_view
from handlers.auth.rules import check_password
from infra.passwords import Passwords
from infra.sessions import Session, SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class AuthHandlers:
    """The handlers, with what they need of the outside world."""

    passwords: Passwords
    sessions: SessionStore
    keys: KeyRing
    settings: AuthSettings

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

    async def open_session(self, command: OpenSession, uow: UnitOfWork) -> TokensView:
        user = await User.find_one({"email": command.email})
        fits = await self.passwords.check(
            command.password.reveal(), user.password_hash if user else None
        )
        if user is None or not fits:
            raise CredentialsWrong()
        if self.settings.verified_only and not user.verified:
            raise EmailUnverified()
        opened = self.sessions.new(
            uow.new_id("ses"), user.id, address=command.address, agent=command.agent
        )
        # As with the id: another delivery must store what the tokens of this one fit.
        session = replace(opened, nonce=uow.new_id("nonce"))
        uow.effect(lambda: self.sessions.put(session))
        uow.emit(
            SessionOpened(
                session_id=session.id,
                user_id=user.id,
                address=session.address,
                agent=session.agent,
                expires_at=datetime.fromtimestamp(session.ends, UTC),
            )
        )
        return self._tokens(session, self.sessions.refresh_token(session))

    async def refresh_session(
        self, command: RefreshSession, uow: UnitOfWork
    ) -> TokensView | DomainError:
        # Rotation is decided inside Redis, atomically; with the grace it may be repeated,
        # so it needs no staging.
        used = command.refresh_token.reveal()
        if not used.isascii():
            raise RefreshTokenInvalid()
        verdict, session, token = await self.sessions.rotate(
            used, address=command.address, agent=command.agent
        )
        if session is None:
            raise RefreshTokenInvalid()
        if verdict == "reused":
            self._end(session.id, session.user, "refresh_token_reused", uow)
            return RefreshTokenReused()
        return self._tokens(session, token)

    async def revoke_session(self, command: RevokeSession, uow: UnitOfWork) -> None:
        session = await self.sessions.find(command.session)
        if session is None or session.user != uow.actor.user:
            raise SessionNotFound()
        self._end(session.id, session.user, "signed_out", uow)

    async def revoke_sessions(self, _: RevokeSessions, uow: UnitOfWork) -> None:
        for session in await self.sessions.of(uow.actor.user):
            self._end(session.id, session.user, "signed_out", uow)

    def _end(self, session: str, user: str, reason: str, uow: UnitOfWork) -> None:
        uow.effect(lambda: self.sessions.revoke(session, user))
        uow.emit(SessionRevoked(session_id=session, user_id=user, reason=reason))

    def _tokens(self, session: Session, refresh_token: str) -> TokensView:
        return TokensView(
            access_token=Sealed(self.keys.sign(session.user, session.id)),
            expires_in=self.settings.access_ttl,
            refresh_token=Sealed(refresh_token),
            session_id=session.id,
        )
