"""Bring bytes that were written to disk: while more are written, or many files by one call.

Invariants: nothing here leaves an error of the disk untold. One call for a whole file system stands for a sync
of each file only where it is known to wait for all of them, and to tell of a write that failed.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import cache
from typing import Any

from exptrack.database.filesystem import find_file_system
from exptrack.helper_threads import Helper, Outcome

EARLY_BYTES = 8 * 1024 * 1024
FEW_FILES = 32  # to sync so many takes less than what others may have written to the same file system
# On others it may not reach the disk (FUSE), or may not tell of an error (overlays).
TRUSTED = frozenset("bcachefs btrfs ext2 ext3 ext4 f2fs jfs tmpfs xfs".split())
TELLS_OF_ERRORS = (5, 8)  # the Linux from which on syncfs() does
sync_data = getattr(os, "fdatasync", os.fsync)


class EarlySync:
    """Syncs a file in a thread, each time that 8 MiB more were written to it, so that the disk works meanwhile.

    Use it as a context manager. After it, the caller syncs the file for what was written last.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stack = ExitStack()
        self._helper: Helper | None = None
        self._last: Outcome[None] | None = None
        self._waiting = 0

    def __enter__(self) -> EarlySync:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def note(self, written: int) -> None:
        """Take note of so many more bytes.

        Raises:
            OSError: an earlier sync failed.
        """
        self._waiting += written
        if self._waiting < EARLY_BYTES or (self._last is not None and not self._last.is_over):
            return
        self.wait()
        if self._helper is None:
            self._helper = self._stack.enter_context(Helper("exptrack-syncer"))
        self._waiting, self._last = 0, self._helper.submit(sync_data, self._descriptor)

    def wait(self) -> None:
        """Wait for the last of the syncs that began.

        Raises:
            OSError: one failed.
        """
        if self._last is not None:
            self._last.result()


def can_sync_all(folder: str | os.PathLike[str]) -> bool:
    """Whether :func:`sync_all` may stand for a sync of each file below this folder."""
    return _find_syncfs() is not None and find_file_system(folder) in TRUSTED


def sync_all(descriptor: int) -> None:
    """Sync the file system of an open folder, which was opened before the first of the writes.

    Raises:
        OSError: a write to it failed since the folder was opened.
    """
    import ctypes

    syncfs = _find_syncfs()
    assert syncfs is not None
    if syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@cache
def _find_syncfs() -> Any:
    if sys.platform != "linux" or _kernel() < TELLS_OF_ERRORS:
        return None
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)


def _kernel() -> tuple[int, ...]:
    """Return the first two numbers of the version of the kernel."""
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in os.uname().release.split(".")[:2])
