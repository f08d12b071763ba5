"""Access tokens: JWTs signed with ES256, and the public keys that verify them."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jws, jwt
from jose.backends.cryptography_backend import CryptographyECKey
from jose.exceptions import JOSEError

from infra.settings import AuthSettings

ALGORITHM = "ES256"
TYPE = "at+jwt"
LONGEST = 4096
"""Characters of the longest token that is looked at."""
REMEMBERED = 10_000
LONGEST_LIFE = 86_400
"""Seconds; what GRID8_AUTH__ACCESS_TTL may be at most."""
_HEADER = {"alg", "kid", "typ"}
# 64 bytes of signature, whose last character has four bits that say nothing: none has another
# spelling, and nothing that base64 decoders pass over is passed over.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]", re.ASCII)


class TokenInvalid(Exception):
    """The token is not one of ours, or not any more."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says."""

    user: str
    session: str
    expires: int


def new_private_key() -> bytes:
    """A new P-256 key as PEM (PKCS #8)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class KeyRing:
    """The keys in a folder: ``<kid>.pem`` signs and verifies, ``<kid>.pub.pem`` verifies.

    The private key that is last by name signs, so a new key is added before an old one is
    removed. Raises FileNotFoundError or ValueError when the folder has no usable key.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._public: dict[str, CryptographyECKey] = {}
        self._private: dict[str, CryptographyECKey] = {}
        self._seen: OrderedDict[str, Claims] = OrderedDict()
        self._load(settings.keys_folder)
        if not self._public:
            raise FileNotFoundError(f"no *.pem key in {settings.keys_folder}")

    def _load(self, folder: Path) -> None:
        for path in sorted(folder.glob("*.pem")):
            pem = path.read_bytes()
            if path.name.endswith(".pub.pem"):
                self._public[path.name.removesuffix(".pub.pem")] = CryptographyECKey(pem, ALGORITHM)
                continue
            key = serialization.load_pem_private_key(pem, password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
                raise ValueError(f"{path} is not a P-256 key")
            self._private[path.stem] = CryptographyECKey(key, ALGORITHM)
            self._public[path.stem] = CryptographyECKey(key.public_key(), ALGORITHM)

    def sign(self, user: str, session: str) -> str:
        """A new access token. Raises LookupError when only public keys are here."""
        if not self._private:
            raise LookupError("there is no private key to sign with")
        kid = max(self._private)
        issued = int(time.time())
        claims = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": user,
            "sid": session,
            "iat": issued,
            "nbf": issued,
            "exp": issued + self._settings.access_ttl,
        }
        token: str = jwt.encode(
            claims, self._private[kid], algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE}
        )
        return token

    def verify(self, token: str) -> Claims:
        """What the token says. Raises TokenInvalid with a reason fit for a log."""
        if len(token) > LONGEST:
            raise TokenInvalid("too long")
        claims = self._seen.get(token)
        if claims is None:
            claims = self._verify(token)
            self._seen[token] = claims
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        if claims.expires <= time.time():
            self._seen.pop(token, None)
            raise TokenInvalid("expired")
        return claims

    def _verify(self, token: str) -> Claims:
        if not _FORM.fullmatch(token):
            raise TokenInvalid("not a JWS in compact form with a signature of ours")
        try:
            header = jws.get_unverified_header(token)
            if header.keys() != _HEADER or header["typ"] != TYPE:
                raise TokenInvalid("not an access token (RFC 9068), or more in the header")
            kid = header["kid"]
            if header["alg"] != ALGORITHM or not isinstance(kid, str):
                raise TokenInvalid("another algorithm, or no kid")
            key = self._public.get(kid)
            if key is None:
                raise TokenInvalid("unknown kid")
            payload = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options={
                    **{
                        f"require_{name}": True
                        for name in ("exp", "iat", "nbf", "sub", "aud", "iss")
                    },
                    "leeway": 0,
                },
            )
            user, session, expires = payload["sub"], payload["sid"], payload["exp"]
            issued, begins, audience = payload["iat"], payload["nbf"], payload["aud"]
        except TokenInvalid:
            raise
        except (
            JOSEError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise TokenInvalid(str(error)) from error
        if not all(isinstance(each, str) for each in (user, session, audience)):
            raise TokenInvalid("claims of the wrong type")
        if not all(type(each) is int for each in (expires, issued, begins)):
            raise TokenInvalid("times of the wrong type")
        if issued > time.time() or expires - issued > LONGEST_LIFE:
            raise TokenInvalid("issued in the future, or for too long")
        return Claims(user, session, expires)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517)."""
        keys = []
        for kid, key in sorted(self._public.items()):
            jwk = {
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in key.to_dict().items()  # type: ignore[no-untyped-call]
            }
            keys.append({**jwk, "kid": kid, "use": "sig", "alg": ALGORITHM})
        return {"keys": keys}
