"""Somebody with an account, and what they ask for."""

from __future__ import annotations

from typing import Any

from contracts.actor import Actor
from contracts.auth.commands import OpenSession, RefreshSession, RegisterUser
from contracts.sealed import Sealed, unseal
from handlers.auth.documents import User
from tests.handlers.auth.conftest import Auth

PASSWORD = "correct horse battery"
OTHER = "quite another pass phrase"
EMAIL = "olga@example.com"
HOME, AWAY = "192.0.2.1", "198.51.100.7"


def registering(email: str = EMAIL, password: str = PASSWORD) -> RegisterUser:
    return RegisterUser(email=email, password=Sealed(password), name="Olga")


def signing_in(
    email: str = EMAIL,
    password: str = PASSWORD,
    *,
    otp: str | None = None,
    address: str = HOME,
    agent: str = "curl",
) -> OpenSession:
    more = {} if otp is None else {"otp": Sealed(otp)}
    return OpenSession(email=email, password=Sealed(password), address=address, agent=agent, **more)


def refreshing(token: str) -> RefreshSession:
    return RefreshSession(refresh_token=Sealed(token), address="192.0.2.2", agent="other")


async def signed_in(auth: Auth, password: str = PASSWORD, **how: Any) -> tuple[Actor, str]:
    """A registered user who has signed in, and their refresh token."""
    if await User.find_one({"email": EMAIL}) is None:
        await auth.do(registering())
    tokens = await auth.do(signing_in(password=password, **how))
    claims = auth.keys.verify(unseal(tokens["access_token"]))
    return Actor(user=claims.user, session=claims.session), unseal(tokens["refresh_token"])


async def refreshed(auth: Auth, token: str) -> str:
    tokens: dict[str, Any] = await auth.do(refreshing(token))
    return unseal(tokens["refresh_token"])


async def olga() -> User:
    """Her account, as it is stored."""
    user = await User.find_one({"email": EMAIL})
    assert user is not None
    return user
