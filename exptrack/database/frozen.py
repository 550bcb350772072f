"""Read a file without a WAL as immutable, and notice when a process begins to write it meanwhile.

A reader who may not write the file must not let SQLite make ``-wal`` and ``-shm`` in the reader's name: their
owner could then write the archive no longer. So such a reader takes no locks at all. It looks at the file after
each query and asks again if the file has changed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable

from exptrack.errors import ArchiveLockedError, ExptrackError
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")


TRIES = 200
PAUSE_S = 0.005


class Look(NamedTuple):
    """What a look at the file shows; two equal ones mean that nothing was written between them."""

    device: int
    inode: int
    modified_ns: int
    size: int


def look_at(path: str | os.PathLike[str]) -> Look | None:
    """Look at a file that can be read as immutable; None if it is gone or something is in its WAL."""
    if wal_bytes(path):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Look(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def wal_bytes(path: str | os.PathLike[str]) -> int:
    """Return the size of the WAL beside the real file; 0 if there is none."""
    try:
        return os.stat(f"{os.path.realpath(path)}-wal").st_size
    except OSError:
        return 0


def side_files_exist(real: str) -> bool:
    """Whether both side files stand beside the file, so that SQLite makes none."""
    return os.path.exists(f"{real}-wal") and os.path.exists(f"{real}-shm")


def run_unchanged(
    path: str | os.PathLike[str],
    seen: Callable[[], Look | None],
    reopen: Callable[[], None],
    read: Callable[[], _T],
) -> _T:
    """Call `read` until the file does not change meanwhile; call `reopen` before each repetition.

    `seen` tells how the file looked when it was opened; None if it was not opened as immutable.

    Raises:
        ArchiveLockedError: the file changed 200 times in a row.
    """
    for _ in range(TRIES):
        try:
            result = read()
        except (sqlite3.Error, ExptrackError):
            if seen() is None or seen() == look_at(path):
                raise
        else:
            if seen() is None or seen() == look_at(path):
                return result
        reopen()
        time.sleep(PAUSE_S)
    raise ArchiveLockedError(
        f"{path} is being written by a process that keeps no log beside it; try again when it has ended",
        path=str(path),
    )
