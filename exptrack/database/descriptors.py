"""The descriptor numbers of this process: which files they lead to, and how SQLite closes some it has lost.

A program may close descriptors that are not its own, as daemonizers do with ``os.closerange``. The numbers then
go to other files, while SQLite still takes them for its own: it would read, write, lock and close those files.
SQLite gives up a number only by closing it. So :func:`set_aside` puts a pipe there meanwhile, which cannot be
written or locked.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows: SQLite has handles there, which no descriptor number closes
    fcntl = None  # type: ignore[assignment]

FileId = tuple[int, int]

LISTINGS = ("/proc/self/fd", "/dev/fd")  # Linux, macOS


def file_id(path: str | os.PathLike[str] | int) -> FileId | None:
    """Device and inode of a path or descriptor; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def open_numbers() -> frozenset[int] | None:
    """The descriptor numbers that are open in this process; None where the system does not list them."""
    for listing in LISTINGS:
        try:
            names = os.listdir(listing)
        except OSError:
            continue
        # The descriptor that listed the folder is among them, and closed by now.
        return frozenset(filter(_is_open, map(int, names)))
    return None


def _is_open(number: int) -> bool:
    try:
        os.get_inheritable(number)  # half the cost of a stat; it shows where many are open
    except OSError:
        return False
    return True


class NotedNumbers:
    """The descriptors that SQLite has open for one archive: of its connections, and those that it keeps.

    It keeps the descriptor of a connection that was closed while another one holds a lock on the file, and uses
    it again. Once SQLite has closed a descriptor, its number may lead to a file of another thread, so it is
    noted no longer.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._kept: dict[int, FileId] = {}

    def add(self, numbers: Iterable[int]) -> None:
        """Note the descriptors of a connection that was opened."""
        self._open.update(numbers)

    def begin_close(self, numbers: Iterable[int]) -> None:
        """Forget the descriptors of a connection. Call before its close; another may get them after that."""
        self._open.difference_update(numbers)

    def end_close(self, numbers: Mapping[int, FileId]) -> None:
        """Note what SQLite keeps open of a connection that was closed, and of others closed before."""
        for number, identity in {**self._kept, **numbers}.items():
            # One entry at a time: several threads may close connections at once.
            if file_id(number) == identity:
                self._kept[number] = identity
            else:
                self._kept.pop(number, None)

    def all(self) -> frozenset[int]:
        """Return every descriptor that is noted."""
        return frozenset((*self._open, *self._kept))

    def clear(self) -> None:
        """Forget all."""
        self._open, self._kept = set(), {}


def may_be_sqlites(number: int) -> bool:
    """Whether SQLite may have opened this descriptor: it never follows a link, and Python's ``open`` does.

    True on systems that do not tell how a descriptor was opened.
    """
    if sys.platform != "linux":
        return True
    try:
        return bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NOFOLLOW)
    except OSError:  # closed meanwhile
        return False


@contextmanager
def set_aside(numbers: Iterable[int], own: Iterable[FileId]) -> Iterator[None]:
    """Keep whatever others have opened at `numbers` from being closed inside the block.

    Numbers that lead to a file in `own` are left alone. After the block, the descriptors of others stand at
    their numbers again. POSIX locks that the process has on those files are lost, as by any close of them.

    Raises:
        OSError: the process has no descriptor left.
    """
    wanted, files = sorted(set(numbers)), set(own)
    if fcntl is None or not wanted:
        yield
        return
    high = wanted[-1] + 1
    reading, writing = os.pipe()
    os.close(writing)
    pipe = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, high)
    os.close(reading)
    moved: list[tuple[int, int, bool]] = []
    try:
        for number in wanted:
            while file_id(number) not in files and not _fill_free(number, pipe):
                try:
                    inheritable = os.get_inheritable(number)
                    moved.append((number, fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, high), inheritable))
                except OSError as error:
                    if error.errno != errno.EBADF:
                        raise
                    continue  # another thread has just closed it
                os.dup2(pipe, number, inheritable=False)
                break
        yield
    finally:
        for number, kept, inheritable in moved:
            os.dup2(kept, number, inheritable=inheritable)
            os.close(kept)
        known = file_id(pipe)
        for number in wanted:
            if file_id(number) == known:
                os.close(number)
        os.close(pipe)


def _fill_free(number: int, pipe: int) -> bool:
    """Put the pipe at a number that is free; False if it is not free."""
    if file_id(number) is not None:
        return False
    got = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, number)
    if got != number:  # another thread was faster
        os.close(got)
    return got == number
