"""Sessions that end."""

from __future__ import annotations

from bus.unit_of_work import UnitOfWork
from contracts.auth.commands import EndSessions
from contracts.auth.events import SessionRevoked
from handlers.auth.documents import User
from infra.sessions import SessionStore


def end_session(
    sessions: SessionStore, session: str, user: str, reason: str, uow: UnitOfWork
) -> None:
    """Stage the end of a session."""
    uow.effect(lambda: sessions.revoke(session, user))
    uow.emit(SessionRevoked(session_id=session, user_id=user, reason=reason))


async def end_sessions(
    sessions: SessionStore, user: User, reason: str, uow: UnitOfWork, *, keep: str | None = None
) -> None:
    """Stage the end of all sessions of a user whose password or standing changes, but ``keep``.

    A sign-in that has not seen the change may store its session after this has looked. So
    auth looks once more after the commit; see EndSessions.
    """
    for session in await sessions.of(user.id):
        if session.id != keep:
            end_session(sessions, session.id, user.id, reason, uow)
    uow.send(EndSessions(user=user.id, reason=reason, keep=keep))
