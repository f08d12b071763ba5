"""What is an e-mail address here, and when two of them are one."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.auth.types import Email

EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def why_not(text: str) -> str:
    with pytest.raises(ValidationError) as refused:
        EMAIL.validate_python(text)
    (error,) = refused.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann@Example.ORG", "ann@example.org"),
        ("ann+grid8@example.org", "ann+grid8@example.org"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("ann@xn--mnchen-3ya.de", "ann@xn--mnchen-3ya.de"),
        ("A@XN--MNCHEN-3YA.DE", "a@xn--mnchen-3ya.de"),
    ],
)
def test_an_address_is_kept_as_it_was_given_in_lower_case(given: str, kept: str) -> None:
    assert EMAIL.validate_python(given) == kept
    assert EMAIL.validate_python(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "аnn@example.org",
        "ann@exаmple.org",
        "ann@ｅxample.org",
        "an\u212a@example.org",  # Kelvin sign, whose lower case is k
        "ann@\u212aexample.org",
        "\u0130nn@example.org",  # İ, whose lower case has two characters
        "ann@münchen.de",
        "ann@example\u3002org",  # an ideographic full stop, which IDNA takes for a dot
        "ann\u200b@example.org",
        "ann@example.org\u202e",
    ],
)
def test_what_looks_like_an_ascii_address_and_is_none_is_refused(text: str) -> None:
    assert "xn--" in why_not(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ann <ann@example.org>",
        "<ann@example.org>",
        " ann@example.org",
        "ann@example.org ",
        "ann@example.org\r\nBcc: bob@example.org",
        "ann@example.org\n",
        "ann\x00@example.org",
        "ann\x7f@example.org",
        '"ann b"@example.org',
        '"ann"@example.org',
        "ann(comment)@example.org",
        "ann@example.org(comment)",
        "ann@[127.0.0.1]",
        "ann@example.org,bob@example.org",
        "ann@example.org;bob@example.org",
        "ann\\@b@example.org",
    ],
)
def test_an_address_with_more_around_it_is_refused(text: str) -> None:
    assert "an address alone" in why_not(text)


@pytest.mark.parametrize(
    "text",
    ["", "@", "ann", "ann@", "@example.org", "a@b@example.org", "ann@example", ".a@example.org",
     "a..b@example.org", "ann@-example.org", "ann@example..org", "ann@xn--.org"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    why_not(text)


def test_the_longest_address_has_254_characters() -> None:
    domain = ".".join(["d" * 60] * 3) + ".org"
    longest = "a" * (254 - 1 - len(domain)) + "@" + domain
    assert len(longest) == 254
    assert EMAIL.validate_python(longest) == longest
    why_not("a" + longest)
    assert "254" in why_not("a" * 1_000_000 + "@example.org")


@pytest.mark.parametrize(
    "value", [None, 7, ["ann@example.org"], {"a": 1}, b"ann@example.org", True]
)
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        EMAIL.validate_python(value, strict=True)
