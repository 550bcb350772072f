"""Tell by a journal's file whether its writer lives, and whether any process forked from it does.

Two bytes of the file carry locks of an open file description. The journal's own mapping holds byte 0: its
writer lives. A second mapping, the *family*, holds byte 1: the writer or a process forked from it lives. The
kernel drops a lock with the last mapping and descriptor of its description, whatever ends the process. A daemon
that closes all its descriptors keeps its mappings; a program that is executed keeps neither.

The journal's own mapping also holds one byte for each run that is written through it. So others can tell which
of two archives a run is written into, if one process writes both.

Invariants:

- The family is mapped before the first fork and inherited by every child, and by the children of that child.
- A child gives up the journal's own mapping in the hook after the fork, before any code of the user runs.
- A worker that its parent ends (``multiprocessing`` with ``daemon=True``, as in a Pool) leaves the family: it
  would keep a run open that no process trains any more.

Where the system has no such locks, a run ends with the process that started it.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from exptrack.database import forks
from exptrack.database.descriptors import FileId, file_id
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, PAGE, ask_lock, map_page, set_lock, unmap
from exptrack.digests import sha256

WRITER_BYTE, FAMILY_BYTE = 0, 1
FIRST_RUN_BYTE, RUN_BITS = 1 << 50, 48  # far behind the end of any journal
WIPE_ON_FORK = 18  # MADV_WIPEONFORK of Linux 4.14


def make_fork_mark() -> object:
    """Return an object that is true here and false in a forked copy of this process.

    A look at it takes 0.01 µs, a look at the process id 0.2 µs. Where the kernel wipes no page, it stays true.
    """
    if sys.platform == "linux":
        import ctypes  # with the first point, which needs it anyway

        with suppress(OSError):  # an older kernel, for instance
            page = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(WIPE_ON_FORK)
            page[0] = 1
            # Its truth is that of the byte, and is asked faster than an element of a memoryview.
            return ctypes.c_bool.from_buffer(page)
    return True


def hold_for_writer(descriptor: int) -> None:
    """Lock byte 0 of a new journal for as long as a mapping of this descriptor lives."""
    _hold(descriptor, WRITER_BYTE)


def hold_run(descriptor: int, run_id: str) -> None:
    """Lock the byte of a run in a journal of this process, for as long as a mapping of the descriptor lives."""
    _hold(descriptor, _run_byte(run_id))


def release_run(descriptor: int, run_id: str) -> None:
    """Drop the lock on the byte of a run."""
    if HAS_OPEN_FILE_LOCKS:
        import fcntl

        with suppress(OSError):  # the lock could not be had either
            set_lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _run_byte(run_id), 1)


def is_run_held(path: str | os.PathLike[str], run_id: str) -> bool:
    """Whether a process writes this run through this journal. False also where that cannot be asked."""
    return _is_held(path, _run_byte(run_id), 1)


def _run_byte(run_id: str) -> int:
    digest = sha256(run_id.encode()).digest()
    return FIRST_RUN_BYTE + int.from_bytes(digest[: RUN_BITS // 8], "big")


class Family:
    """The mapping that says: the writer of this journal, or a process forked from it, lives."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.has_forked = False
        self.has_children = False  # besides workers of multiprocessing, which it ends or waits for itself
        self._address = 0
        self._file: FileId | None = None

    @property
    def is_joined(self) -> bool:
        """Whether this process has a share of the lock."""
        return self._address != 0

    def join(self) -> None:
        """Lock byte 1 of the file by a mapping that children inherit; call before a fork.

        If the journal was deleted and written again, this locks the new file.
        """
        if not HAS_OPEN_FILE_LOCKS or (self._address and file_id(self.path) == self._file):
            return
        self.leave()
        # For reading only: the file's mode forbids more. Every process of the family shares the lock.
        with _opened(self.path, os.O_RDONLY) as descriptor:
            if descriptor is not None and _hold(descriptor, FAMILY_BYTE, shared=True):
                self._address, self._file = map_page(descriptor), file_id(descriptor)

    def leave(self) -> None:
        """Give up this process's share of the lock."""
        address, self._address = self._address, 0
        if address:
            unmap(address, PAGE)

    def is_alive(self) -> bool:
        """Whether another process of the family lives; leaves the family first."""
        self.leave()
        return _is_held(self.path, FAMILY_BYTE, 1)


def is_writer_alive(path: str | os.PathLike[str]) -> bool:
    """Whether a process maps this journal to write it. False also where that cannot be asked."""
    return _is_held(path, WRITER_BYTE, 1)


def is_family_alive(path: str | os.PathLike[str]) -> bool:
    """Whether the writer of this journal or a process forked from it lives; False where that is unknown."""
    return _is_held(path, WRITER_BYTE, 2)


def give_up_mapping(mapping: mmap.mmap | None) -> None:
    """In a forked child: unmap the journal of the parent, and close the descriptor that the mapping keeps.

    Another file may have that descriptor's number by now, if the parent closed all of its descriptors.
    """
    if mapping is None:
        return
    try:
        is_ours = mapping.size() == len(mapping)
    except OSError:
        is_ours = True  # the number is free: closing it harms nothing
    if is_ours:
        mapping.close()
        return
    import ctypes

    length = len(mapping)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    forks.keep_for_ever([mapping])
    unmap(address, length)


@contextmanager
def _opened(path: str | os.PathLike[str], flags: int) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _hold(descriptor: int, byte: int, *, shared: bool = False) -> bool:
    if not HAS_OPEN_FILE_LOCKS:
        return False
    import fcntl

    try:
        set_lock(descriptor, fcntl.F_OFD_SETLK, fcntl.F_RDLCK if shared else fcntl.F_WRLCK, byte, 1)
    except OSError:
        return False  # a file system without such locks
    return True


def _is_held(path: str | os.PathLike[str], begin: int, size: int) -> bool:
    if not HAS_OPEN_FILE_LOCKS:
        return False
    with _opened(path, os.O_RDONLY) as descriptor:
        if descriptor is None:
            return False
        try:
            return ask_lock(descriptor, begin, size) is not None
        except OSError:
            return False
