"""Ids of commands, which prove to their sender, and to nobody else, that they are theirs.

``cmd_`` is followed by a ULID and 20 hexadecimal digits of a MAC over the id, the sender and
the domain. So even when Redis has lost every trace of a command, its sender can be told.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from contracts.types import new_id

_PLAIN = len("cmd_") + 26


class Senders:
    """Makes and checks ids: with the first of the keys, with all of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def new_id(self, user: str | None, domain: str) -> str:
        """The id of a new command to a domain; nobody can prove to have sent it without user."""
        id = new_id("cmd")
        return id if user is None else id + _mac(self._keys[0], id, user, domain)

    def domain_of(self, id: str, user: str, domains: Iterable[str]) -> str | None:
        """The domain of a command, if the user sent it."""
        plain, mac = id[:_PLAIN], id[_PLAIN:]
        for domain in domains:
            for key in self._keys:
                if hmac.compare_digest(_mac(key, plain, user, domain), mac):
                    return domain
        return None


def _mac(key: bytes, id: str, user: str, domain: str) -> str:
    return hmac.digest(key, f"{id} {user} {domain}".encode(), hashlib.sha256)[:10].hex()
