"""Lock what is written beside its target until it is whole; remove what killed processes left of that.

Invariants: a process keeps its draft locked while it fills it, and the kernel drops the lock with the process.
So an unlocked draft that has not changed for a minute belongs to nobody. Only files and folders of the caller's
own user are removed, and only by their full name; none where the system or the file system has no such locks.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exptrack.database.file_locks import lock_draft
from exptrack.new_files import DRAFT_PREFIX

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = re.compile(re.escape(DRAFT_PREFIX) + "[0-9a-f]{16}")
GRACE_S = 60.0  # a draft is not locked for an instant after it was made, and before it gets its place
SIDES = ("-wal", "-shm", "-journal")  # that SQLite makes beside a draft which is an archive
TO_LOCK = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def locked(name: str, folder: int | None) -> Iterator[None]:
    """Keep a draft, a file or folder, locked inside the block; `folder` is the descriptor of where it lies."""
    if folder is None:
        yield
        return
    descriptor = os.open(name, TO_LOCK, dir_fd=folder)
    try:
        lock_draft(descriptor)
        yield
    finally:
        os.close(descriptor)


def remove_draft(name: str, folder: int | None) -> None:
    """Remove a draft that is a file, and first what SQLite left beside it: alone, that would tell nothing."""
    for ending in SIDES:
        with suppress(FileNotFoundError):
            os.unlink(f"{name}{ending}", dir_fd=folder)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def remove_dead_drafts(folder: int | None) -> None:
    """Remove the drafts in an open folder whose processes were killed. A draft that cannot be removed stays."""
    if fcntl is None or folder is None:
        return
    with suppress(OSError):  # a folder that may be entered but not listed
        for name in [name for name in os.listdir(folder) if NAME.fullmatch(name)]:
            with suppress(OSError):
                _remove_if_dead(name, folder)


def _remove_if_dead(name: str, folder: int) -> None:
    status = os.lstat(name, dir_fd=folder)
    is_folder = stat.S_ISDIR(status.st_mode)
    fresh = time.time() - status.st_mtime < GRACE_S
    if fresh or status.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(status.st_mode)):
        return
    descriptor = os.open(name, TO_LOCK, dir_fd=folder)
    try:
        if lock_draft(descriptor):
            if is_folder:
                shutil.rmtree(name, dir_fd=folder)
            else:
                remove_draft(name, folder)
    finally:
        os.close(descriptor)
