"""Copy an archive of somebody else to a private folder, at one moment, and leave everything beside it as it is.

Invariants:

- A file that this process has open is copied by SQLite's backup: closing a descriptor of it drops SQLite's
  locks. So is one that another process has open, as it may be written meanwhile.
- Of all others the bytes are copied: main file, ``-wal`` and a plain ``-journal``. The copy counts only if none
  of them changed meanwhile. So nothing is made, folded or recovered beside the original.
- Only regular files are opened, and links are followed once, before the first look. A FIFO or device may wait
  for ever or never end.
- Holes are not written out: a file of a few pages may claim to have a terabyte.
- A journal that names a second one is refused: undoing it changes or deletes other files.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from exptrack import own_files
from exptrack.database import forks, hold
from exptrack.database.connection import Connection
from exptrack.database.copying import copy_file
from exptrack.database.deadline import Deadline
from exptrack.database.descriptors import file_id
from exptrack.database.disk import error_of
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, ask_lock
from exptrack.database.filesystem import find_file_system
from exptrack.database.migrations import APPLICATION_ID
from exptrack.database.places import require_own_side_files, require_plain_side_files
from exptrack.database.stranger import StrangerConnection
from exptrack.errors import (
    ArchiveClosedError,
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveNotFoundError,
    NotAnArchiveError,
    OwnFileError,
)
from exptrack.new_files import NEW_FILE

Progress: TypeAlias = Callable[[int, int], None]  # called with the bytes done and the total

COPY_NAME = "archive.db"
PREFIX = "exptrack-"
TRIES = 5  # to copy bytes that do not change meanwhile
TICK_S = 0.02  # a file may change twice within one tick of the system's clock and keep its time
COPY_BYTES = 1 << 20
SPARE_BYTES = 16 << 20  # of the disk that a copy leaves free
MUCH_MEMORY_BYTES, IN_MEMORY = 256 << 20, ("tmpfs", "ramfs")
MOST_HOLES = 1000  # a file may claim this many times the bytes that it takes
BACKUP_BYTES_PER_S = 5_000_000
BACKUP_S = 30.0

HEADER_BYTES = 100
MAGIC = b"SQLite format 3\0"
ENCODING_AT, APPLICATION_ID_AT = 56, 68
UTF_8 = (0, 1)
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


class PrivateCopy(NamedTuple):
    """A copy of the bytes of an archive: its file, and whether a process had the original open."""

    path: Path
    is_live: bool


class _Opened(NamedTuple):
    """A file of the original that is open for reading, as it was then."""

    ending: str
    descriptor: int
    status: os.stat_result


@contextmanager
def private_folder(place: Path, need_bytes: int, beside: Path | None = None) -> Iterator[Path]:
    """Make a folder for a copy that only this user may enter, and remove it after the block.

    It is made in the temporary folder; or in the folder `beside`, if only that has room, or if the temporary
    folder is in memory and the copy is large.

    Raises:
        ArchiveFullError: neither has room.
        ArchiveIOError: no folder can be made there.
    """
    import shutil  # both take longer to import than a file takes to open
    import tempfile

    folder: Path | None = None
    try:
        tops = [Path(tempfile.gettempdir()), *([beside] if beside else [])]
        if need_bytes > MUCH_MEMORY_BYTES and find_file_system(tops[0]) in IN_MEMORY:
            tops.reverse()
        top = _choose_folder(place, need_bytes, tops)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=top))
    except OSError as error:
        raise error_of(error, place, "can only be read by way of a copy, which cannot be made") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose_folder(place: Path, need_bytes: int, candidates: list[Path]) -> Path:
    import shutil

    for one in candidates:
        if shutil.disk_usage(one).free >= need_bytes + SPARE_BYTES:
            return one
    raise ArchiveFullError(
        f"{place} can only be read by way of a copy, and there is no room for {need_bytes:,} bytes in"
        f" {' or '.join(map(str, candidates))}; set TMPDIR to a folder with room",
        path=str(place),
    )


def measure_copy(place: Path) -> int:
    """Return how many bytes a copy of the main file and the files beside it takes at most.

    Raises:
        ArchiveNotFoundError, NotAnArchiveError, ArchiveIOError: there is no such file, or it is none.
    """
    real = require_regular_file(place)
    total = 0
    for ending in ("", "-wal", "-journal"):
        try:
            status = os.stat(f"{real}{ending}")
        except OSError:
            continue
        total += _disk_bytes(status)
    return total * 9 // 8  # bringing an older format up to date takes some more


def require_regular_file(place: Path) -> str:
    """Return the real path of the archive; refuse what is no file, or has something else than files beside it.

    Raises:
        ArchiveNotFoundError: there is no file.
        NotAnArchiveError: it is a folder, a FIFO or a device, or empty.
        ArchiveIOError: the file cannot be reached, or a side file is no file.
    """
    try:
        real = os.path.realpath(place)
        status = os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        raise ArchiveNotFoundError(f"there is no archive at {place}; check the path", path=str(place)) from None
    except OSError as error:
        raise error_of(error, place, "cannot be reached") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a circle of links"
        raise NotAnArchiveError(f"{place} is {kind}, not an archive; give the path of a file", path=str(place))
    if not status.st_size:
        raise NotAnArchiveError(f"{place} is empty, not an archive; check the path", path=str(place))
    require_plain_side_files(place)
    return real


def copy_privately(place: Path, folder: Path, progress: Progress | None = None) -> PrivateCopy:
    """Copy the archive into `folder`, as it is at one moment, with the ``-wal`` that belongs to it.

    Raises:
        NotAnArchiveError: it is the file of another program.
        ArchiveNotFoundError: it is gone.
        ArchiveFullError: there is no room.
        ArchiveIOError, ArchiveCorruptError, ArchiveLockedError, ArchiveMovedError: it cannot be read.
    """
    for _ in range(TRIES - 1):
        with suppress(ArchiveClosedError, OwnFileError):  # another thread has just closed or opened it
            return _copy_once(place, folder, progress)
    return _copy_once(place, folder, progress)


def _copy_once(place: Path, folder: Path, progress: Progress | None) -> PrivateCopy:
    real = require_regular_file(place)
    copy = folder / COPY_NAME
    opened_here = find_opened(real)
    if opened_here is not None:
        _back_up(opened_here, copy, place, progress)
        return PrivateCopy(copy, True)
    if not has_descriptor(real):
        live = is_used_elsewhere(real)
        for _ in range(0 if live else TRIES):
            if _copy_bytes(place, real, copy, progress):
                return PrivateCopy(copy, False)
    require_own_side_files(place)
    seconds = BACKUP_S + os.stat(real).st_size / BACKUP_BYTES_PER_S
    with Deadline(seconds) as deadline, StrangerConnection(Path(real), "ro", place, deadline) as reader:
        reader.remember_identity()
        _back_up(reader, copy, place, progress)
    return PrivateCopy(copy, True)


def find_opened(real: str) -> Connection | None:
    """Return a connection of this process to the file; None if it has none."""
    identity = file_id(real)
    for one in forks.connections():
        if isinstance(one, Connection) and not one.closed and identity == file_id(one.path) is not None:
            return one
    return None


def has_descriptor(real: str) -> bool:
    """Whether this process has the file open by other means than a connection of exptrack."""
    identity = file_id(real)
    # Elsewhere no close drops locks.
    return os.name == "posix" and identity is not None and hold._others_of(identity, -1)


def is_used_elsewhere(real: str) -> bool:
    """Whether another process has the file open in SQLite; False where that cannot be asked."""
    if not HAS_OPEN_FILE_LOCKS:
        return False
    try:
        descriptor = _open(real)
    except OSError:
        return False
    try:
        return ask_lock(descriptor, hold.SHARED_BEGIN, hold.SHARED_BYTES) is not None
    finally:
        _close(descriptor)


def _back_up(source: Connection, copy: Path, place: Path, progress: Progress | None) -> None:
    try:
        for path in (copy, Path(f"{copy}-wal"), Path(f"{copy}-journal")):
            path.unlink(missing_ok=True)  # of an attempt to copy bytes
        os.close(os.open(copy, NEW_FILE, 0o600))
    except OSError as error:
        raise error_of(error, place, "could not be copied") from error
    copy_file(source, copy, copy, progress)


def _open(path: str) -> int:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return own_files.open_descriptor(path, flags | getattr(os, "O_BINARY", 0))


def _close(descriptor: int) -> None:
    if os.name == "posix":
        hold.close_if_harmless(descriptor)
    else:
        os.close(descriptor)  # it drops no locks there


def _copy_bytes(place: Path, real: str, copy: Path, progress: Progress | None) -> bool:
    """Copy the files as they are; return False if one of them changed meanwhile."""
    with ExitStack() as stack:
        files = []
        for ending in ("", "-wal", "-journal"):
            try:
                descriptor = _open(f"{real}{ending}")
            except FileNotFoundError:
                if not ending:
                    raise ArchiveNotFoundError(f"{place} is gone; check the path", path=str(place)) from None
                continue
            except OSError as error:
                raise error_of(error, Path(f"{place}{ending}"), "cannot be read") from error
            stack.callback(_close, descriptor)
            files.append(_Opened(ending, descriptor, os.fstat(descriptor)))
        _require_archive(place, files[0])
        for one in files[1:]:
            if not stat.S_ISREG(one.status.st_mode):
                raise ArchiveIOError(f"{place}{one.ending} is no file; move it away", path=str(place))
        files = [one for one in files if one.ending != "-journal" or _is_hot_journal(place, one)]
        wait_s = TICK_S - (time.time() - max(one.status.st_mtime for one in files))
        if wait_s > 0:
            time.sleep(min(wait_s, TICK_S))
        total = sum(one.status.st_size for one in files)
        done = 0
        for one in files:
            tell = None if progress is None else _adding(progress, done, total)
            _copy_file(place, one, Path(f"{copy}{one.ending}"), tell)
            done += one.status.st_size
        return all(_is_unchanged(real, one) for one in files) and _endings_of(real) == _endings(files)


def _adding(progress: Progress, done: int, total: int) -> Callable[[int], None]:
    return lambda more: progress(done + more, total)


def _is_unchanged(real: str, one: _Opened) -> bool:
    try:
        found = os.stat(f"{real}{one.ending}")
    except OSError:
        return False
    before = one.status
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) == (
        before.st_dev,
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )


def _endings(files: list[_Opened]) -> set[str]:
    return {one.ending for one in files if one.ending != "-journal" and (one.status.st_size or not one.ending)}


def _endings_of(real: str) -> set[str]:
    """Return which files are there; an empty ``-wal`` is as good as none."""
    found = {""} if os.path.exists(real) else set()
    try:
        return found | ({"-wal"} if os.stat(f"{real}-wal").st_size else set())
    except OSError:
        return found


def _require_archive(place: Path, main: _Opened) -> None:
    """Refuse by its first bytes a file that is none, before it is copied."""
    status = main.status
    if not stat.S_ISREG(status.st_mode):
        raise NotAnArchiveError(f"{place} is no file any more; check the path", path=str(place))
    head = _read_at(main.descriptor, 0, HEADER_BYTES)
    problem = None
    if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
        problem = "is not an exptrack archive and was left untouched"
    elif int.from_bytes(head[APPLICATION_ID_AT : APPLICATION_ID_AT + 4], "big") != APPLICATION_ID:
        problem = "is an SQLite file of another program and was left untouched"
    elif int.from_bytes(head[ENCODING_AT : ENCODING_AT + 4], "big") not in UTF_8:
        problem = "holds texts in another encoding than UTF-8, which exptrack never writes"
    if problem is not None:
        raise NotAnArchiveError(f"{place} {problem}; check the path", path=str(place))
    if status.st_size > MOST_HOLES * max(_disk_bytes(status), COPY_BYTES):
        raise ArchiveCorruptError(
            f"{place} claims {status.st_size:,} bytes and takes {_disk_bytes(status):,} on the disk, so it"
            " consists of holes, which exptrack never makes; get it again from where it came",
            path=str(place),
        )


def _read_at(descriptor: int, begin: int, length: int) -> bytes:
    os.lseek(descriptor, begin, os.SEEK_SET)
    return os.read(descriptor, length)


def _disk_bytes(status: os.stat_result) -> int:
    blocks = getattr(status, "st_blocks", None)
    return status.st_size if blocks is None else min(status.st_size, blocks * 512)


def _is_hot_journal(place: Path, journal: _Opened) -> bool:
    """Whether SQLite would undo a transaction by this journal.

    Raises:
        ArchiveCorruptError: it names a second journal.
    """
    length = len(JOURNAL_MAGIC)
    head = _read_at(journal.descriptor, 0, length)
    end = _read_at(journal.descriptor, max(0, journal.status.st_size - length), length)
    if not head or not head[0]:
        return False
    if end == JOURNAL_MAGIC:
        raise ArchiveCorruptError(
            f"{place}-journal is of a transaction over several files, and undoing it would change those;"
            " exptrack never makes one: move it away if you do not trust it",
            path=str(place),
        )
    return True


def _copy_file(place: Path, one: _Opened, target: Path, tell: Callable[[int], None] | None) -> None:
    """Copy the bytes of an open file, up to the size that it had, and leave its holes out."""
    try:
        target.unlink(missing_ok=True)
        with open(os.open(target, NEW_FILE, 0o600), "wb", buffering=0) as copy:
            for begin, end in _iter_data(one.descriptor, one.status.st_size):
                os.lseek(one.descriptor, begin, os.SEEK_SET)
                copy.seek(begin)
                while begin < end and (block := os.read(one.descriptor, min(COPY_BYTES, end - begin))):
                    begin += len(block)
                    while block:
                        block = block[copy.write(block) or 0 :]
                    if tell is not None:
                        tell(begin)
            copy.truncate(one.status.st_size)
    except OSError as error:
        raise error_of(error, place, "could not be copied") from error


def _iter_data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that hold data; the whole where the system does not tell."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a file system that knows no holes; else the rest is one
                yield at, size
            return
        at = min(os.lseek(descriptor, begin, os.SEEK_HOLE), size)
        yield begin, at
