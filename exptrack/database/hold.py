"""Hold the locks of an open archive, so that no ordinary open and close in this process can drop them.

POSIX drops every lock that a process has on a file when the process closes *any* descriptor of that file: a
copy made by the training script is enough. Another process then folds and deletes the WAL, and what is
acknowledged afterwards goes into a deleted file, while ``integrity_check`` says ok. Locks of an *open file
description* are dropped only by the last close of their own descriptor. The hold is such locks on the very
bytes that SQLite locks for reading: in the main file the SHARED range, in the ``-shm`` the dead-man switch.
They forbid nothing that SQLite's own locks do not forbid. SQLite's write lock can be dropped too. So a lock on
a byte of our own lets only one writer of exptrack write at a time. Another such byte stands for the name by
which the file is open: under each name (a hard link, a file mounted alone, the file renamed meanwhile) SQLite
would have a WAL of its own, and two of them damage the file.

Invariants:

- There is one hold for each archive file (device and inode) and process, whatever the number of connections.
- No descriptor of the hold is closed while another descriptor of that file is open in the process: the
  close would drop the locks of the user's own ``sqlite3`` connection. Such descriptors are kept for ever.
- Nothing here reads or writes the main file. The ``-wal`` is read only after another program deleted it.

Where the system has no such locks, the POSIX locks are set again before each transaction, and a window remains.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property

from exptrack.database.descriptors import FileId, NotedNumbers, file_id, may_be_sqlites, open_numbers
from exptrack.database.failures import busy_error
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS, ask_length, ask_lock, set_lock
from exptrack.process import current_process, identify_space, is_gone

try:
    import fcntl
except ImportError:  # Windows: its locks belong to the handle, and an open file cannot be deleted
    fcntl = None  # type: ignore[assignment]

# Where SQLite locks: https://www.sqlite.org/src/file/src/os_unix.c and .../src/wal.c
SHARED_BEGIN, SHARED_BYTES = 0x40000002, 510
WRITER_BYTE, DEAD_MAN_BYTE = 120, 128
ORDER_BYTE = 0x40000300  # of the main file; SQLite never touches it
NAMES_BEGIN, NAMES_BYTES = 1 << 51, (1 << 32) + 2  # a byte for each name; behind those of `presence`
# The lock begins there, and its length names the process that took it: the pid, and above it the namespace.
PID_BITS, SPACE_BITS = 22, 24
ORDER_BYTES = 1 << (PID_BITS + SPACE_BITS)
WAL_HEADER_BYTES = 32
COPY_BYTES = 1 << 20


class Hold:
    """The descriptors of one archive file that this process keeps, with the locks on them."""

    def __init__(self, path: str, descriptors: Sequence[int], identities: Sequence[FileId]) -> None:
        self.path = path  # the real one: through a link the -wal lies beside the real file
        self.wal_path, self.shm_path = f"{path}-wal", f"{path}-shm"
        self.main, self.shm, self.wal = descriptors
        self.main_id, self.shm_id, self.wal_id = identities
        self.sqlite = NotedNumbers()
        self.users = 1
        self.is_given_up = False
        self.leaves_wal = False  # the WAL is damaged and no copy of it could be made: nothing may touch it
        self._rescued: str | None = None
        self.guard = threading.Lock()
        self._order = threading.Lock()  # of this process's writers, which share the descriptor
        self._name_byte = _name_byte(path)
        self._writer: int | None = None

    @cached_property
    def _order_length(self) -> int:
        """The length of this process's lock on the order byte."""
        me = current_process()
        return 1 + (identify_space(me, SPACE_BITS) << PID_BITS | me.pid)

    @property
    def ids(self) -> tuple[FileId, FileId, FileId]:
        """The files of the archive: main file, shared memory, WAL."""
        return self.main_id, self.shm_id, self.wal_id

    def is_intact(self) -> bool:
        """Whether the descriptors are still ours: a daemon that closed all of them closed SQLite's too."""
        return file_id(self.main) == self.main_id and file_id(self.shm) == self.shm_id

    def numbers_since(self, before: frozenset[int]) -> dict[int, FileId]:
        """What SQLite has opened of the archive's files since `before`, by descriptor number.

        What a thread of the user has opened meanwhile, for a copy perhaps, is left out. Its close would look
        as if a program had closed SQLite's descriptors.
        """
        own = {self.main, self.shm, self.wal}
        new = (open_numbers() or frozenset()) - before - own
        found = {number: file_id(number) for number in new if may_be_sqlites(number)}
        return {number: identity for number, identity in found.items() if identity in self.ids}

    def is_in_place(self) -> bool:
        """Whether main file, WAL and shared memory are still those that were opened."""
        return file_id(self.path) == self.main_id and self.has_own_side_files()

    def has_own_side_files(self) -> bool:
        """Whether WAL and shared memory are still those that were opened."""
        return file_id(self.wal_path) == self.wal_id and file_id(self.shm_path) == self.shm_id

    def is_deleted(self) -> bool:
        """Whether the main file has no name any more, so that only the open descriptors keep its bytes."""
        status = os.fstat(self.main)
        return not status.st_nlink and status.st_size > 0

    def has_own_shared_memory(self) -> bool:
        """Whether the shared memory that was opened still stands under its name."""
        return file_id(self.shm_path) == self.shm_id

    def has_own_wal(self) -> bool:
        """Whether the WAL that was opened still stands under its name."""
        return file_id(self.wal_path) == self.wal_id

    def is_renamed(self) -> bool:
        """Whether the main file still exists, but no longer by the name under which it was opened."""
        return file_id(self.path) != self.main_id and os.fstat(self.main).st_nlink > 0

    def show_name(self) -> None:
        """Let other processes see by which name this one has the file open.

        Raises:
            OSError: the file system has no such locks.
        """
        if HAS_OPEN_FILE_LOCKS:
            set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, self._name_byte, 1)

    def has_another_name(self) -> bool:
        """Whether another process has the file open by another name; False where that cannot be asked."""
        if not HAS_OPEN_FILE_LOCKS:
            return False
        mine, end = self._name_byte, NAMES_BEGIN + NAMES_BYTES
        ranges = ((NAMES_BEGIN, mine - NAMES_BEGIN), (mine + 1, end - mine - 1))
        return any(ask_lock(self.main, begin, size) is not None for begin, size in ranges)

    def is_used_by_others(self) -> bool:
        """Whether another process has the archive open; to be asked once the locks are released."""
        return not HAS_OPEN_FILE_LOCKS or ask_lock(self.main, SHARED_BEGIN, SHARED_BYTES) not in (
            None,
            os.getpid(),
        )

    def has_write_lock(self) -> bool:
        """Whether this process holds SQLite's write lock; always True where that cannot be asked."""
        if not HAS_OPEN_FILE_LOCKS:
            return True
        try:
            return ask_lock(self.shm, WRITER_BYTE, 1) == os.getpid()
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            return False  # another thread closed the descriptors, and so dropped SQLite's locks

    def is_written(self) -> bool:
        """Whether any writer is at work; always False where that cannot be asked."""
        if self._order.locked():
            return True
        if not HAS_OPEN_FILE_LOCKS:
            return False
        is_ordered = ask_lock(self.main, ORDER_BYTE, 1) is not None and not self._is_order_left_behind()
        return is_ordered or ask_lock(self.shm, WRITER_BYTE, 1) is not None

    def begin_write(self) -> bool:
        """Keep all other writers out until :meth:`end_write`; False if one is at work.

        SQLite's write lock is dropped when the process closes any descriptor of the ``-shm``. Another process
        would then write into the same place of the WAL. No close can drop this lock.
        """
        if not self._order.acquire(blocking=False):
            return False
        self._writer = threading.get_ident()
        if HAS_OPEN_FILE_LOCKS:
            try:
                set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, ORDER_BYTE, self._order_length)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES) and not self._is_order_left_behind():
                    self._writer = None
                    self._order.release()
                    return False
                # The descriptor was closed, or it only reads: the looks before the commit tell.
        return True

    def _is_order_left_behind(self) -> bool:
        """Whether the writer that took the order byte is gone, and a child that C code forked keeps the lock.

        No hook of ours ran in that child, and it never writes by what it inherited. SQLite's write lock, which
        no child inherits, then orders the writers alone.
        """
        length = ask_length(self.main, ORDER_BYTE)
        if length is None:
            return False
        space, pid = divmod(length - 1, 1 << PID_BITS)
        if space != identify_space(current_process(), SPACE_BITS) or not is_gone(pid):
            return False
        return ask_length(self.main, ORDER_BYTE) == length  # else another writer has it by now

    def end_write(self) -> None:
        """Let other writers in, if the calling thread keeps them out."""
        if self._writer != threading.get_ident():
            return
        self._writer = None
        try:
            if HAS_OPEN_FILE_LOCKS and not self.is_given_up and file_id(self.main) == self.main_id:
                set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, ORDER_BYTE, ORDER_BYTES)
        finally:
            self._order.release()

    def lock_as_sqlite(self) -> None:
        """Take SQLite's write lock, so that nobody commits until :meth:`unlock_as_sqlite`.

        A connection that has opened an empty WAL cannot take it: it would have to read the WAL first.

        Raises:
            sqlite3.OperationalError: busy, another writer has it.
        """
        try:
            set_lock(self.shm, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, WRITER_BYTE, 1)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise busy_error() from None
            raise

    def unlock_as_sqlite(self) -> None:
        """Give SQLite's write lock back."""
        set_lock(self.shm, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, WRITER_BYTE, 1)

    def renew(self) -> None:
        """Set SQLite's own POSIX locks again, in case the process dropped them; they belong to the process.

        ``lockf`` lays out a lock as the system wants it. Where another process holds the bytes alone, this sets
        nothing, and SQLite raises an error at its next lock.
        """
        if fcntl is not None:
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self.main, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_BYTES, SHARED_BEGIN)
                fcntl.lockf(self.shm, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, DEAD_MAN_BYTE)

    def renew_if_droppable(self) -> None:
        """Set them again where the system has no locks that a close cannot drop."""
        if not HAS_OPEN_FILE_LOCKS:
            self.renew()

    def release_locks(self) -> None:
        """Drop the locks, so that the last connection of the process can fold the WAL as it closes.

        That of the shared memory goes first, as SQLite's does; see `places`.
        """
        if HAS_OPEN_FILE_LOCKS:
            set_lock(self.shm, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, DEAD_MAN_BYTE, 1)
            set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, SHARED_BEGIN, SHARED_BYTES)
            set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, ORDER_BYTE, ORDER_BYTES)

    def lock_alone(self) -> bool:
        """Keep every other process out of the main file until the descriptors are closed; False if one is in.

        By a POSIX lock, which belongs to the process and so lets its own connections work. Call once the locks
        of the hold are released.
        """
        try:
            fcntl.lockf(self.main, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, SHARED_BEGIN)
        except OSError:
            return False
        return True

    def close_descriptors(self) -> None:
        """Close each descriptor whose close drops no lock of this process; keep the others open for ever."""
        if HAS_OPEN_FILE_LOCKS and file_id(self.main) == self.main_id:
            set_lock(self.main, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, NAMES_BEGIN, NAMES_BYTES)
        for descriptor, identity in zip((self.main, self.shm, self.wal), self.ids, strict=True):
            if file_id(descriptor) == identity:
                close_if_harmless(descriptor)

    # Another file in the place of the main file

    def is_beside_another_file(self) -> bool:
        """Whether another file stands in the place of the main file, with our side files beside it."""
        there = file_id(self.path)
        own = self.has_own_wal() or file_id(self.shm_path) == self.shm_id
        return there is not None and there != self.main_id and own

    def clear_place(self) -> str | None:
        """Remove our WAL and shared memory from beside another file, whose next opener would read them as its
        own. First copy the main file and the WAL that were opened, see :meth:`rescue`; return the main copy.

        Copies nothing and returns None if the WAL is empty.

        Raises:
            OSError: there is no room, or the folder cannot be written; nothing is removed.
        """
        copy = self.rescue() if os.fstat(self.wal).st_size else None
        for path, identity in ((self.shm_path, self.shm_id), (self.wal_path, self.wal_id)):
            if file_id(path) == identity:
                os.unlink(path)
        return copy

    # A WAL that another program deleted

    def lost_only_its_wal(self) -> bool:
        """Whether all that is missing is the WAL's name, so that :meth:`put_wal_back` makes it good.

        With the hold in place and the shared memory unchanged, no other process can have folded the WAL.
        """
        if file_id(self.path) != self.main_id or not self.has_own_shared_memory():
            return False
        try:
            return os.stat(self.wal_path).st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def lost_only_its_shared_memory(self) -> bool:
        """Whether main file and WAL are in place, so that opening everything afresh makes it good."""
        return file_id(self.path) == self.main_id and self.has_own_wal()

    def lost_both_side_files(self) -> bool:
        """Whether WAL and shared memory have lost their names, and no process has made others.

        Then :meth:`put_wal_back` makes it good, and SQLite makes the shared memory again.
        """
        gone = not os.path.lexists(self.wal_path) and not os.path.lexists(self.shm_path)
        return gone and file_id(self.path) == self.main_id

    def was_put_back_by_another(self) -> bool:
        """Whether another process has put the WAL back: a file that begins as ours does and is no shorter."""
        if file_id(self.path) != self.main_id:
            return False
        try:
            with open(self.wal_path, "rb") as other:
                header, size = other.read(WAL_HEADER_BYTES), os.fstat(other.fileno()).st_size
            ours = os.pread(self.wal, WAL_HEADER_BYTES, 0)
        except OSError:
            return False
        return len(ours) == WAL_HEADER_BYTES and header == ours and size >= os.fstat(self.wal).st_size

    def put_wal_back(self) -> None:
        """Write the deleted WAL under its name again. The caller holds SQLite's write lock meanwhile.

        It is copied, not folded into the main file: a checkpoint beside another process's snapshot stops
        half-way, and a kill would then leave the file malformed.

        Raises:
            OSError: there is no room, or the folder cannot be written.
        """
        draft = f"{self.wal_path}.mend"
        with _replaced(draft):
            _copy(self.wal, draft, self._mode())
            if self.lost_both_side_files():
                # No lock keeps SQLite from making both again, so this must not replace what it has made.
                os.link(draft, self.wal_path)
                os.unlink(draft)
            elif self.lost_only_its_wal():
                os.rename(draft, self.wal_path)
            else:
                os.unlink(draft)
                return
        self.wal_id = file_id(self.wal_path) or self.wal_id

    def reopen_wal(self) -> None:
        """Keep a descriptor of the WAL that stands under the name now. The old one carries no lock."""
        with self.guard:
            try:
                opened = os.open(self.wal_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                return
            if file_id(self.wal) == self.wal_id:
                os.close(self.wal)
            self.wal, self.wal_id = opened, file_id(opened) or self.wal_id

    def rescue(self) -> str:
        """Copy the main file and the WAL that were opened to new files beside the archive, at the first call;
        return the main copy.

        Meant for files whose place another file has taken. That other file is not touched.

        Raises:
            OSError: there is no room, or the folder cannot be written.
        """
        if self._rescued is None:
            base = f"{self.path}.rescued-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            self._keep(self.wal, f"{base}-wal")  # first: the main copy alone would look complete
            self._keep(self.main, base)
            self._rescued = base
        return self._rescued

    def keep_aside(self, base: str) -> None:
        """Copy the main file and the WAL to `base` and its ``-wal``; the WAL's copy appears last.

        Raises:
            OSError: there is no room, or the folder cannot be written.
        """
        self._keep(self.main, base)
        self._keep(self.wal, f"{base}-wal")

    def _keep(self, source: int, target: str) -> None:
        """Copy one of the files to `target`, which appears whole or not at all."""
        draft = f"{target}.draft"
        with _replaced(draft):
            _copy(source, draft, self._mode())
            os.replace(draft, target)

    def _mode(self) -> int:
        return os.fstat(self.main).st_mode & 0o777


def _copy(source: int, target: str, mode: int) -> None:
    """Write the bytes of a descriptor to a new file, synced."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        at = 0
        while block := os.pread(source, COPY_BYTES, at):
            at += len(block)
            while block:
                block = block[os.write(out, block) :]
        os.fsync(out)
    finally:
        os.close(out)


def _name_byte(real: str) -> int:
    """Return the byte that stands for a name: by the folder itself, which may be mounted at other paths too."""
    folder = file_id(os.path.dirname(real)) or (0, 0)
    return NAMES_BEGIN + 1 + zlib.crc32(os.fsencode(f"{folder[0]} {folder[1]} {os.path.basename(real)}"))


def _require_id(descriptor: int) -> FileId:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


@contextmanager
def _replaced(draft: str) -> Iterator[None]:
    """Remove a draft that a killed process left, and our own if it does not get its place."""
    with suppress(FileNotFoundError):
        os.unlink(draft)
    try:
        yield
    except BaseException:  # Ctrl-C too: it goes on
        with suppress(OSError):  # what is wrong with the disk is told by the error that goes on
            os.unlink(draft)
        raise


def _others_of(identity: FileId, descriptor: int) -> bool:
    """Whether the process has a further descriptor of the file; True where that cannot be looked up."""
    numbers = open_numbers()
    if numbers is None:
        return True
    own = {descriptor, *_KEPT}
    return any(file_id(number) == identity for number in numbers - own)


# The holds of this process

_HOLDS: dict[FileId, Hold] = {}
_KEPT: list[int] = []  # descriptors whose close would drop locks
_lock = threading.Lock()


def take(path: str | os.PathLike[str]) -> Hold | None:
    """Hold the archive at `path`, once more if this process holds it already; None where there is no WAL yet.

    Give it back by :func:`give_back`.
    """
    if fcntl is None:
        return None
    real = os.path.realpath(path)
    with _lock:
        identity = file_id(real)
        held = _HOLDS.get(identity) if identity is not None else None
        if held is not None and held.is_intact():
            held.users += 1
            return held
        if identity is None or file_id(f"{real}-shm") is None or file_id(f"{real}-wal") is None:
            return None
        opened: list[int] = []
        try:
            for name, may_write in ((real, True), (f"{real}-shm", True), (f"{real}-wal", False)):
                # To lock a byte for writing, the descriptor has to be open for writing.
                how = os.O_RDWR if may_write and os.access(name, os.W_OK) else os.O_RDONLY
                opened.append(os.open(name, how | os.O_CLOEXEC | os.O_NOFOLLOW))
            hold = Hold(real, opened, [_require_id(descriptor) for descriptor in opened])
            if hold.main_id != identity:
                raise FileNotFoundError(real)
            if HAS_OPEN_FILE_LOCKS:
                set_lock(hold.main, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, SHARED_BEGIN, SHARED_BYTES)
                set_lock(hold.shm, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, DEAD_MAN_BYTE, 1)
            hold.show_name()
        except OSError:
            # Closing one of them would drop the locks that SQLite has on it.
            _KEPT.extend(opened)
            return None
        _HOLDS[identity] = hold
        return hold


def begin_alone(held: Hold | None, begin: Callable[[], object]) -> None:
    """Call `begin` while no other writer of exptrack is at work; raise SQLite's busy error if one is."""
    if held is not None and not held.begin_write():
        raise busy_error()
    try:
        begin()
    except BaseException:  # Ctrl-C too: no transaction began that would let others write again
        if held is not None:
            held.end_write()
        raise


def give_back(hold: Hold) -> bool:
    """Count one user less; return True for the last one.

    The last one drops the locks before its connections close, so that these can fold the WAL.
    """
    with _lock:
        hold.users -= 1
        if hold.users:
            return False
        if _HOLDS.get(hold.main_id) is hold:
            del _HOLDS[hold.main_id]
        return True


def abandon(hold: Hold) -> None:
    """Forget a hold whose descriptors something else has closed; the numbers may be the user's files now."""
    hold.is_given_up = True
    with _lock:
        if _HOLDS.get(hold.main_id) is hold:
            del _HOLDS[hold.main_id]


def find_other_name(path: str | os.PathLike[str]) -> str | None:
    """Return the other name by which this process has the file open; None if it has not."""
    real = os.path.realpath(path)
    identity = file_id(real)
    held = _HOLDS.get(identity) if identity is not None else None
    return held.path if held is not None and held.path != real else None


def find_lost() -> Hold | None:
    """Return a hold of this process whose descriptors something else has closed, or None."""
    for hold in list(_HOLDS.values()):
        if not hold.is_intact():
            return hold
    return None


def is_held(identity: FileId | None) -> bool:
    """Whether this process has the archive file open, and its side files too."""
    return identity in _HOLDS


def close_if_harmless(descriptor: int) -> bool:
    """Close a descriptor of ours, unless that drops locks of this process; then it stays open for ever."""
    if _others_of(_require_id(descriptor), descriptor):
        _KEPT.append(descriptor)
        return False
    os.close(descriptor)
    return True


def count_as_ours(descriptor: int) -> None:
    """Know a descriptor of an archive file as ours, not the user's; it stays open while the file exists."""
    _KEPT.append(descriptor)


def close_of_deleted(descriptor: int) -> None:
    """Close a descriptor of ours whose file was deleted."""
    _KEPT.remove(descriptor)
    os.close(descriptor)


def is_open_elsewhere() -> bool:
    """Whether this process has a held archive open besides the holds: by a connection or file of the user's."""
    with _lock:
        return any(_is_open_besides(hold) for hold in _HOLDS.values())


def _is_open_besides(hold: Hold) -> bool:
    own = {hold.main, hold.shm, hold.wal, *_KEPT}
    return any(file_id(number) in hold.ids for number in (open_numbers() or frozenset()) - own)


def leave_to_parent() -> None:
    """In a forked child: the locks are the parent's; closing our copies of its descriptors drops none."""
    global _lock
    _lock = threading.Lock()
    for hold in _HOLDS.values():
        for descriptor, identity in zip((hold.main, hold.shm, hold.wal), hold.ids, strict=True):
            if file_id(descriptor) == identity:  # else the parent had closed it: a file of the user's
                os.close(descriptor)
    _HOLDS.clear()
    _KEPT.clear()
