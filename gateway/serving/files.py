"""Files by signed URL: Range, conditional requests, immutable caching, names for downloads."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contracts.asset.errors import FileNotFound, FileUrlExpired, FileUrlInvalid
from contracts.errors import DomainError
from gateway.limits import parse_parameters
from gateway.serving.disposition import disposition, media_type_of
from gateway.serving.finding import find_object
from gateway.serving.sending import Shown, send_object
from gateway.state import Gateway
from infra.signing import Purpose, SignatureExpired, SignatureInvalid

Expires = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,10}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class SignedParameters(BaseModel):
    """The signed part of a file's URL: take it as it comes."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    expires: Expires
    sig: Signature


P = TypeVar("P", bound=SignedParameters)


class FileParameters(SignedParameters):
    """The signed part of a file's URL: take it as it comes."""

    type: Annotated[str, Field(max_length=127)]
    name: Annotated[str, Field(max_length=1024)]
    download: Literal["1"] | None = None


async def get_file(request: web.Request, gateway: Gateway, _: None) -> web.StreamResponse:
    """A file by the signed URL that a view gave out."""
    given, left = signed_parameters(request, gateway, "file", FileParameters)
    stat = await find_object(gateway.store, request.match_info["key"])
    if stat is None:
        raise FileNotFound()
    media_type = media_type_of(given.type)
    shown = disposition(given.name, media_type, download=given.download is not None)
    return await send_object(request, gateway, stat, Shown(media_type, shown, left))


def signed_parameters(
    request: web.Request, gateway: Gateway, purpose: Purpose, model: type[P]
) -> tuple[P, int]:
    """What a signed URL says, and for how many seconds it is still good.

    Raises FileUrlInvalid, whatever is wrong with it, and FileUrlExpired.
    """
    try:
        given = model(**parse_parameters(request, model))
        left = gateway.signer.check(purpose, request.match_info["key"], request.query)
    except SignatureExpired as error:
        raise FileUrlExpired() from error
    except (DomainError, SignatureInvalid, ValueError) as error:
        raise FileUrlInvalid() from error
    return given, left
