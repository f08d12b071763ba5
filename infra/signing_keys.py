"""The folder of keys that sign access tokens, while keys come and go in it.

``<kid>.pem`` signs and verifies, ``<kid>.pub.pem`` verifies. Of the private keys the last by
name signs, but a new one only after it was published for a while: until then some gateway may
not have seen it. Whoever reads the folder looks again every few seconds, and at once, though
not more than once a second, when a token names a kid that is not known.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose.backends.cryptography_backend import CryptographyECKey
from jose.exceptions import JOSEError

log = structlog.get_logger(__name__)

ALGORITHM = "ES256"
LOOK_EVERY = 2.0
LOOK_AGAIN = 1.0
"""Seconds between two looks because of kids that are not known."""
LARGEST = 16 * 1024
"""Bytes of a file that can be a key."""

_PUBLIC = ".pub.pem"


def new_private_key() -> bytes:
    """A new P-256 key as PEM (PKCS #8)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key, and since when it is there, in seconds since 1970."""

    kid: str
    public: CryptographyECKey
    private: CryptographyECKey | None
    since: float


def load_key(path: Path) -> SigningKey:
    """The key in a file. Raises ValueError or OSError when it is none of ours."""
    pem = path.read_bytes()
    since = path.stat().st_mtime
    try:
        if path.name.endswith(_PUBLIC):
            public = serialization.load_pem_public_key(pem)
            if (
                not isinstance(public, ec.EllipticCurvePublicKey)
                or public.curve.name != "secp256r1"
            ):
                raise ValueError(f"{path} is not a P-256 key")
            kid = path.name.removesuffix(_PUBLIC)
            return SigningKey(kid, CryptographyECKey(public, ALGORITHM), None, since)
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise ValueError(f"{path} is not a P-256 key")
        return SigningKey(
            path.stem,
            CryptographyECKey(private.public_key(), ALGORITHM),
            CryptographyECKey(private, ALGORITHM),
            since,
        )
    except (TypeError, UnsupportedAlgorithm, JOSEError) as error:
        raise ValueError(f"{path}: {error}") from error


def signer_of(keys: Iterable[SigningKey], at: float, published: float) -> SigningKey | None:
    """Which of the keys signs: the last that is published for long enough, else the first."""
    private = sorted((key for key in keys if key.private), key=lambda key: key.kid)
    ready = [key for key in private if key.since + published <= at]
    return ready[-1] if ready else private[0] if private else None


class KeyFolder:
    """The keys in a folder, as they were a moment ago.

    A file that is no key is passed over, and a folder that is gone leaves the keys that are
    known. Raises FileNotFoundError or ValueError when there is no usable key to begin with.
    """

    def __init__(self, folder: Path, *, published: float) -> None:
        self._path = folder
        self._published = published
        self._files: dict[str, tuple[tuple[int, int], SigningKey | None]] = {}
        self._keys: dict[str, SigningKey] = {}
        self._looked = 0.0
        self._looked_again = 0.0
        self._look(first=True)
        if not self._keys:
            if self._files:
                raise ValueError(f"no *.pem in {folder} is a P-256 key")
            raise FileNotFoundError(f"no *.pem key in {folder}")

    def signing(self) -> tuple[str, CryptographyECKey]:
        """The key to sign with. Raises LookupError when only public keys are here."""
        self._look_sometimes()
        key = signer_of(self._keys.values(), time.time(), self._published)
        if key is None or key.private is None:
            raise LookupError("there is no private key to sign with")
        return key.kid, key.private

    def public(self, kid: str) -> CryptographyECKey | None:
        """The key that verifies what a kid has signed."""
        self._look_sometimes()
        found = self._keys.get(kid)
        if found is None and time.monotonic() - self._looked_again >= LOOK_AGAIN:
            self._looked_again = time.monotonic()
            self._look()
            found = self._keys.get(kid)
        return found.public if found else None

    def all_public(self) -> dict[str, CryptographyECKey]:
        """Every key that verifies, by kid."""
        self._look_sometimes()
        return {kid: key.public for kid, key in self._keys.items()}

    def _look_sometimes(self) -> None:
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self._look()

    def _look(self, *, first: bool = False) -> None:
        """Read what is new in the folder: mostly nothing, which takes some microseconds."""
        self._looked = time.monotonic()
        try:
            with os.scandir(self._path) as entries:
                names = sorted(each.name for each in entries if each.name.endswith(".pem"))
        except OSError as error:
            if not first:
                log.warning("keys_not_looked_at", reason=str(error))
            return
        found: dict[str, tuple[tuple[int, int], SigningKey | None]] = {}
        for name in names:
            with contextlib.suppress(OSError):
                stat = (self._path / name).stat()
                print_of_file = (stat.st_mtime_ns, stat.st_size)
                known = self._files.get(name)
                if known is None or known[0] != print_of_file:
                    known = (print_of_file, self._load(name, stat.st_size, first))
                found[name] = known
        keys: dict[str, SigningKey] = {}
        for _, key in found.values():
            # A private key with its public one beside it is one key.
            if key is not None and (key.private or key.kid not in keys):
                keys[key.kid] = key
        self._files = found
        if not keys and self._keys:
            log.error("no_keys_left", folder=str(self._path))
            return
        self._keys = keys

    def _load(self, name: str, size: int, first: bool) -> SigningKey | None:
        try:
            if size > LARGEST:
                raise ValueError("too large to be a key")
            key = load_key(self._path / name)
        except (ValueError, OSError) as error:
            log.warning("key_unusable", file=name, reason=str(error)[:200])
            return None
        # What a file says of its age is believed only at the start: a copy may look old.
        since = min(key.since, time.time()) if first else time.time()
        return SigningKey(key.kid, key.public, key.private, since)


def add_key(folder: Path) -> str:
    """Put a new key into the folder, last by name; its kid. Never seen half written.

    Raises OSError.
    """
    at = datetime.now(UTC)
    kid = f"{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    waiting = folder / f".{kid}.new"
    handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new_private_key())
            file.flush()
            os.fsync(file.fileno())
        waiting.rename(folder / f"{kid}.pem")
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    return kid


def keys_in(folder: Path) -> tuple[list[SigningKey], list[str]]:
    """The keys in a folder by kid, and the names of files that are none. Raises OSError."""
    keys, broken = [], []
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".pem"):
            try:
                keys.append(load_key(path))
            except (ValueError, OSError):
                broken.append(path.name)
    return sorted(keys, key=lambda key: (key.kid, key.private is None)), broken


def superseded_at(key: SigningKey, keys: Iterable[SigningKey], published: float) -> float | None:
    """From when on nobody signs with a key: the next one is published then."""
    later = [each.since for each in keys if each.private and each.kid > key.kid]
    return min(later) + published if later else None
