"""Auth's decisions, without I/O."""

from __future__ import annotations

from contracts.auth.errors import PasswordRefused
from contracts.errors import FieldError


def check_password(password: str, *, email: str, name: str) -> None:
    """Refuse what anybody would try first. Raises PasswordRefused with the reason."""
    lowered = password.casefold()
    if len(set(lowered)) < 4:
        _refuse("it repeats fewer than four different characters")
    for word, what in ((email.partition("@")[0], "the address"), (name, "the name")):
        if len(word) >= 4 and word.casefold() in lowered and len(lowered) < len(word) + 6:
            _refuse(f"it is little more than {what}")
    if "password" in lowered and len(lowered) < 14:
        _refuse("it contains the word password")


def _refuse(reason: str) -> None:
    raise PasswordRefused(
        f"The password is too easy to guess: {reason}.",
        errors=[FieldError(pointer="/password", code="auth.password_refused", detail=reason)],
    )
