"""The text of an API key: found in a leak, told from a typing error, never guessed."""

from __future__ import annotations

import re

from contracts.types import new_id
from infra.api_keys import fits, id_in, new_key, prefix_of
from infra.random_tokens import digest_of


def test_a_key_names_its_id_and_has_256_random_bits() -> None:
    id = new_id("key")
    text = new_key(id)
    assert re.fullmatch(r"g8k_[0-9a-z]{26}_[0-9A-Za-z]{49}", text)
    assert text.startswith(prefix_of(id))
    assert id_in(text) == id
    assert len({new_key(id) for _ in range(100)}) == 100


def test_every_single_typing_error_is_found_without_a_look_at_the_database() -> None:
    text = new_key(new_id("key"))
    for at in range(len(text)):
        other = "0" if text[at] != "0" else "1"
        assert id_in(text[:at] + other + text[at + 1 :]) is None, at
        assert id_in(text[:at] + text[at + 1 :]) is None, at
    for at in range(len(text) - 1):
        if text[at] != text[at + 1]:
            swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
            assert id_in(swapped) is None, at


def test_what_is_no_key_is_none() -> None:
    text = new_key(new_id("key"))
    for other in (
        "",
        "g8k_",
        text + "\n",
        " " + text,
        text * 2,
        text.swapcase(),
        "g8k_" + "é" * 76,
    ):
        assert id_in(other) is None


def test_a_digest_fits_its_key_alone() -> None:
    one, two = new_key("key_1"), new_key("key_1")
    assert fits(digest_of(one), digest_of(one))
    assert not fits(digest_of(one), digest_of(two))
    assert not fits(digest_of(one), None)
