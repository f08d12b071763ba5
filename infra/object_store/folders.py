"""Folders whose names are known to last, so that they are synced once and not for every file."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

_MOST = 64


@dataclass(slots=True, eq=False)
class _Known:
    """A folder that is kept open. ``users`` are syncing it now; ``kept`` is False once it is
    forgotten, and whoever is the last to use it closes it."""

    descriptor: int
    identity: tuple[int, int]
    users: int = 0
    kept: bool = True


class LastingFolders:
    """Keeps the folders it knows open, the most recent ones. Used by any number of threads.

    While a folder is open no other can have its inode, so one that was removed and made anew,
    by whichever process, is told apart from the one that was synced.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def settle(self, folder: str, root: str) -> None:
        """Make what was put into ``folder`` last, and the folder with all above it to ``root``."""
        try:
            if self._settled(folder):
                return
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return  # the object was deleted at once: then nothing is to last
        try:
            os.fsync(descriptor)
            above = folder
            # All of them: another writer may have made one and not yet synced it.
            while above != root:
                above = os.path.dirname(above)
                with suppress(FileNotFoundError):
                    sync_folder(above)
            known = _Known(descriptor, _identity(os.fstat(descriptor)))
        except BaseException:
            os.close(descriptor)
            raise
        self._keep(folder, known)

    def _settled(self, folder: str) -> bool:
        """Sync a folder that is known, where it is the one in that place. Whether it was."""
        with self._lock:
            known = self._open.get(folder)
            if known is None:
                return False
            self._open.move_to_end(folder)
            known.users += 1
        try:
            if _identity(os.stat(folder)) != known.identity:
                return False
            os.fsync(known.descriptor)
            return True
        finally:
            with self._lock:
                known.users -= 1
                self._close(known)

    def _keep(self, folder: str, known: _Known) -> None:
        with self._lock:
            self._forget(self._open.pop(folder, None))
            self._open[folder] = known
            if len(self._open) > _MOST:
                self._forget(self._open.popitem(last=False)[1])

    def _forget(self, known: _Known | None) -> None:
        if known is not None:
            known.kept = False
            self._close(known)

    def _close(self, known: _Known) -> None:
        if not known.kept and not known.users:
            os.close(known.descriptor)

    def close(self) -> None:
        """Forget them all."""
        with self._lock:
            while self._open:
                self._forget(self._open.popitem()[1])


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def sync_folder(folder: str) -> None:
    """Raises FileNotFoundError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
