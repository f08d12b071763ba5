"""What has happened in auth. All but what happened to API keys is shown to the user alone."""

from __future__ import annotations

from typing import Literal

from contracts.base import Event
from contracts.permissions import Permission, PlatformRole
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


class UserSuspended(Event):
    """A platform admin shut an account."""

    wire = "auth.user.suspended"
    subject = "user_id"
    private = True

    user_id: Id
    reason: str


class UserReinstated(Event):
    """A platform admin opened a suspended account again."""

    wire = "auth.user.reinstated"
    subject = "user_id"
    private = True

    user_id: Id
    reason: str


class PlatformRoleChanged(Event):
    """A user has another role on the platform, or none."""

    wire = "auth.user.platform_role_changed"
    subject = "user_id"
    private = True

    user_id: Id
    role: PlatformRole | None


class UserImpersonated(Event):
    """A platform admin, the actor, began to act in a user's name."""

    wire = "auth.user.impersonated"
    subject = "user_id"
    private = True

    user_id: Id
    session_id: Id
    reason: str
    expires_at: Instant


class ApiKeyCreated(Event):
    """An organization has one more API key."""

    wire = "auth.api_key.created"
    subject = "key_id"

    key_id: Id
    name: str
    scopes: tuple[Permission, ...]
    expires_at: Instant | None = None


class ApiKeyRotated(Event):
    """An API key has a new secret; the one before is good until ``previous_valid_until``."""

    wire = "auth.api_key.rotated"
    subject = "key_id"

    key_id: Id
    previous_valid_until: Instant


class ApiKeyRevoked(Event):
    """An API key is gone, at once."""

    wire = "auth.api_key.revoked"
    subject = "key_id"

    key_id: Id
