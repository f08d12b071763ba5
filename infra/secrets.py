"""The process's keys, and what is derived from them."""

from __future__ import annotations

import base64

from redis.asyncio import Redis

from contracts import sealed
from infra.sessions import SessionStore
from infra.settings import Settings
from infra.signing import FileSigner, derive_key


class NoSealingKey(RuntimeError):
    """GRID8_SECRETS__KEYS is not set."""


def master_keys(settings: Settings) -> list[bytes]:
    """The sealing keys, 32 bytes each. Raises NoSealingKey."""
    keys = [base64.b64decode(key.get_secret_value()) for key in settings.secrets.keys]
    if not keys:
        raise NoSealingKey(
            "GRID8_SECRETS__KEYS is not set; ./scripts/up makes a key and sets it, elsewhere "
            "give every process the same 32 random bytes in base64"
        )
    return keys


def use_secrets(settings: Settings) -> None:
    """Let this process seal and open secrets."""
    sealed.use_keys([derive_key(key, "sealed") for key in master_keys(settings)])


def open_sessions(redis: Redis, settings: Settings) -> SessionStore:
    """The session store, with its token key."""
    return SessionStore(
        redis,
        derive_key(master_keys(settings)[0], "refresh tokens"),
        idle=settings.auth.session_idle,
        absolute=settings.auth.session_absolute,
        grace=settings.auth.refresh_grace,
    )


def file_signer(settings: Settings) -> FileSigner:
    """The signer of URLs of files, which begin with the CDN where there is one."""
    own = [key.get_secret_value().encode() for key in settings.store.url_keys]
    keys = own or [derive_key(key, "file urls") for key in master_keys(settings)]
    return FileSigner(
        settings.files_url, keys, settings.store.url_ttl, settings.files.transform_side
    )


def sender_keys(settings: Settings) -> list[bytes]:
    """Prove who sent a command: the first makes proofs, all check them."""
    return [derive_key(key, "senders") for key in master_keys(settings)]


def fingerprint_key(settings: Settings) -> bytes:
    """Keys the digests of request bodies, which may hold passwords."""
    return derive_key(master_keys(settings)[0], "fingerprints")
