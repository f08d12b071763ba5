"""Auth's decisions, by themselves."""

from __future__ import annotations

import base64
import os
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

from contracts import sealed
from contracts.auth.errors import PasswordRefused
from contracts.types import now
from handlers.auth.documents import Link, SecondFactor
from handlers.auth.rules.devices import device_id
from handlers.auth.rules.links import is_due, is_good
from handlers.auth.rules.mfa import (
    new_recovery_codes,
    new_secret,
    recovery_digest,
    step_of,
    take_code,
    uri_of,
)
from handlers.auth.rules.passwords import READINGS, check_password, readable
from infra.random_tokens import digest_of, new_token

# passwords


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaaaaa",
        "ababababab",
        "1234567890",
        "qwertyuiop",
        "olga12345!",
        "olgaolga11",
        "olga.ivanova",
        "ivanova2024",
        "password12",
        "PASSWORD!?xyz",
        "p@ssw0rd123",
        "iloveyou123",
        "grid8grid8",
        "a" * 256,
        "password" * 32,
        "    " * 20,
        "1" * 10,
    ],
)
def test_what_a_guesser_would_try_early_is_refused_with_reason_and_advice(password: str) -> None:
    with pytest.raises(PasswordRefused) as refused:
        check_password(password, "olga.ivanova@example.com", "Olga Ivanova")
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/password", "auth.password_refused")
    assert error.detail.endswith(".")
    assert password not in str(refused.value) + error.detail


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "my password is quite long",
        "Tr0ub4dor&3x",
        "kühl gelagerte Zwiebeln",
        "七つの海を渡る船と月",
        "\x00" + "Tr0ub4dor&3x",
        "k8vQ2xw9Lz" + "x" * 240,
    ],
)
def test_a_password_that_is_good_enough_is_taken(password: str) -> None:
    check_password(password, "olga@example.com", "Olga")


@pytest.mark.parametrize("password", ["4@8({[<369&#!1/|0$5+7%2" * 3, "|17!1|7" * 10, "4@({[<" * 12])
def test_symbols_are_read_as_letters_in_a_few_ways_at_most(password: str) -> None:
    read = readable(password)
    ways = enumerate_l33t_subs(relevant_l33t_subtable(read, L33T_TABLE))
    assert len(ways) <= 2 * READINGS
    assert len(read) == len(password)
    assert len(set(read)) == len(set(password))


@pytest.mark.parametrize("password", ["p4$$w0rd", "p@55w0rd!", "correct horse", "|0v3", "пароль"])
def test_a_password_with_a_few_symbols_is_judged_as_it_is(password: str) -> None:
    assert readable(password) == password


def test_a_good_password_is_a_bad_one_for_whom_it_is_named_after() -> None:
    check_password("xqwvzkjhprt7", "other@example.com", "Other")
    with pytest.raises(PasswordRefused):
        check_password("xqwvzkjhprt7", "w@example.com", "Wilhelmina Xqwvzkjhprt")
    with pytest.raises(PasswordRefused):
        check_password("xqwvzkjhprt7", "xqwvzkjhprt@example.com", "W")


# links


def link(**changed: object) -> Link:
    at = now()
    given = {
        "id": "usr_a:verify",
        "user_id": "usr_a",
        "purpose": "verify",
        "digest": "x",
        "issued_at": at,
        "expires_at": at + timedelta(hours=1),
        **changed,
    }
    return Link.model_construct(None, **given)  # type: ignore[arg-type]


def test_a_link_is_good_for_its_purpose_until_it_expires() -> None:
    at = now()
    assert is_good(link(), "verify", at)
    assert not is_good(link(), "reset", at)
    assert not is_good(None, "verify", at)
    assert not is_good(link(expires_at=at), "verify", at)


def test_another_link_is_mailed_after_a_pause() -> None:
    at = now()
    assert is_due(None, at, pause=60)
    assert not is_due(link(issued_at=at - timedelta(seconds=59)), at, pause=60)
    assert is_due(link(issued_at=at - timedelta(seconds=60)), at, pause=60)


