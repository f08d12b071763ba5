"""Reads of accounts and their sessions."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.actor import Actor
from contracts.auth.errors import UserNotFound
from contracts.auth.views import ProfileView, SessionView
from handlers.auth.documents import User
from infra.sessions import SessionStore


def profile_view(user: User) -> ProfileView:
    return ProfileView(
        id=user.id,
        email=user.email,
        name=user.name,
        verified=user.verified,
        mfa=user.mfa,
        platform_role=user.platform_role,
        created_at=user.created_at,
        revision=user.revision,
    )


async def get_profile(actor: Actor) -> ProfileView:
    """The signed-in user. Raises UserNotFound."""
    user = await User.get(actor.user)
    if user is None:
        raise UserNotFound()
    return profile_view(user)


async def list_sessions(actor: Actor, sessions: SessionStore) -> list[SessionView]:
    """Where the actor is signed in, newest first."""
    return [
        SessionView(
            id=session.id,
            address=session.address,
            agent=session.agent,
            created_at=_instant(session.created),
            used_at=_instant(session.used),
            expires_at=_instant(session.ends),
            current=session.id == actor.session,
            impersonator=session.impersonator or None,
        )
        for session in await sessions.of(actor.user)
    ]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
