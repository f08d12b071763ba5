"""Sessions: one method per command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import (
    OpenSession,
    RefreshSession,
    RevokeSession,
    RevokeSessions,
)
from contracts.auth.errors import (
    AccountSuspended,
    CredentialsWrong,
    EmailUnverified,
    NotWhileImpersonating,
    RefreshTokenInvalid,
    RefreshTokenReused,
    SessionNotFound,
)
from contracts.auth.events import SessionOpened, SessionRevoked
from contracts.auth.views import TokensView
from contracts.errors import DomainError
from contracts.sealed import Sealed
from handlers.auth.documents import User
from infra.passwords import Passwords
from infra.sessions import Session, SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class Sessions:
    """The handlers of sessions, with what they need of the outside world."""

    passwords: Passwords
    sessions: SessionStore
    keys: KeyRing
    settings: AuthSettings

    async def open_session(self, command: OpenSession, uow: UnitOfWork) -> TokensView:
        user = await User.find_one({"email": command.email})
        fits = await self.passwords.check(
            command.password.reveal(), user.password_hash if user else None
        )
        if user is None or not fits:
            raise CredentialsWrong()
        if self.settings.verified_only and not user.verified:
            raise EmailUnverified()
        if user.suspended_at is not None:
            raise AccountSuspended()
        opened = self.sessions.new(
            uow.new_id("ses"), user.id, address=command.address, agent=command.agent
        )
        # As with the id: another delivery must store what the tokens of this one fit.
        session = replace(opened, nonce=uow.new_id("nonce"))
        uow.effect(lambda: self._store(session))
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
        if uow.actor.impersonator is not None and session.id != uow.actor.session:
            raise NotWhileImpersonating("Whoever impersonates may end that session only.")
        self._end(session.id, session.user, "signed_out", uow)

    async def revoke_sessions(self, _: RevokeSessions, uow: UnitOfWork) -> None:
        for session in await self.sessions.of(uow.actor.user):
            self._end(session.id, session.user, "signed_out", uow)

    async def _store(self, session: Session) -> None:
        """Who is suspended between being looked up and this: either their suspension finds the
        session, or this finds the suspension."""
        await self.sessions.put(session)
        user = await User.get(session.user)
        if user is None or user.suspended_at is not None:
            await self.sessions.revoke(session.id, session.user)

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
