"""Refuse to open a file when the side files beside it belong to another one, or are no files.

SQLite finds the ``-wal`` and ``-shm`` by the name of the file. So it mixes two files if another was put in the
place of one that is open. And it writes two logs to one file that is open by two names: a hard link, or a mount
of the single file into a container.

The locks tell. Each process that has an archive open locks the file first, then its ``-shm``, and lets go of
them in the opposite order. So one is never locked for long without the other.

Invariants: this looks only, before SQLite opens anything. It knows nothing of processes that are dead, and
nothing where the system has no locks of open files.
"""

from __future__ import annotations

import os
import stat
import time

from exptrack.database import hold
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, ask_lock
from exptrack.database.hold import DEAD_MAN_BYTE, SHARED_BEGIN, SHARED_BYTES
from exptrack.errors import ArchiveIOError, ArchiveMovedError

PATIENCE_S = 2.0  # for a process that is just opening or closing the file
PAUSE_S = 0.005
_KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFSOCK: "a socket"}
SIDE_ENDINGS = ("-wal", "-shm", "-journal")
WAL_VERSIONS_AT, WAL_VERSIONS = 18, b"\2\2"  # in the main file: it is written and read by way of a WAL


def require_plain_side_files(place: str | os.PathLike[str]) -> None:
    """Refuse a FIFO, device, folder or link in the place of a side file: reading one may never end.

    Raises:
        ArchiveIOError: one stands there.
    """
    real = os.path.realpath(place)
    for ending in SIDE_ENDINGS:
        try:
            mode = os.lstat(f"{real}{ending}").st_mode
        except OSError:
            continue  # there is none
        if not stat.S_ISREG(mode):
            raise ArchiveIOError(
                f"{real}{ending} is {_KINDS.get(stat.S_IFMT(mode), 'a device')} and not a file, so SQLite"
                " cannot use it; move it away",
                path=real,
            )


def find_owner_of_side_file(place: str | os.PathLike[str]) -> str | None:
    """Return the name of the file of which SQLite would take a file at this place for a part; None if none."""
    folder, name = os.path.split(place)
    for ending in SIDE_ENDINGS:
        owner = name.removesuffix(ending)
        if owner and owner != name and os.path.lexists(os.path.join(folder, owner)):
            return owner
    return None


def require_own_side_files(place: str | os.PathLike[str]) -> None:
    """Refuse a file that is not the one to which the side files beside it belong.

    Raises:
        ArchiveMovedError: a process has a file open that stood here before, and whose WAL lies here. Or one has
            this file open by another name, with another WAL.
    """
    real = os.path.realpath(place)
    if not HAS_OPEN_FILE_LOCKS or hold.is_held(file_id(real)):
        return
    deadline = time.monotonic() + PATIENCE_S
    while (error := _find_contradiction(real)) is not None:
        if time.monotonic() > deadline:
            raise error
        time.sleep(PAUSE_S)


def _find_contradiction(real: str) -> Exception | None:
    opened: list[int] = []
    try:
        opened.append(_open(real))
        if os.pread(opened[0], 2, WAL_VERSIONS_AT) != WAL_VERSIONS:
            return None
        of_main = ask_lock(opened[0], SHARED_BEGIN, SHARED_BYTES)
        if os.path.exists(f"{real}-shm"):
            opened.append(_open(f"{real}-shm"))
        of_shm = ask_lock(opened[1], DEAD_MAN_BYTE, 1) if len(opened) > 1 else None
    except OSError:
        return None  # it is gone, or SQLite cannot read it either
    finally:
        for descriptor in opened:
            hold.close_if_harmless(descriptor)
    if of_shm is not None and of_main is None and not _has_open(of_shm, real):
        return ArchiveMovedError(
            f"{real} was put in the place of a file that a process still has open, whose -wal lies beside it;"
            " end that process, or move this file to another name",
            path=real,
        )
    if of_main is not None and of_shm is None and not _has_open(of_main, f"{real}-shm"):
        return ArchiveMovedError(
            f"{real} is open by another name, such as a hard link or a mount of the single file, where it has"
            " another -wal; open it by that name, or mount its folder",
            path=real,
        )
    return None


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def _has_open(process: int, path: str) -> bool:
    """Whether a process has the file open all the same: one that copied its own file has lost the lock on it.

    The hold of an open file description, which names no process, is never lost.
    """
    listing = f"/proc/{process}/fd"
    try:
        files: set[FileId | None] = {file_id(f"{listing}/{number}") for number in os.listdir(listing)}
    except OSError:  # none, or it has ended, or is another user's
        return False
    return file_id(path) in files
