"""Find out why the operating system refuses to write beside an archive, where SQLite does not say.

SQLite has one error for every call that failed, and Python does not pass on the number that the system gave.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from exptrack.errors import ArchiveError, ArchiveFullError, ArchiveIOError, ArchiveReadOnlyError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
NOT_ALLOWED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
PROBE_BYTES = 64 * 1024  # more than SQLite adds to its shared memory at once


def find_obstacle(path: str | os.PathLike[str]) -> int | None:
    """Return the number of the error that writing beside `path` meets; None if it can be written.

    Writes a file without a name, or one that is removed at once.
    """
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path)), buffering=0) as probe:
            left = memoryview(bytes(PROBE_BYTES))
            while left:
                left = left[probe.write(left) :]
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno
    return None


@contextmanager
def reading_file(path: str | os.PathLike[str], what: str = "cannot be read") -> Iterator[None]:
    """Translate an error that the operating system raises in the block, which reads a file for `path`."""
    try:
        yield
    except OSError as error:
        raise error_of(error, path, what) from error


def error_of(error: OSError, path: str | os.PathLike[str], what: str) -> ArchiveError:
    """Return exptrack's error for one of the operating system. `what` says what failed, as a predicate."""
    told = f"{path} {what} ({error.strerror})"
    if error.errno in NO_ROOM:
        return ArchiveFullError(f"{told}; free disk space, or room in the quota", path=str(path))
    if error.errno in NOT_ALLOWED:
        return ArchiveReadOnlyError(f"{told}; check the permissions of the file and its folder", path=str(path))
    return ArchiveIOError(f"{told}; check the disk", path=str(path))


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder survive a power cut; where folders cannot be synced, do nothing."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
