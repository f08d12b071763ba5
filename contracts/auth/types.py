"""Field types of auth."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, EmailStr, Field

Email = Annotated[
    EmailStr,
    AfterValidator(str.lower),
    Field(max_length=254, description="Compared without regard to case."),
]
