"""Access tokens: JWTs signed with ES256."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from jose import jws, jwt
from jose.exceptions import JOSEError

from infra.settings import AuthSettings
from infra.signing_keys import ALGORITHM, KeyFolder
from infra.signing_keys import new_private_key as new_private_key

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
    impersonator: str | None = None
    """The platform admin who acts in the user's name (``act``, RFC 8693)."""
    kid: str = ""


class KeyRing:
    """Signs and verifies with the keys in a folder, as it is now: see ``KeyFolder``.

    Raises FileNotFoundError or ValueError when the folder has no usable key.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._folder = KeyFolder(settings.keys_folder, published=settings.key_published)
        self._seen: OrderedDict[str, Claims] = OrderedDict()

    def sign(
        self,
        user: str,
        session: str,
        *,
        impersonator: str | None = None,
        life: int | None = None,
    ) -> str:
        """A new access token, of the usual ``life`` unless given.

        Raises LookupError when only public keys are here.
        """
        kid, key = self._folder.signing()
        issued = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._settings.issuer,
            "aud": self._settings.audience,
            "sub": user,
            "sid": session,
            "iat": issued,
            "nbf": issued,
            "exp": issued + (self._settings.access_ttl if life is None else life),
        }
        if impersonator is not None:
            claims["act"] = {"sub": impersonator}
        token: str = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE})
        return token

    def verify(self, token: str) -> Claims:
        """What the token says. Raises TokenInvalid with a reason fit for a log."""
        if len(token) > LONGEST:
            raise TokenInvalid("too long")
        claims = self._seen.get(token)
        if claims is not None and self._folder.public(claims.kid) is None:
            del self._seen[token]
            claims = None
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
            key = self._folder.public(kid)
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
            impersonator = payload["act"]["sub"] if "act" in payload else None
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
        if not isinstance(impersonator, str | None):
            raise TokenInvalid("an actor of the wrong type")
        if issued > time.time() or expires - issued > LONGEST_LIFE:
            raise TokenInvalid("issued in the future, or for too long")
        return Claims(user, session, expires, impersonator, kid)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517)."""
        keys = []
        for kid, key in sorted(self._folder.all_public().items()):
            jwk = {
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in key.to_dict().items()  # type: ignore[no-untyped-call]
            }
            keys.append({**jwk, "kid": kid, "use": "sig", "alg": ALGORITHM})
        return {"keys": keys}
