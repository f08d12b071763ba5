"""A secret that is encrypted whenever it is serialised.

In memory it is a value behind ``reveal()``; in JSON it is AES-256-GCM ciphertext; in a
``repr`` it is dots. Which keys apply is set once per process by ``use_keys``.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T", bound=str)

_PREFIX = "sealed.v1."
_PURPOSE = b"grid8 sealed v1"
_NONCE, _TAG = 12, 16
_keys: list[AESGCM] = []

OPEN = {"sealed": True}
"""Validation context of a message from the bus: strings are ciphertext."""
REVEAL = {"reveal": True}
"""Serialisation context of an HTTP answer to the one whose secret it is."""


class UnsealableError(ValueError):
    """The ciphertext was made with no known key, or was changed."""


def use_keys(keys: Sequence[bytes]) -> None:
    """Set this process's keys, 32 bytes each: the first seals, all open."""
    _keys[:] = [AESGCM(key) for key in keys]


def seal(text: str) -> str:
    """Encrypt with the first key. Raises RuntimeError when no keys were set."""
    if not _keys:
        raise RuntimeError("no sealing keys: call contracts.sealed.use_keys at start")
    nonce = os.urandom(_NONCE)
    return _PREFIX + base64.urlsafe_b64encode(
        nonce + _keys[0].encrypt(nonce, text.encode(), _PURPOSE)
    ).decode().rstrip("=")


def unseal(sealed: str) -> str:
    """Decrypt with whichever key fits. Raises UnsealableError."""
    if not sealed.startswith(_PREFIX):
        raise UnsealableError("not a sealed value")
    body = sealed.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise UnsealableError("not a sealed value") from error
    if len(raw) < _NONCE + _TAG:
        raise UnsealableError("too short to be a sealed value")
    for key in _keys:
        try:
            return key.decrypt(raw[:_NONCE], raw[_NONCE:], _PURPOSE).decode()
        except InvalidTag:
            continue
    raise UnsealableError("no known key opens this value")


class Sealed(Generic[T]):
    """A secret string. ``Sealed[str]`` takes any; ``Sealed[Password]`` validates what is inside."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The secret itself: to be used, never stored or logged."""
        return self._value

    def __repr__(self) -> str:
        return "Sealed(•••)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler.generate_schema((get_args(source) or (str,))[0])

        def read(value: Any, validate: Any, info: core_schema.ValidationInfo) -> Sealed[Any]:
            if isinstance(value, Sealed):
                return value
            if info.context == OPEN and isinstance(value, str):
                # Checked when it was sealed; a rule made stricter since must not strand it.
                return cls(unseal(value))  # type: ignore[arg-type]
            return cls(validate(value))

        def write(value: Sealed[Any], info: core_schema.SerializationInfo) -> str:
            return value.reveal() if info.context == REVEAL else seal(value.reveal())

        return core_schema.with_info_wrap_validator_function(
            read,
            inner,
            serialization=core_schema.plain_serializer_function_ser_schema(
                write, info_arg=True, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema["schema"]), "format": "password"}
