"""Who people are, for a domain that tells them things: asked of those that know, and imported by none.

Membership is corp's and addresses are auth's; handlers/directory.py has the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an organization at this instant."""

    user: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """Where somebody is mailed: an address that they have proved to be theirs."""

    email: str
    name: str


class Directory(Protocol):
    """Looks people up. Each answer is of this instant."""

    async def members(self, organization: str, users: Sequence[str]) -> list[Member]:
        """Those of ``users`` who are members."""

    async def staff(self, organization: str) -> list[Member]:
        """Owners and admins, the first 200."""

    async def invited(self, organization: str, invitation: str) -> str | None:
        """The user whom an invitation is for, if somebody has proved that address."""

    async def organization(self, organization: str) -> str | None:
        """The name of an organization; None when it is gone."""

    async def contact(self, user: str) -> Contact | None:
        """Where a user is mailed; None while their address is not verified."""
