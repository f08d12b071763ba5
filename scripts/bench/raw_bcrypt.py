"""``python -m scripts.bench.raw_bcrypt cost threads seconds``: checks a second, and nothing else."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import bcrypt


def run(cost: int, threads: int, seconds: float) -> float:
    """bcrypt.checkpw on so many threads, for so long."""
    password = b"x" * 44
    known = bcrypt.hashpw(password, bcrypt.gensalt(cost))
    started = time.perf_counter()

    def check(_: int) -> int:
        done = 0
        while time.perf_counter() - started < seconds:
            assert bcrypt.checkpw(password, known)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(check, range(threads)))
    return done / (time.perf_counter() - started)


if __name__ == "__main__":
    print(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
