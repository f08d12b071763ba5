"""Pages of a PDF, and how large the first one is."""

from __future__ import annotations

import logging
from pathlib import Path

from pypdf import PdfReader

from infra.inspection.results import Facts

_LARGEST = 200_000
"""Points a page may have in the view; a PDF page ends at 14,400 times its user unit."""


def inspect_pdf(path: Path) -> Facts:
    """Nothing of an encrypted one. Raises whatever a broken PDF makes the reader raise."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with path.open("rb") as file:
        reader = PdfReader(file, strict=False)
        if reader.is_encrypted:
            return Facts()
        pages = reader.get_num_pages()
        if pages < 1:
            return Facts()
        page = reader.pages[0]
        unit = float(page.user_unit)
        width, height = (round(float(each) * unit) for each in page.cropbox[2:4])
        left, bottom = (round(float(each) * unit) for each in page.cropbox[0:2])
        width, height = abs(width - left), abs(height - bottom)
        if int(page.rotation) % 180:
            width, height = height, width
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        return Facts(pages=pages)
    return Facts(pages=pages, width=width, height=height)