def test_after_a_few_in_a_row_a_link_is_left_alone_for_as_long_as_it_takes_to_use_it() -> None:
    at = now()

    def again(mailed: int, ago: timedelta, life: timedelta) -> bool:
        last = link(issued_at=at - ago, expires_at=at - ago + life, mailed=mailed)
        return is_due(last, at, pause=60)

    minute, hour, day = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
    assert again(2, minute, day)
    for mailed in (3, 100):
        assert not again(mailed, 29 * minute, hour)
        assert again(mailed, 30 * minute, hour)
        assert again(mailed, 30 * minute, day)
        assert not again(mailed, 4 * minute, 10 * minute)
        assert again(mailed, 10 * minute, 10 * minute)


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert digest_of("\ud800") != digest_of("x"), "what is no text is a wrong token, no error"


# the second factor

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "otp"),
    # RFC 6238, appendix B, SHA-1: the last six of the eight digits.
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, otp: str) -> None:
    assert step_of(RFC_SECRET, otp, at, after=0) == at // 30
    assert step_of(RFC_SECRET, f"{otp[:3]} {otp[3:]}", at, after=0) == at // 30


def test_a_code_is_taken_one_step_early_or_late_and_no_more() -> None:
    otp, step = "081804", 1111111109 // 30
    for drift, taken in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        assert (step_of(RFC_SECRET, otp, (step + drift) * 30, after=0) == step) == taken


def test_a_code_is_taken_once_and_none_from_before_it() -> None:
    step = 1111111109 // 30
    assert step_of(RFC_SECRET, "081804", step * 30, after=step - 1) == step
    assert step_of(RFC_SECRET, "081804", step * 30, after=step) is None
    assert step_of(RFC_SECRET, "081804", step * 30, after=step + 1) is None


@pytest.mark.parametrize(
    "otp", ["", "81804", "0818040", "08180x", "٠٨١٨٠٤", "081804\n", "-81804", "\x00", "é" * 6]
)
def test_what_is_no_code_is_none(otp: str) -> None:
    assert step_of(RFC_SECRET, otp, 1111111109, after=0) is None


def test_an_app_is_told_who_and_what() -> None:
    secret = new_secret()
    uri = urlsplit(uri_of(secret, "ann+x@example.org", "Grid8"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query) == {"secret": [secret], "issuer": ["Grid8"]}
    assert "ann%2Bx%40example.org" in uri.path
    assert len(base64.b32decode(secret)) == 20


def test_a_recovery_code_is_taken_once_however_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_keys", [])
    sealed.use_keys([os.urandom(32)])
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    factor = SecondFactor.model_construct(
        None,
        id="usr_a",
        secret=sealed.seal(RFC_SECRET),
        confirmed=True,
        step=0,
        recovery=[recovery_digest(code) for code in codes],
    )
    assert not any(code in repr(factor.recovery) for code in codes)
    for typed in (codes[0], codes[1].upper(), codes[2].replace("-", ""), f" {codes[3]} "):
        assert take_code(factor, typed, 0.0)
        assert not take_code(factor, typed, 0.0)
    assert len(factor.recovery) == 6
    assert not take_code(factor, "", 0.0)


# devices


def test_a_device_is_a_program_in_a_network() -> None:
    one = device_id("usr_a", "curl", "192.0.2.1")
    assert device_id("usr_a", "curl", "192.0.2.200") == one
    assert device_id("usr_a", "curl", "192.0.3.1") != one
    assert device_id("usr_a", "wget", "192.0.2.1") != one
    assert device_id("usr_b", "curl", "192.0.2.1") != one
    six = device_id("usr_a", "curl", "2001:db8:1:2::1")
    assert device_id("usr_a", "curl", "2001:db8:1:ffff::9") == six
    assert device_id("usr_a", "curl", "2001:db8:2::1") != six
    assert device_id("usr_a", "curl", "::ffff:192.0.2.9") == one
    assert device_id("usr_a", "", "unknown")
