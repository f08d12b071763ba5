"""The process that looks into one file, which a hostile file may take down.

``python -m infra.inspection.process`` reads one JSON object from standard input (path, what,
limits, seconds, memory) and prints one: ``{"facts": …}``, ``{"rejected": [code, detail]}`` or,
where the reader of a document, font or recording gave up, ``{"unreadable": …}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.inspection.results import ArchiveLimits, Facts, FileRejected


def main() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a reader prints is no answer
    request = json.load(sys.stdin)
    _bound(int(request["seconds"]), int(request["memory"]))
    answer = json.dumps(_answer(request)).encode()
    while answer:
        answer = answer[os.write(answers, answer) :]
    # At once: readers of broken files may fail again while they are taken down.
    os._exit(0)


def _bound(seconds: int, memory: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        facts = _look_into(request["what"], Path(request["path"]), request["limits"])
    except FileRejected as rejected:
        return {"rejected": [rejected.code, rejected.detail]}
    except FileNotFoundError:
        raise
    except Exception as error:
        # A broken document has no facts; it is kept all the same.
        return {"unreadable": f"{type(error).__name__}: {error}"[:500]}
    return {"facts": asdict(facts)}


def _look_into(what: str, path: Path, limits: dict[str, int]) -> Facts:
    # Imported where they are needed: each takes longer to import than most files to read.
    if what == "zip":
        from infra.inspection.archives import inspect_zip

        return inspect_zip(path, ArchiveLimits(**limits))
    if what == "pdf":
        from infra.inspection.documents import inspect_pdf

        return inspect_pdf(path)
    if what == "font":
        from infra.inspection.fonts import inspect_font

        return inspect_font(path)
    if what == "recording":
        from infra.inspection.recordings import inspect_recording

        return inspect_recording(path)
    from infra.inspection.pictures import inspect_picture

    return inspect_picture(path)


if __name__ == "__main__":
    main()
