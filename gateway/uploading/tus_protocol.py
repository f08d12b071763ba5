"""The tus resumable upload protocol 1.0.0, as far as it is headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from contracts.asset.errors import TusVersionUnsupported, UploadHeaderInvalid
from contracts.errors import FieldError
from gateway.errors import MediaTypeUnsupported
from gateway.uploading.receiving import require_plain

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination"
ALGORITHMS = ("sha1", "sha256", "md5")
MEDIA_TYPE = "application/offset+octet-stream"
PATHS = "/v1/orgs/{org}/uploads"

EXPOSED = (
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, "
    "Upload-Offset, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, "
    "Content-Location"
)
"""What scripts of other origins may read of answers."""
ACCEPTED = (
    "Tus-Resumable, Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Offset, "
    "Upload-Checksum, Upload-Concat, X-HTTP-Method-Override, X-Requested-With"
)
"""What they may send."""

_BELOW = re.compile(r"/v1/orgs/[^/]+/uploads(?:/|$)")
_METADATA_BYTES = 8 * 1024
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]{1,200}", re.ASCII)


def finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer below ``PATHS`` has, also a refusal that was made elsewhere."""
    if not _BELOW.match(request.rel_url.raw_path):
        return
    response.headers.setdefault("Tus-Resumable", VERSION)
    if response.status == 412:
        response.headers.setdefault("Tus-Version", VERSION)


def discovery(limit: int) -> dict[str, str]:
    """The headers that tell what is supported."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(limit),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def check_version(request: web.Request) -> None:
    """Raises TusVersionUnsupported."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise TusVersionUnsupported("This server speaks Tus-Resumable: 1.0.0, and no other.")


def check_media_type(request: web.Request) -> None:
    """Raises MediaTypeUnsupported."""
    if request.content_type != MEDIA_TYPE:
        raise MediaTypeUnsupported(f"Send Content-Type: {MEDIA_TYPE}.")
    require_plain(request)


def wrong(header: str, detail: str) -> UploadHeaderInvalid:
    """A header that is wrong, as a problem."""
    return UploadHeaderInvalid(
        f"{header}: {detail}.", errors=[FieldError(pointer=header, code="invalid", detail=detail)]
    )


def number_in(request: web.Request, header: str) -> int | None:
    """A whole number, not negative; None where the header is missing. Raises UploadHeaderInvalid."""
    values = request.headers.getall(header, [])
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        raise wrong(header, "must be one whole number, not negative, in digits")
    return int(values[0])


def length_in(request: web.Request) -> int | None:
    """The length of a new upload; None where it will be said later. Raises UploadHeaderInvalid."""
    length = number_in(request, "Upload-Length")
    deferred = request.headers.getall("Upload-Defer-Length", [])
    if deferred and deferred != ["1"]:
        raise wrong("Upload-Defer-Length", "must be 1, or not be there")
    if deferred and length is not None:
        raise wrong("Upload-Length", "must not be there beside Upload-Defer-Length")
    if not deferred and length is None:
        raise wrong("Upload-Length", "is required, unless Upload-Defer-Length: 1 is sent")
    return length


def expires_header(instant: datetime) -> str:
    """As RFC 9110 writes dates."""
    return format_datetime(instant.replace(microsecond=0), usegmt=True)


@dataclass(slots=True)
class Checksum:
    """What the bytes of one request must add up to."""

    digest: bytes
    running: Any

    def fits(self) -> bool:
        """Whether they have."""
        return bool(self.running.digest() == self.digest)


def checksum_in(request: web.Request) -> Checksum | None:
    """The checksum of this request, if it has one. Raises UploadHeaderInvalid."""
    values = request.headers.getall("Upload-Checksum", [])
    if not values:
        return None
    algorithm, _, encoded = values[0].partition(" ")
    if len(values) > 1 or algorithm not in ALGORITHMS:
        known = ", ".join(ALGORITHMS)
        raise wrong("Upload-Checksum", f"must be one of {known}, a space, and the digest in Base64")
    running = hashlib.new(algorithm, usedforsecurity=False)
    digest = _decoded("Upload-Checksum", encoded)
    if len(digest) != running.digest_size:
        raise wrong("Upload-Checksum", f"is no digest of {algorithm}: it has {len(digest)} bytes")
    return Checksum(digest, running)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a client says of a file; ``raw`` is as it was sent."""

    raw: str
    values: dict[str, bytes]

    def text(self, *names: str) -> str | None:
        """The first of these that is given. Raises UploadHeaderInvalid where it is no UTF-8."""
        for name in names:
            if name in self.values:
                try:
                    return self.values[name].decode("utf-8")
                except UnicodeDecodeError as error:
                    raise wrong("Upload-Metadata", f"{name} is not UTF-8") from error
        return None


def metadata_in(request: web.Request) -> Metadata:
    """Keys with values in Base64, separated by commas. Raises UploadHeaderInvalid."""
    raw = ",".join(request.headers.getall("Upload-Metadata", []))
    if len(raw) > _METADATA_BYTES:
        raise wrong("Upload-Metadata", f"has at most {_METADATA_BYTES} bytes")
    values: dict[str, bytes] = {}
    for pair in raw.split(",") if raw.strip() else []:
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise wrong("Upload-Metadata", "a key is visible ASCII, and not empty")
        if key in values:
            raise wrong("Upload-Metadata", f"the key {key[:50]} is there twice")
        values[key] = _decoded("Upload-Metadata", encoded)
    return Metadata(raw, values)


def _decoded(header: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise wrong(header, "a value is not Base64") from error
