"""The rendering process: one JSON request per line in, one answer per line out.

Lines of progress come before the answer.

``python -m infra.images.worker <bytes>``, where bytes is how much address space it may take
beyond what it has once it is ready.
"""

from __future__ import annotations

import gc
import json
import os
import queue
import resource
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import pyvips

from infra.images.geometry import Wanted
from infra.images.render import render
from infra.images.results import ImageRejected, Limits, to_wire
from infra.images.transform import transform


def main() -> None:
    answers = _own_stdout()
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    pyvips.cache_set_max(0)
    _warm_up()
    _bound_memory(int(sys.argv[1]))
    _answer(answers, {"ready": True})
    while True:
        request = json.loads(requests.get())
        _answer(answers, _handled(request, answers))
        gc.collect()


def _handled(request: dict[str, Any], answers: int) -> dict[str, Any]:
    def made(done: int, total: int) -> None:
        _answer(answers, {"progress": [done, total]})

    try:
        limits = Limits(**request["limits"])
        source, into = Path(request["source"]), Path(request["into"])
        if "wanted" in request:
            return {"made": transform(source, into, limits, Wanted(**request["wanted"]))}
        rendered = render(source, into, limits, made)
    except ImageRejected as rejected:
        return {"rejected": [rejected.code, rejected.detail]}
    except (MemoryError, RecursionError):
        detail = "Decoding the image takes more memory than is allowed."
        return {"rejected": ["asset.image_too_large", detail]}
    except OSError as error:
        return {"os_error": [error.errno, str(error)]}
    except Exception:
        # Not the image's fault but ours: it must not be told to the image's owner.
        return {"error": traceback.format_exc(limit=8)[:10_000]}
    return {"rendered": to_wire(rendered)}


def _own_stdout() -> int:
    """Keep stdout for answers: whatever else prints goes to stderr."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _listen(requests: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    # The parent is gone, however it went, or wants this process gone: at once, even
    # in the middle of an image.
    os._exit(0)


def _warm_up() -> None:
    """Start what is started once, so that it does not count as the first image's memory."""
    dot = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb")
    for save in ("webpsave_buffer", "jpegsave_buffer", "pngsave_buffer", "gifsave_buffer"):
        getattr(dot.thumbnail_image(16), save)()


def _bound_memory(growth: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + growth
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(to: int, answer: dict[str, Any]) -> None:
    line = memoryview(json.dumps(answer).encode() + b"\n")
    while line:
        line = line[os.write(to, line) :]


if __name__ == "__main__":
    main()
