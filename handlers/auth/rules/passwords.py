"""Which passwords are too easy to guess."""

from __future__ import annotations

import hashlib
import math
import re

from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

from contracts.auth.errors import PasswordRefused
from contracts.errors import FieldError

JUDGED = 72
"""Characters that are judged: it takes the square of their number, about 50 ms for these."""
READINGS = 4
"""Ways to read symbols as letters, as in ``p4$$w0rd``, of which each takes that long again: a
password of all such symbols can be read in hundreds."""
GOOD_ENOUGH = 3
"""Of 4: over 10^8 guesses, "safely unguessable: moderate protection from offline attack"."""
OURS = ("grid8",)
_NO_SYMBOLS = 0x2500


def check_password(password: str, email: str, name: str) -> None:
    """Refuse what a guesser would try early. Raises PasswordRefused with reason and advice.

    To be run in a thread: it takes milliseconds.
    """
    judged = zxcvbn(
        readable(password[:JUDGED]), user_inputs=known_of(email, name), max_length=JUDGED
    )
    if judged["score"] >= GOOD_ENOUGH:
        return
    feedback = judged["feedback"]
    said = [feedback["warning"], *feedback["suggestions"]]
    reason = " ".join(f"{each.rstrip('.')}." for each in said if each) or "Add another word or two."
    raise PasswordRefused(
        f"The password is too easy to guess. {reason}",
        errors=[FieldError(pointer="/password", code=PasswordRefused.code, detail=reason)],
    )


def readable(password: str) -> str:
    """The password with no more symbols that stand for letters than can be read in time.

    Those that come later each become a character of their own that stands for nothing: as
    long, as various, and as hard to guess.
    """
    letters: dict[str, set[str]] = {}
    unread: dict[int, int] = {}
    for symbol in dict.fromkeys(password):
        meant = {letter for letter, symbols in L33T_TABLE.items() if symbol in symbols}
        wanted = letters | {letter: letters.get(letter, set()) | {symbol} for letter in meant}
        if math.prod(len(symbols) for symbols in wanted.values()) > READINGS:
            unread[ord(symbol)] = _NO_SYMBOLS + ord(symbol)
        else:
            letters = wanted
    return password.translate(unread)


def known_of(email: str, name: str) -> list[str]:
    """What anybody who wants to guess knows about the user."""
    whole = [email, email.partition("@")[0], name, *OURS]
    parts = [part for text in (email, name) for part in re.split(r"[\W_]+", text)]
    return list(dict.fromkeys(text.lower() for text in [*whole, *parts] if len(text) > 2))


def password_stamp(password_hash: str) -> str:
    """Tells the sessions of one password from those of the next."""
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]
