"""Field types of auth."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import EmailStr, Field, StringConstraints, ValidatorFunctionWrapHandler, WrapValidator

from contracts.base import FromRequest

LONGEST_EMAIL = 254
"""RFC 5321, 4.5.3.1.3: 256 octets with the angle brackets around it."""


def _address(value: Any, validate: ValidatorFunctionWrapHandler) -> str:
    """An address as it was given, in lower case: validated, and never rewritten.

    The validator alone would take ``Ann <ann@example.org>``, fold look-alikes such as the
    Kelvin sign into ASCII, and turn xn-- into the letters it stands for.
    """
    if isinstance(value, str):
        # Before anything is made lower case: the Kelvin sign's lower case is k.
        if not value.isascii():
            raise ValueError(
                "must be ASCII; an internationalised domain is written as xn--, and the part "
                "before the @ has no such form"
            )
        if len(value) > LONGEST_EMAIL:
            raise ValueError(f"must have at most {LONGEST_EMAIL} characters")
        if any(character <= " " or character in '<>()[]\\,;:"\x7f' for character in value):
            raise ValueError(
                "must be an address alone, such as ann@example.org: no name, space, comment or quotes"
            )
    validate(value)
    return str(value).lower()


Email = Annotated[
    EmailStr,
    WrapValidator(_address),
    Field(max_length=LONGEST_EMAIL, description="ASCII; compared without regard to case."),
]

# NIST SP 800-63B-4, 3.1.1.2: at least 8 characters with a second factor, 15 without one are
# advised and at least 64 must be allowed; 10 is this product's floor.
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=256)]
AnyPassword = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=512)]
Otp = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""Six digits of an authenticator app, or a recovery code."""

Address = Annotated[str, FromRequest("address"), Field(max_length=64)]
Agent = Annotated[str, FromRequest("agent"), Field(max_length=512)]
