"""Time-based one-time passwords (RFC 6238) and the codes that stand in for them."""

from __future__ import annotations

import hmac
import secrets

import pyotp

from contracts.sealed import unseal
from handlers.auth.documents import SecondFactor
from infra.random_tokens import digest_of

STEP = 30
"""Seconds a code is shown."""
DRIFT = 1
"""Steps that a clock may be early or late."""
RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what is read as something else."""
_GROUPS, _GROUP = 4, 4


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 recommends."""
    return pyotp.random_base32(32)


def uri_of(secret: str, email: str, issuer: str) -> str:
    """What an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def step_of(secret: str, otp: str, at: float, *, after: int) -> int | None:
    """The time step whose code this is, if it is later than ``after``; else None."""
    digits = otp.replace(" ", "")
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    totp = pyotp.TOTP(secret, interval=STEP)
    current = int(at // STEP)
    fits = [
        step
        for step in range(current - DRIFT, current + DRIFT + 1)
        if hmac.compare_digest(totp.generate_otp(step), digits) and step > after
    ]
    return min(fits, default=None)


def new_recovery_codes() -> list[str]:
    """Codes of 79 random bits each, such as ``abcd-efgh-jkmn-pqrs``."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_digest(code: str) -> str:
    """What is stored of a recovery code, however it was typed."""
    return digest_of("".join(code.split()).replace("-", "").lower())


def take_code(factor: SecondFactor, otp: str, at: float) -> bool:
    """Use up a code of the app, or a recovery code, if it is good; whether it was."""
    step = step_of(unseal(factor.secret), otp, at, after=factor.step)
    if step is not None:
        factor.step = step
        return True
    digest = recovery_digest(otp)
    if digest not in factor.recovery:
        return False
    factor.recovery = [each for each in factor.recovery if each != digest]
    return True
