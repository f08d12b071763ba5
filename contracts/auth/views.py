"""What auth answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.base import View
from contracts.corp.views import MembershipView
from contracts.permissions import Permission, PlatformRole
from contracts.sealed import Sealed
from contracts.types import Id, Instant, Revision


class RegistrationView(View):
    """The address that was asked for: all that may be said."""

    email: str


class TokensView(View):
    """A new pair of tokens."""

    access_token: Sealed[str] = Field(description="JWT (ES256) for the Authorization header.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name, not a secret
    expires_in: int = Field(ge=1, description="Seconds the access token lives.")
    refresh_token: Sealed[str] = Field(description="Good for one exchange.")
    session_id: Id


class SecondFactorView(View):
    """What an authenticator app needs."""

    secret: Sealed[str] = Field(description="In base32, to be typed in.")
    uri: Sealed[str] = Field(description="otpauth://…, to be shown as a QR code.")


class RecoveryCodesView(View):
    """Codes that stand in for the app, each once. They are shown this once."""

    recovery_codes: tuple[Sealed[str], ...]


class SessionView(View):
    """One place where a user is signed in."""

    id: Id
    address: str = Field(description="Where it was last used from.")
    agent: str = Field(description="User-Agent it was last used with.")
    created_at: Instant
    used_at: Instant = Field(description="When its tokens were last exchanged.")
    expires_at: Instant
    current: bool = Field(description="Whether it is the session of this request.")
    impersonator: Id | None = Field(
        None, description="The platform admin who acts in the user's name there."
    )


class ProfileView(View):
    """A user as auth knows them."""

    id: Id
    email: str
    name: str
    verified: bool = Field(False, description="Whether the address was proved to be theirs.")
    mfa: bool = Field(False, description="Whether signing in takes a second factor.")
    platform_role: PlatformRole | None = Field(None, description="Most users have none.")
    created_at: Instant
    revision: Revision


class UserView(ProfileView):
    """The signed-in user, with what they belong to."""

    memberships: tuple[MembershipView, ...] = ()
    impersonator: Id | None = Field(
        None, description="The platform admin who is acting in the user's name."
    )


class ApiKeyView(View):
    """An API key, without its secret."""

    id: Id
    prefix: str = Field(description="What the key begins with.")
    name: str
    scopes: tuple[Permission, ...]
    status: Literal["active", "expired"]
    created_by: Id
    created_at: Instant
    expires_at: Instant | None = None
    previous_valid_until: Instant | None = Field(
        None, description="Until when the secret before the last rotation is good."
    )
    last_used_at: Instant | None = Field(None, description="To within half a minute.")
    last_used_address: str | None = None
    revision: Revision


class NewApiKeyView(ApiKeyView):
    """An API key with its secret, which is never shown again."""

    key: Sealed[str] = Field(description="For the header Authorization: Bearer <key>.")


class AccountView(View):
    """A user as platform admins see them."""

    id: Id
    email: str
    name: str
    verified: bool
    status: Literal["active", "suspended"]
    suspended_at: Instant | None = None
    platform_role: PlatformRole | None = None
    created_at: Instant
    revision: Revision


class ImpersonationView(View):
    """A token to act in a user's name. It cannot be refreshed."""

    access_token: Sealed[str] = Field(description="JWT (ES256) for the Authorization header.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name, not a secret
    expires_in: int = Field(ge=1, description="Seconds the access token lives.")
    session_id: Id
