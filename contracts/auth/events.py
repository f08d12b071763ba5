"""What has happened in auth. All of it is shown to the user alone."""

from __future__ import annotations

from typing import Literal

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


class UserVerified(Event):
    """A user has proved that the address is theirs."""

    wire = "auth.user.verified"
    subject = "user_id"
    private = True

    user_id: Id


class RegistrationRefused(Event):
    """Somebody tried to register the address of an account."""

    wire = "auth.registration.refused"
    subject = "user_id"
    private = True

    user_id: Id


class PasswordChanged(Event):
    """An account has a new password: changed with the old one, or reset by mail."""

    wire = "auth.password.changed"
    subject = "user_id"
    private = True

    user_id: Id
    how: Literal["changed", "reset"]


class SecondFactorChanged(Event):
    """The second factor was turned on or off."""

    wire = "auth.second_factor.changed"
    subject = "user_id"
    private = True

    user_id: Id
    enabled: bool


class SignInRefused(Event):
    """Somebody tried to sign in to an account and could not."""

    wire = "auth.signin.refused"
    subject = "user_id"
    private = True

    user_id: Id
    address: str
    agent: str
    reason: str


class DeviceAdded(Event):
    """Somebody signed in from a device that had not been seen before."""

    wire = "auth.device.added"
    subject = "device_id"
    private = True

    device_id: Id
    user_id: Id
    address: str
    agent: str


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
    """A session ended: its owner did that, a stolen token was used, or the password changed."""

    wire = "auth.session.revoked"
    subject = "session_id"
    private = True

    session_id: Id
    user_id: Id
    reason: str
