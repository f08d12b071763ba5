"""Which format of a picture a client takes, by its Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from typing import Literal

from aiohttp import web

Made = Literal["avif", "webp", "still"]
"""A format to make; ``still`` is JPEG, or PNG where something is transparent."""

_Q = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.ASCII)
_ITEMS = 64


def best_format(request: web.Request, *, moving: bool) -> Made:
    """AVIF, then WebP, where they are named and nothing else is preferred; else JPEG or PNG.

    ``image/*`` and ``*/*`` do not say that a client knows the newer ones: those who do name
    them. What cannot be read says nothing, and who takes nothing of all this is given a JPEG
    or PNG all the same. ``moving`` is of a picture that may be animated: no AVIF is made of it.
    """
    given = _accepted(",".join(request.headers.getall("Accept", [])))
    any_image = given.get("image/*", given.get("*/*", 0.0))
    still = max(given.get("image/jpeg", any_image), given.get("image/png", any_image))
    newer: tuple[Made, ...] = ("webp",) if moving else ("avif", "webp")
    wanted = max(newer, key=lambda name: given.get(f"image/{name}", 0.0))
    q = given.get(f"image/{wanted}", 0.0)
    return wanted if q > 0 and q >= still else "still"


def _accepted(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in header.split(",")[:_ITEMS]:
        media_range, *parameters = (part.strip().lower() for part in item.split(";"))
        q = 1.0
        for name, _, value in (parameter.partition("=") for parameter in parameters):
            if name.strip() == "q":
                q = float(value) if _Q.fullmatch(value.strip()) else 0.0
        found[media_range] = max(q, found.get(media_range, 0.0))
    return found
