"""Password hashes: all of a password counts, and hashing steps back."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from infra.passwords import NICENESS, Passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(4)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("x" * 72 + "a", "x" * 72 + "b"),
        ("x" * 255 + "a", "x" * 255 + "b"),
        ("secret\x00one", "secret\x00two"),
        ("secret\x00", "secret"),
        ("\x00", "\x00\x00"),
        ("é" * 40 + "a", "é" * 40 + "b"),
    ],
)
async def test_passwords_that_differ_anywhere_differ(
    passwords: Passwords, password: str, other: str
) -> None:
    stored = await passwords.hash(password)
    assert await passwords.check(password, stored)
    assert not await passwords.check(other, stored)


async def test_one_password_is_one_however_its_letters_are_composed(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9 au lait")
    assert await passwords.check("cafe\u0301 au lait", stored)


async def test_nobody_has_no_password(passwords: Passwords) -> None:
    assert not await passwords.check("nobody", None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
async def test_hashing_steps_back_behind_the_event_loop(passwords: Passwords) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert await passwords.aside(niceness) == min(19, max(before, NICENESS))
    assert niceness() == before
