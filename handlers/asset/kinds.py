"""What files are taken for, which are taken at all, and under which name they are given out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from contracts.asset.errors import TypeForbidden
from contracts.asset.types import AssetKind
from infra.inspection import is_inspected
from infra.media import Sniffed, sniff
from infra.media_table import ALL
from infra.programs import promises_program

TAKEN = (
    "Images, video, audio, fonts, documents, archives, HTML5 ads as ZIP and other data are taken"
)

# Names in use beside the one a type is given here.
_ALSO = {
    "image/jpeg": "jpeg jpe jfif",
    "image/tiff": "tif",
    "image/heic": "heif hif",
    "image/bmp": "dib",
    "video/mp4": "m4v 3gp 3g2 f4v",
    "video/quicktime": "qt",
    "video/mpeg": "mpeg mpe vob m2v m1v",
    "video/mp2t": "m2ts mts",
    "video/x-ms-asf": "wmv wma",
    "video/x-matroska": "mka mks",
    "video/webm": "weba",
    "audio/mpeg": "mp2 mpga",
    "audio/ogg": "oga opus spx",
    "audio/mp4": "m4b m4p mp4 aac",
    "audio/aiff": "aif aifc",
    "audio/wav": "wave",
    "audio/midi": "midi",
    "font/collection": "otc",
    "font/ttf": "otf dfont",
    "font/otf": "ttf",
    "application/pdf": "ai",
    "application/postscript": "ai epsf",
    "application/gzip": "tgz",
    "application/x-ole-storage": "doc xls ppt",
    "image/vnd.adobe.photoshop": "psdt",
    "text/plain": "ts",
}

_BUILT_UPON = frozenset(
    {
        "text/plain",
        "application/zip",
        "application/gzip",
        "application/x-tar",
        "application/x-ole-storage",
        "video/x-ms-asf",
    }
)


def _extensions() -> dict[str, list[str]]:
    """Those each media type goes by, the usual one first."""
    known: dict[str, list[str]] = {}
    for found in ALL:
        known.setdefault(found.media_type, []).append(found.extension)
    for media_type, also in _ALSO.items():
        known[media_type].extend(also.split())
    known["text/plain"].sort(key=lambda extension: extension != "txt")
    return known


_EXTENSIONS = _extensions()
_KNOWN = frozenset(each for extensions in _EXTENSIONS.values() for each in extensions)


def admit(head: bytes, filename: str, *, forbidden: Sequence[str] = ()) -> Sniffed:
    """What a file is by its first bytes (HEAD_BYTES of them), before any are kept.

    ``forbidden`` are the kinds and media types of GRID8_ASSETS__FORBIDDEN. Raises
    TypeForbidden for what would run when it is opened, and for those.
    """
    found = sniff(head, filename)
    if found.program is not None:
        raise TypeForbidden(f"This is {found.program}. {TAKEN}.")
    group = found.media_type.partition("/")[0] + "/*"
    if not {found.kind, found.media_type.lower(), group}.isdisjoint(
        each.lower() for each in forbidden
    ):
        raise TypeForbidden(
            f"This is {found.media_type} ({found.kind}), which is not taken here; neither is: "
            f"{', '.join(forbidden)}."
        )
    return found


def tells_more(kind: AssetKind, media_type: str) -> bool:
    """Whether looking into a file tells more than its first bytes did."""
    return kind == "image" or is_inspected(media_type) is not None


def served_name(name: str, media_type: str) -> str:
    """The name a file is given out under: its own, with an extension that tells the truth.

    The extension of another known type is replaced; an unknown one stays, before the right one
    where the bytes are a picture or the like, and alone where they are text, a package or
    unknown, on which formats with names of their own are built (README, .srt, .sketch, .blend).
    """
    suffix = PurePath(name).suffix
    given = suffix[1:].lower()
    if media_type == "application/octet-stream":
        return f"{name}.bin" if promises_program(given) else name
    fitting = _EXTENSIONS.get(media_type)
    if fitting is None or given in fitting:
        return name
    if given in _KNOWN:
        name = name[: -len(suffix)]
    elif media_type in _BUILT_UPON and not promises_program(given):
        return name
    return f"{name}.{fitting[0]}"


def picture_name(name: str, made: str) -> str:
    """The name a picture made of an asset is saved under: ``beach.jpg`` as ``beach-320.webp``."""
    suffix = PurePath(name).suffix
    stem = name[: -len(suffix)] if suffix[1:].lower() in _KNOWN else name
    return f"{stem}-{made}"
