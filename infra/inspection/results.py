"""What looking into a file finds."""

from __future__ import annotations

from dataclasses import dataclass

from infra.settings import AssetSettings


@dataclass(frozen=True)
class Facts:
    """What is known of a file; None where it is not told, or could not be read.

    ``width`` and ``height`` are pixels, of a PDF's first page points (1/72 inch), of an HTML5
    ad CSS pixels; ``duration`` is seconds; ``html5`` is whether a ZIP is an ad.
    """

    width: int | None = None
    height: int | None = None
    duration: float | None = None
    pages: int | None = None
    font_family: str | None = None
    font_style: str | None = None
    entries: int | None = None
    unpacked_bytes: int | None = None
    html5: bool = False


@dataclass(frozen=True)
class ArchiveLimits:
    """``ratio`` is unpacked bytes ÷ the archive's own, past the first 64 MiB."""

    entries: int
    bytes: int
    ratio: int

    @classmethod
    def of(cls, settings: AssetSettings) -> ArchiveLimits:
        return cls(settings.archive_entries, settings.archive_bytes, settings.archive_ratio)


class FileRejected(Exception):
    """The file ends ``failed``. ``code`` is for programs, ``detail`` for who uploaded it.

    Codes: asset.archive_corrupt, asset.archive_bomb, asset.archive_unsafe,
    asset.archive_too_large, asset.type_forbidden, asset.inspection_timeout.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
