"""Family and style of a font."""

from __future__ import annotations

from pathlib import Path

from fontTools.ttLib import TTFont

from infra.inspection.results import Facts

_CHARACTERS = 200


def inspect_font(path: Path) -> Facts:
    """Of the first font, in a collection. Raises whatever a broken font makes the reader raise."""
    with TTFont(path, lazy=True, fontNumber=0, checkChecksums=0) as font:
        names = font["name"]
        return Facts(
            font_family=_shown(names.getBestFamilyName()),
            font_style=_shown(names.getBestSubFamilyName()),
        )


def _shown(name: str | None) -> str | None:
    plain = "".join(each for each in name or "" if each.isprintable()).strip()
    return plain[:_CHARACTERS] or None
