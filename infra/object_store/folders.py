"""Folders whose names are known to last, so that they are synced once and not for every file."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

_MOST = 64


class LastingFolders:
    """Keeps the folders it knows open, the most recent ones. Used by any number of threads.

    While a folder is open no other can have its inode, so one that was removed and made anew,
    by whichever process, is told apart from the one that was synced.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()

    def settle(self, folder: Path, root: Path) -> None:
        """Make what was put into ``folder`` last, and the folder with all above it to ``root``."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return  # the object was deleted at once: then nothing is to last
        try:
            os.fsync(descriptor)
            if self._lasts(folder, descriptor):
                return
            above = folder
            # All of them: another writer may have made one and not yet synced it.
            while above != root:
                above = above.parent
                with suppress(FileNotFoundError):
                    sync_folder(above)
            descriptor = self._keep(folder, descriptor)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _lasts(self, folder: Path, descriptor: int) -> bool:
        with self._lock:
            known = self._open.get(folder)
            if known is None or not os.path.sameopenfile(known, descriptor):
                return False
            self._open.move_to_end(folder)
            return True

    def _keep(self, folder: Path, descriptor: int) -> int:
        """What is to be closed instead of ``descriptor``; -1 for nothing."""
        with self._lock:
            before = self._open.pop(folder, -1)
            self._open[folder] = descriptor
            if len(self._open) > _MOST:
                os.close(self._open.popitem(last=False)[1])
            return before

    def close(self) -> None:
        """Forget them all."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])


def sync_folder(folder: Path) -> None:
    """Raises FileNotFoundError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
