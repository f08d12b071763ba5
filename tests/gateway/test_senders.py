"""Ids of commands prove to their sender, and to nobody else, that they are theirs."""

from __future__ import annotations

from pydantic import TypeAdapter

from contracts.types import Id, derived_id, made_at, new_id, now
from gateway.senders import Senders

DOMAINS = ("auth", "corp", "asset", "mail")
KEYS = [bytes([number]) * 32 for number in range(3)]


def test_the_sender_is_told_the_domain_and_nobody_else_is() -> None:
    senders = Senders(KEYS[:1])
    id = senders.new_id("usr_1", "corp")
    assert senders.domain_of(id, "usr_1", DOMAINS) == "corp"
    assert senders.domain_of(id, "usr_2", DOMAINS) is None
    assert senders.domain_of(id, "", DOMAINS) is None
    for forged in (id[:-1], id + "0", id[:30], new_id("cmd"), "cmd_", "", id.upper()):
        assert senders.domain_of(forged, "usr_1", DOMAINS) is None, forged
    other = senders.new_id("usr_1", "corp")
    assert senders.domain_of(other[:30] + id[30:], "usr_1", DOMAINS) is None


def test_nobody_proves_to_have_sent_what_nobody_signed_in_sent() -> None:
    senders = Senders(KEYS[:1])
    assert senders.domain_of(senders.new_id(None, "auth"), "", DOMAINS) is None


def test_ids_outlive_a_change_of_keys() -> None:
    id = Senders([KEYS[0]]).new_id("usr_1", "asset")
    assert Senders([KEYS[1], KEYS[0]]).domain_of(id, "usr_1", DOMAINS) == "asset"
    assert Senders([KEYS[1], KEYS[2]]).domain_of(id, "usr_1", DOMAINS) is None


def test_such_an_id_is_an_id_like_others() -> None:
    id = Senders(KEYS).new_id("usr_1", "corp")
    assert TypeAdapter(Id).validate_python(id) == id
    assert abs((now() - made_at(id)).total_seconds()) < 5
    assert derived_id("evt", id)[4:14] == id[4:14]
