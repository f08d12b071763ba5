"""Facts of files that are not drawn: archives, documents, fonts, video and audio."""

from __future__ import annotations

from infra.inspection.inspector import Inspector, is_inspected
from infra.inspection.results import Facts, FileRejected

__all__ = ["Facts", "FileRejected", "Inspector", "is_inspected"]
