"""Field types of auth."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, EmailStr, Field, StringConstraints

from contracts.base import FromRequest

Email = Annotated[
    EmailStr,
    AfterValidator(str.lower),
    Field(max_length=254, description="Compared without regard to case."),
]

# NIST SP 800-63B-4, 3.1.1.2: at least 8 characters with a second factor, 15 without one are
# advised and at least 64 must be allowed; 10 is this product's floor.
NewPassword = Annotated[str, StringConstraints(min_length=10, max_length=256)]
AnyPassword = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=512)]

Address = Annotated[str, FromRequest("address"), Field(max_length=64)]
Agent = Annotated[str, FromRequest("agent"), Field(max_length=512)]
