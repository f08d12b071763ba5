"""Keys that a development machine makes for itself once, and keeps."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.embedded.errors import CannotStartError


def sealing_key(file: Path) -> str:
    """The sealing key kept in this file, 32 bytes in base64; made there when there is none."""
    if not file.exists():
        _keep(file, base64.b64encode(secrets.token_bytes(32)) + b"\n")
    text = file.read_text(encoding="ascii", errors="replace").strip()
    try:
        sound = len(base64.b64decode(text, validate=True)) == 32
    except binascii.Error:
        sound = False
    if not sound:
        raise CannotStartError(
            f"{file} does not hold a sealing key (32 bytes in base64); restore it, or delete it to get a new one."
        )
    return text


def jwt_key(folder: Path) -> Path:
    """The ES256 key that signs: the last private ``<kid>.pem`` of the folder, made when there is none."""
    kept = sorted(file for file in folder.glob("*.pem") if not file.name.endswith(".pub.pem"))
    if kept:
        return kept[-1]
    kid = f"{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(3)}"
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / f"{kid}.pem"
    _keep(file, pem)
    return file


def _keep(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    try:
        # A link, unlike a rename, never replaces a key another process kept first.
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
