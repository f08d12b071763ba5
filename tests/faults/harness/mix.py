"""What the load asks for: kinds of commands, and the record of each one asked."""

from __future__ import annotations

import base64
import random
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.harness.caller import Answer

End = Literal["done", "refused", "lost", "unsent", "unknown"]

TAKEN = "Taken"
"""A brand that is there from the beginning."""

KINDS = {
    "brand": 5,
    "brand later": 4,
    "brand keyed": 4,
    "duplicate": 2,
    "mismatch": 2,
    "update": 3,
    "update keyed": 3,
    "person": 2,
    "person keyed": 1,
    "member keyed": 2,
    "asset": 1,
    "asset keyed": 1,
}
"""How often each is drawn. ``later`` prefers respond-async; ``keyed`` retries with its key."""

REFUSALS = {
    "duplicate": {"corp.brand_name_taken"},
    "mismatch": {"revision_mismatch"},
    # The event that tells corp of somebody may be late; it says so after two seconds.
    "member keyed": {"corp.user_unknown"},
}

TRACES: dict[str, tuple[str, ...]] = {
    "brand": ("brands", "corp.brand.created"),
    "duplicate": (),
    "mismatch": ("corp.brand.updated",),
    "update": ("corp.brand.updated",),
    "person": ("users", "auth.user.registered", "corp_people", "mails"),
    "member": ("memberships", "corp.member.added"),
    "asset": ("assets", "asset.asset.uploaded", "asset.asset.ready"),
}
"""Where a command leaves its mark, once: collections, and types of events."""

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="32" height="24">'
    '<rect width="32" height="24" fill="#%06x"/></svg>'
)


@dataclass(slots=True)
class Record:
    """One thing that was asked for, and every answer to it."""

    kind: str
    mark: str
    """By which its effects are known: a name, or an address."""
    request: dict[str, Any]
    key: str | None = None
    answers: list[Answer] = field(default_factory=list)
    end: End = "unknown"
    result: Any = None
    """The view that the command answered."""

    @property
    def first(self) -> Answer:
        """The first answer that was one."""
        return next(each for each in self.answers if not each.unknown)

    @property
    def traces(self) -> tuple[str, ...]:
        return TRACES[self.kind.partition(" ")[0]]


class Mix:
    """Makes records, from a seed."""

    def __init__(self, seed: int, org: str, shared: str) -> None:
        self.chance = random.Random(seed)
        self._org = f"/v1/orgs/{org}"
        # Of addresses and keys: they are nobody's, and a stack may bear several loads.
        self._host = f"{org.replace('_', '-')}.example.com"
        self._shared = shared
        self._number = 0
        self.registered: list[str] = []
        """Addresses of people who can be made members."""

    def draw(self) -> Record:
        """The next thing to ask for."""
        [kind] = self.chance.choices(list(KINDS), list(KINDS.values()))
        if kind == "member keyed" and not self.registered:
            kind = "person"
        return self.record(kind)

    def record(self, kind: str) -> Record:
        """Something of a kind to ask for."""
        self._number += 1
        mark = f"{kind} {self._number}"
        headers = {}
        if kind.endswith(" later"):
            headers["Prefer"] = "respond-async"
        if kind.endswith(" keyed"):
            headers["Idempotency-Key"] = f"{mark.replace(' ', '-')}.{self._host}"
        if kind.startswith("person"):
            mark = f"{mark.replace(' ', '.')}@{self._host}"
        elif kind.startswith("member"):
            mark = self.registered.pop(self.chance.randrange(len(self.registered)))
        elif kind.startswith("asset"):
            mark = mark.replace(" ", "-")
        request = self._request(kind.partition(" ")[0], mark, headers)
        return Record(kind, mark, request, headers.get("Idempotency-Key"))

    def _request(self, kind: str, mark: str, headers: dict[str, str]) -> dict[str, Any]:
        brands = f"{self._org}/brands"
        match kind:
            case "brand":
                return _json("POST", brands, {"name": mark}, headers)
            case "duplicate":
                return _json("POST", brands, {"name": TAKEN}, headers)
            case "update" | "mismatch":
                if kind == "mismatch":
                    headers["If-Match"] = '"999999"'
                return _json("PATCH", f"{brands}/{self._shared}", {"name": mark}, headers)
            case "person":
                body = {"email": mark, "name": "Somebody", "password": "correct-horse-battery-9"}
                return {**_json("POST", "/v1/auth/register", body, headers), "signed": False}
            case "member":
                body = {"email": mark, "role": "viewer"}
                return _json("POST", f"{self._org}/members", body, headers)
        headers["Content-Type"] = self.chance.choice(("image/svg+xml", "image/png"))
        color = self.chance.getrandbits(24)
        svg = headers["Content-Type"] == "image/svg+xml"
        return {
            "method": "POST",
            "path": f"{self._org}/assets?filename={mark}",
            "data": (_SVG % color).encode() if svg else png(color),
            "headers": headers,
        }


def _json(method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    return {"method": method, "path": path, "json": body, "headers": headers}


def png(color: int, side: int = 24) -> bytes:
    """A small picture of one colour."""
    rows = (b"\0" + color.to_bytes(3) * side) * side
    head = side.to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return base64.b16decode("89504E470D0A1A0A") + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)
        for name, body in chunks
    )
