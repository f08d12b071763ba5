"""Sessions: one method per command."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import (
    EndSessions,
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
    OtpRequired,
    OtpWrong,
    RefreshTokenInvalid,
    RefreshTokenReused,
    SessionNotFound,
    SignInLate,
)
from contracts.auth.events import DeviceAdded, SessionOpened, SignInRefused
from contracts.auth.views import TokensView
from contracts.errors import DomainError
from contracts.mail.types import MailTemplate
from contracts.sealed import Sealed
from contracts.types import now, rfc3339
from handlers.auth.documents import Device, Notice, User
from handlers.auth.handlers.ending import end_session
from handlers.auth.handlers.proving import Proving
from handlers.auth.rules.devices import device_id, device_network
from handlers.auth.rules.mails import mail_to
from handlers.auth.rules.passwords import password_stamp
from infra.sessions import Session, SessionStore
from infra.settings import AuthSettings
from infra.tokens import KeyRing


@dataclass(frozen=True, slots=True)
class Sessions:
    """The handlers of sessions, with what they need of the outside world."""

    proving: Proving
    sessions: SessionStore
    keys: KeyRing
    settings: AuthSettings
    patience: float
    """Seconds after which it is too late to begin: whoever wants to sign in waits no more."""

    async def open_session(self, command: OpenSession, uow: UnitOfWork) -> TokensView | DomainError:
        # Where there are more than can be served, those who still wait would come to be late,
        # too, if those who are gone were served first.
        self._be_in_time(self.patience, uow)
        await self.proving.begin(command.email, command.address, uow)
        user = await User.find_one({"email": command.email})
        if user is not None and uow.rerun:
            # What it stored before it met a change, because of which it may be refused now.
            uow.effect(partial(self.sessions.revoke, uow.new_id("ses"), user.id))
        fits = await self.proving.fits(user, command.password.reveal())
        if user is None or not fits:
            return self._refuse(CredentialsWrong(), user, command, uow)
        # Whoever is suspended, gets another password or a second factor meanwhile is looked
        # at again.
        uow.hold(user)
        if user.suspended_at is not None:
            return self._refuse(AccountSuspended(), user, command, uow)
        if self.settings.verified_only and not user.verified:
            self.proving.take_back(user, command.address, uow)
            return EmailUnverified()
        if user.mfa:
            if command.otp is None:
                self.proving.take_back(user, command.address, uow)
                return OtpRequired()
            factor = await self.proving.code_fits(user, command.otp.reveal(), uow)
            if factor is None:
                return self._refuse(OtpWrong(), user, command, uow)
            uow.save(factor)
        self.proving.succeeded(user, command.address, uow)
        await self._note_device(user, command, uow)
        return self._open(user, command, uow)

    def _be_in_time(self, seconds: float, uow: UnitOfWork) -> None:
        """Raise SignInLate when the caller, who asked longer ago, is gone."""
        if now() - uow.message.time > timedelta(seconds=seconds):
            raise SignInLate(retry_after=1)

    def _refuse(
        self, error: DomainError, user: User | None, command: OpenSession, uow: UnitOfWork
    ) -> DomainError:
        """A refusal that counts, and that the user, if there is one, may find in the log."""
        self.proving.failed(command.address, uow)
        if user is not None:
            uow.emit(
                SignInRefused(
                    user_id=user.id,
                    address=command.address,
                    agent=command.agent,
                    reason=error.code,
                )
            )
        return error

    async def _note_device(self, user: User, command: OpenSession, uow: UnitOfWork) -> None:
        """Tell the user of a device not seen before, unless it is their first of all."""
        at = now()
        id = device_id(user.id, command.agent, command.address)
        device = await Device.get(id)
        if device is not None:
            if at - device.seen_at > timedelta(days=1):
                device.seen_at = at
                uow.save(device)
            return
        first = await Device.find_one({"user_id": user.id}) is None
        network = device_network(command.address)
        uow.add(Device(id=id, user_id=user.id, agent=command.agent, network=network, seen_at=at))
        if first:
            return
        where = {"address": command.address, "agent": command.agent}
        uow.emit(DeviceAdded(device_id=id, user_id=user.id, **where))
        uow.send(mail_to(user, MailTemplate.NEW_DEVICE, time=rfc3339(at), **where))

    def _open(self, user: User, command: OpenSession, uow: UnitOfWork) -> TokensView:
        opened = self.sessions.new(
            uow.new_id("ses"),
            user.id,
            address=command.address,
            agent=command.agent,
            stamp=password_stamp(user.password_hash),
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
        # so it needs no staging. After it, this would look like theft, when a worker that
        # died is all there was: the client has asked again, and may have a later token.
        self._be_in_time(max(self.patience, self.settings.refresh_grace), uow)
        used = command.refresh_token.reveal()
        if not used.isascii():
            raise RefreshTokenInvalid()
        verdict, session, token = await self.sessions.rotate(
            used, address=command.address, agent=command.agent
        )
        if session is None:
            raise RefreshTokenInvalid()
        if verdict == "reused":
            end_session(self.sessions, session.id, session.user, "refresh_token_reused", uow)
            await self._tell_of_theft(session, command, uow)
            return RefreshTokenReused()
        return self._tokens(session, token)

    async def _tell_of_theft(
        self, session: Session, command: RefreshSession, uow: UnitOfWork
    ) -> None:
        """Mail the user, once, however many come with old tokens at the same time."""
        user = await User.get(session.user)
        told = await Notice.get(f"{session.id}:stolen")
        if user is None or told is not None:
            return
        at = now()
        uow.add(Notice(id=f"{session.id}:stolen", expires_at=at + timedelta(days=1)))
        uow.send(
            mail_to(
                user,
                MailTemplate.SESSION_STOLEN,
                address=command.address,
                agent=command.agent,
                time=rfc3339(at),
            )
        )

    async def revoke_session(self, command: RevokeSession, uow: UnitOfWork) -> None:
        session = await self.sessions.find(command.session)
        if session is None or session.user != uow.actor.user:
            raise SessionNotFound()
        if uow.actor.impersonator is not None and session.id != uow.actor.session:
            raise NotWhileImpersonating("Whoever impersonates may end that session only.")
        end_session(self.sessions, session.id, session.user, "signed_out", uow)

    async def revoke_sessions(self, _: RevokeSessions, uow: UnitOfWork) -> None:
        for session in await self.sessions.of(uow.actor.user):
            end_session(self.sessions, session.id, session.user, "signed_out", uow)

    async def end_sessions(self, command: EndSessions, uow: UnitOfWork) -> None:
        user = await User.get(command.user)
        current = None
        if user is not None and user.suspended_at is None:
            current = password_stamp(user.password_hash)
        for session in await self.sessions.of(command.user):
            if session.id != command.keep and session.stamp != current:
                end_session(self.sessions, session.id, session.user, command.reason, uow)

    def _tokens(self, session: Session, refresh_token: str) -> TokensView:
        return TokensView(
            access_token=Sealed(self.keys.sign(session.user, session.id)),
            expires_in=self.settings.access_ttl,
            refresh_token=Sealed(refresh_token),
            session_id=session.id,
        )
