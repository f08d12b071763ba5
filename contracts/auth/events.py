"""What has happened in auth. All of it is shown to the user alone."""

from __future__ import annotations

from contracts.base import Event
from contracts.types import Id, Instant


class UserRegistered(Event):
    """An account was made."""

    wire = "auth.user.registered"
    subject = "user_id"
    private = True

    user_id: Id
    email: str
    name: str


class UserUpdated(Event):
    """A profile was changed."""

    wire = "auth.user.updated"
    subject = "user_id"
    private = True

    user_id: Id
    name: str


class SessionOpened(Event):
    """Somebody signed in."""

    wire = "auth.session.opened"
    subject = "session_id"
    private = True

    session_id: Id
    user_id: Id
    address: str
    agent: str
    expires_at: Instant


class SessionRevoked(Event):
    """A session ended: by its owner, or because an old refresh token was used again."""

    wire = "auth.session.revoked"
    subject = "session_id"
    private = True

    session_id: Id
    user_id: Id
    reason: str
