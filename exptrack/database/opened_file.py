"""An archive file that is open: its SQLite connections, one a thread, and the locks that keep it.

Invariant: nothing is opened before the first statement of a thread, and everything may be closed between two
statements: a fork does so.
"""

from __future__ import annotations

import math
import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial

import exptrack.own_files as own_files
from exptrack.database import forks, hold
from exptrack.database.descriptors import FileId, file_id, open_numbers, set_aside
from exptrack.database.failures import SQLITE_FAILURE, primary_code, require_sqlite, translate
from exptrack.database.frozen import look_at, side_files_exist, wal_bytes
from exptrack.database.functions import register_functions
from exptrack.database.handle import Handle, Left
from exptrack.database.hold import Hold
from exptrack.database.last_close import fold_renamed, leave_cut_wal, leave_to_another_file
from exptrack.database.paths import Placed, file_uri
from exptrack.database.patience import BUSY_WAIT_S, Patience, choose_pause, pause
from exptrack.database.sections import SectionThread
from exptrack.database.wal import keep_if_damaged
from exptrack.errors import (
    ArchiveClosedError,
    ArchiveIOError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    ExptrackError,
    ForkUnsafeError,
    warn,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self, TypeVar

    _T = TypeVar("_T")

CACHE_BYTES = 16_384_000  # of the file that each SQLite connection keeps in memory
FOLDS = 5  # attempts of processes that leave at once
PROOF_S = 2.0
SECTION, READING = "section", "reading"
NEXT = "next"


class OpenedFile(Placed):
    """Open one archive file by SQLite connections, one a thread, and close it; safe to share between threads.

    `path` is absolute. `mode` is ``"rw"``, ``"ro"`` (reads, and sees the commits of other processes) or
    ``"immutable"`` (reads the main file alone, without locks) or ``"frozen"`` (the same, as long as nothing is
    in its WAL). The file is opened at the first statement.

    `place` is where the archive is; `path` is another file only while a copy of it is read.
    """

    def __init__(self, path: str | os.PathLike[str], mode: str = "rw") -> None:
        require_sqlite()
        super().__init__(path)
        self.mode = mode
        self.busy_wait_s = BUSY_WAIT_S
        self.cache_pragma = f"PRAGMA cache_size = -{CACHE_BYTES // 1024}"
        self.trace: Callable[[str], None] | None = None
        self.before_section: Callable[[], None] | None = None  # raises where waiting for one would never end
        self.before_close: Callable[[], None] | None = None  # called while statements still run
        self.on_close: Callable[[], None] | None = None
        self.rescued: str | None = None  # the copy of what was committed before another WAL took its place
        self._identity: FileId | None = None
        self._birth: str | None = None
        self._opened_before = open_numbers()
        self._closed = False
        self._unsafe: str | None = None  # in a forked child: why SQLite may not be used
        self._proven = True
        self._begin_afresh()
        if mode != "immutable":  # which takes no locks
            own_files.register(self, self.file)
        forks.register(self)

    def _begin_afresh(self) -> None:
        """Start without any SQLite connection, thread or lock of the process before a fork."""
        self._local = threading.local()
        self._patience = Patience()
        self._handles: weakref.WeakSet[Handle] = weakref.WeakSet()
        self._left: list[Left] = []  # by threads that have ended; to be closed
        self._given_up: dict[str, Handle] = {}  # at `NEXT`, that of the next thread which has none
        self._lock = threading.Lock()
        self.journal_guard = threading.RLock()  # while the journal of this connection is made or deleted
        self._hold: Hold | None = None
        self._sections = SectionThread()
        self._idle_readers: list[SectionThread] = []
        self._watcher: Handle | None = None  # whose connection counts the commits of all others

    def __repr__(self) -> str:
        return f"Connection({self.file!r}, {self.mode!r})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        # A copy of what holds a connection reads and writes through the same one.
        return self

    # Opening and closing

    def _connect(self, *, immutable: bool = False) -> sqlite3.Connection:
        """Open one more SQLite connection and set its pragmas."""
        raw = self._connect_bare(immutable=immutable)
        try:
            raw.row_factory = sqlite3.Row
            if self.trace is not None:
                raw.set_trace_callback(self.trace)
            self._run_waiting(lambda: self._configure(raw))
            self.check_identity()
        except BaseException:
            raw.close()
            raise
        return raw

    def _connect_bare(self, *, immutable: bool = False) -> sqlite3.Connection:
        """Open one more SQLite connection as SQLite makes it."""
        try:
            return sqlite3.connect(
                f"{file_uri(self.file)}?{'mode=ro&immutable=1' if immutable else self._query()}",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
        except SQLITE_FAILURE as error:
            self.check_identity()
            if not os.path.exists(self.file):
                raise ArchiveNotFoundError(
                    f"there is no archive at {self.file}; check the path", path=self.file
                ) from None
            raise self.translate(error) from error

    def _query(self) -> str:
        """Return how SQLite is to open the file.

        A reader that may write opens for writing too (``query_only`` refuses it): only so can it copy the
        WAL into the file when it is the last to leave.
        """
        return "mode=rw" if self.mode == "rw" or os.access(self.file, os.W_OK) else "mode=ro"

    def _configure(self, raw: sqlite3.Connection) -> None:
        """Set the pragmas. Some read the schema, which is locked while another process creates the file."""
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA trusted_schema = OFF")
        raw.execute("PRAGMA cell_size_check = ON")
        raw.execute("PRAGMA mmap_size = 0")
        raw.execute(self.cache_pragma)
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        register_functions(raw)
        if self.mode == "rw":
            raw.execute("PRAGMA synchronous = NORMAL")
            # Without a limit a WAL keeps its size when it starts afresh, and every commit would checkpoint.
            raw.execute("PRAGMA journal_size_limit = 0")
        else:
            raw.execute("PRAGMA query_only = ON")

    def require_open(self) -> None:
        """Refuse to go on after ``close()``, and in a forked child where SQLite is not safe.

        Raises:
            ArchiveClosedError: the connection was closed.
            ForkUnsafeError: this process was forked while SQLite was in use, or by C code.
        """
        if self._closed:
            raise ArchiveClosedError(f"{self.file} was closed; open it again", path=self.file)
        danger = self.find_danger()
        if danger is not None:
            raise ForkUnsafeError(
                f"{self.file} can take only run.log() and run.log_metric() in this forked process, because"
                f" {danger}; {forks.ADVICE}",
                path=self.file,
            )

    def find_danger(self) -> str | None:
        """Return why SQLite may not be used in this process, which was forked; None if it may."""
        forks.prepare_late()
        if not self._proven:
            self._prove()
        return self._unsafe

    def _prove(self) -> None:
        """In a forked child: use SQLite for the first time, with a limit of 2 s.

        If a thread of the parent was inside any SQLite at the fork, a mutex of the library is locked for ever.
        """

        def use() -> None:
            raw = sqlite3.connect(f"{file_uri(self.file)}?mode=ro", uri=True, timeout=0, isolation_level=None)
            try:
                raw.execute("PRAGMA user_version").fetchall()
            except SQLITE_FAILURE:
                pass  # busy or damaged, but not hanging: the real use tells
            finally:
                raw.close()

        if not SectionThread().finishes(use, PROOF_S):
            self._unsafe = "a thread of its parent was inside SQLite"
        self._proven = True

    def _handle(self) -> Handle:
        """Return this thread's handle. Use its connection only by :meth:`_raw`, while its `busy` is held."""
        self.require_open()
        handle = self._own_handle()
        if not self._inside:
            self._require_descriptors(handle)
        # The connection for changes never counts as idle.
        handle.used_at = math.inf if self._inside == SECTION else time.monotonic()
        return handle

    def _own_handle(self) -> Handle:
        """Return this thread's handle. If it has none, it gets one that was given up, or else a new one."""
        handle: Handle | None = getattr(self._local, "handle", None)
        if handle is None:
            # Not by an exception: an interrupt where one is handled can keep what the frame holds for ever.
            handle = self._given_up.pop(NEXT, None) or self._new_handle()
            self._local.handle = handle
        return handle

    def _new_handle(self) -> Handle:
        handle = Handle(self._left)
        with forks.GATE:
            self._close_left()
            self._handles.add(handle)
        return handle

    def _close_left(self) -> None:
        """Close the connections of threads that have ended."""
        while self._left:
            with suppress(IndexError):  # another thread was faster
                self._left.pop().close()

    def _raw(self, handle: Handle) -> sqlite3.Connection:
        """Return the handle's SQLite connection, opened if it is not; `busy` is held."""
        if handle.raw is None:
            before = open_numbers()
            handle.seen = look_at(self.file) if self.mode == "frozen" else None
            handle.raw = self._connect(immutable=self.mode == "immutable" or handle.seen is not None)
            if self._hold is None:
                self._take_hold(handle)
            self._note_numbers(handle, before)
        elif self._hold is None and self.mode == "ro" and self._has_got_wal():
            self._take_hold(handle)
        return handle.raw

    def _has_got_wal(self) -> bool:
        """Whether a writer has brought a file to WAL mode that was opened in another, as a snapshot is."""
        return os.name == "posix" and side_files_exist(os.path.realpath(self.file))

    def _take_hold(self, handle: Handle) -> None:
        """Keep the locks of the file, once SQLite has made its side files; a new file has none yet.

        Raises:
            ArchiveMovedError: another process has the file open by another name.
        """
        raw = handle.raw
        if self.mode in ("immutable", "frozen") or self._identity is None or raw is None:
            return
        try:
            raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        except SQLITE_FAILURE:
            return  # the statement that follows meets the same, and tells
        with self._lock:
            if self._hold is None and not self._closed:
                self._hold = hold.take(self.file)
                if self._hold is not None and self._hold.users == 1:
                    if self._hold.has_another_name():
                        self._refuse_name(self._hold, handle)
                    may_write = self.file == self.home and os.access(self.file, os.W_OK)
                    page_bytes = raw.execute("PRAGMA page_size").fetchone()[0]
                    keep_if_damaged(self._hold, self.home, page_bytes, may_write, self.mode == "rw")

    def _refuse_name(self, held: Hold, handle: Handle) -> None:
        self._hold = None
        hold.give_back(held)
        held.release_locks()
        handle.close()
        held.close_descriptors()
        raise ArchiveMovedError(
            f"another process has {self.file} open by another name: the file was moved, linked or mounted"
            " there; its newest changes are in the -wal beside that name: use that name, or end that process",
            path=self.file,
        )

    # Descriptors that something else closed

    def _note_numbers(self, handle: Handle, before: frozenset[int] | None) -> None:
        """Remember which descriptors SQLite has opened for the handle since `before`."""
        held = self._hold  # another thread may be closing the archive
        if held is not None and before is not None:
            handle.numbers = {**handle.numbers, **held.numbers_since(before)}
            handle.noted = held.sqlite
            handle.noted.add(handle.numbers)

    def _require_descriptors(self, handle: Handle | None) -> None:
        """Open everything afresh if a program has closed our descriptors, as daemonizers do.

        Call before `busy` is held. SQLite has lost its descriptors too, and their numbers may lead to files of
        the user by now.

        Raises:
            ArchiveIOError: the process has no descriptor left.
        """
        held = self._hold
        if held is None:
            held = hold.find_lost()
        elif file_id(held.main) == held.main_id and (handle is None or handle.has_own_lowest_number()):
            return
        if held is not None:
            self._sections.run(partial(self._renew_descriptors, held))

    def _has_descriptors(self, handle: Handle) -> bool:
        held = self._hold
        return held is None or (held.is_intact() and handle.has_own_numbers())

    def _renew_descriptors(self, held: Hold) -> None:
        """Close every connection of the process to the archive, but nothing that stands at a lost number.

        The next statements open them again. Nothing committed is lost: without locks and connections, this
        process is to the archive as one that was killed.
        """
        with forks.GATE, ExitStack() as stack:
            users = [one for one in forks.connections() if isinstance(one, OpenedFile) and one._hold is held]
            handles = [handle for user in users for handle in list(user._handles)]
            free = [handle for handle in handles if handle.busy.acquire(timeout=self.busy_wait_s)]
            for handle in free:
                stack.callback(handle.busy.release)
            if held.is_given_up or (held.is_intact() and all(handle.has_own_numbers() for handle in free)):
                return  # another thread was faster, or a handle was closed while it was looked at
            try:
                with set_aside(held.sqlite.all(), held.ids):
                    for handle in free:
                        with suppress(sqlite3.Error):
                            handle.close()
            except OSError as error:
                raise ArchiveIOError(
                    f"a program closed the descriptors of {self.file}, and it cannot be opened again"
                    f" ({error.strerror}); allow the process more open files",
                    path=self.file,
                ) from error
            held.sqlite.clear()
            if not held.is_intact():
                hold.abandon(held)
                for user in users:
                    user._hold = None

    def close(self) -> None:
        """Close the connections of every thread. The last process that closes copies the WAL into the file."""
        if self._closed:
            return
        forks.prepare_late()
        try:
            before_close = self.before_close  # once: another thread may be putting the journal away
            if before_close is not None and self._unsafe is None:
                before_close()
        finally:
            self._close_handles()
            forks.forget(self)
            if self.on_close is not None:
                self.on_close()

    def _close_handles(self) -> None:
        self._closed = True
        handles = list(self._handles)  # before the threads end, which drop theirs
        if self._hold is not None and not all(self._has_descriptors(handle) for handle in handles):
            self._sections.run(partial(self._renew_descriptors, self._hold))
            self._fold()
        with self._lock:
            held, self._hold = self._hold, None
        last = held is not None and hold.give_back(held)
        if held is not None and last:
            leave_cut_wal(held)
        if held is not None and last and not held.leaves_wal:
            leave_to_another_file(held)
            # SQLite's own locks first: an open and close elsewhere in this process may have dropped them.
            held.renew()
            held.release_locks()
            if held.is_renamed():
                fold_renamed(held, handles)
        for handle in handles:
            # If a thread is still busy after the wait, its handle is closed when the thread drops it.
            if handle.busy.acquire(timeout=self.busy_wait_s):
                try:
                    handle.close()
                finally:
                    handle.busy.release()
        self._local = threading.local()
        self._given_up.clear()
        for thread in (self._sections, *self._idle_readers):
            thread.ask_to_end()
        self._close_left()
        if held is not None and last:
            if not held.leaves_wal:
                self._fold_what_is_left(held)
            held.close_descriptors()
        own_files.forget(self)

    def _fold_what_is_left(self, held: Hold) -> None:
        """Copy the WAL into the file if it is still there and no process has the archive open.

        Of several processes that leave at once, each sees the others' locks, and none copies it.
        """
        if not os.access(self.file, os.W_OK):
            return  # said when it was opened
        for _ in range(FOLDS):
            if not os.path.exists(held.wal_path) or held.is_used_by_others():
                return
            time.sleep(choose_pause(0, 0.002))
            self._fold()
        left = wal_bytes(self.file)
        if left and not held.is_used_by_others():
            warn(
                f"{left:,} bytes of what was stored are still in {held.wal_path}, because they could not be"
                f" copied into {self.file}; keep both files together, make room on the disk, and open it again"
            )

    def _fold(self) -> None:
        """Open the archive and close it, which copies the WAL into the file if no process has it open."""
        with suppress(*SQLITE_FAILURE, ExptrackError):
            raw = self._connect()
            try:
                raw.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            finally:
                raw.close()

    def __del__(self) -> None:
        # A connection that was dropped without close(): its threads, locks and descriptors end with it.
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            forks.prepare_late()
            self._close_handles()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def current_hold(self) -> Hold | None:
        """The hold on the file; None before the first statement, after ``close()`` and on other systems."""
        return self._hold

    # Forks

    def close_before_fork(self, deadline: float) -> list[threading.RLock] | None:
        """Close every SQLite connection; return the locks that keep them closed, or None if one is in use."""
        held: list[threading.RLock] = []
        if self._hold is not None and not all(self._has_descriptors(handle) for handle in list(self._handles)):
            self._renew_descriptors(self._hold)
        self._close_left()
        for handle in list(self._handles):
            entered = handle.busy.acquire(timeout=max(0.0, deadline - time.monotonic()))
            if entered:
                held.append(handle.busy)
            if not entered or handle.depth:  # of a transaction that the forking thread itself is inside
                for lock in held:
                    lock.release()
                return None
            handle.close()
        return held

    def begin_as_child(self, unsafe: str | None) -> None:
        """In a forked child: forget what belongs to the parent. `unsafe` says why SQLite may not be used."""
        for handle in list(self._handles):
            forks.keep_for_ever(handle.abandon())
        forks.keep_for_ever(self._left)
        self._begin_afresh()
        self._unsafe = self._unsafe or unsafe
        self._proven = self._unsafe is not None

    # Inside a section or reading

    @property
    def caller_has_given_up(self) -> bool:
        """Whether the caller of the section under way, in which this is asked, waits for it no longer."""
        return self._sections.is_here and self._sections.caller_has_given_up

    @property
    def _inside(self) -> str:
        """What the calling thread is inside: SECTION, READING or nothing."""
        found: str = getattr(self._local, "inside", "")
        return found

    def _require_inside(self, what: str) -> None:
        if not self._inside:
            self.require_open()  # a close in another thread forgets who is inside
            raise RuntimeError(f"{what} outside of a section or reading")

    # Which file it is

    def remember_identity(self) -> None:
        """Remember which file `path` leads to, so that the next commit notices a rename or replacement."""
        self._identity = file_id(self.file)
        handle = self._handle()
        with handle.busy:
            self._raw(handle)
            if self._hold is None:
                self._take_hold(handle)
                self._note_numbers(handle, self._opened_before)

    def check_identity(self) -> None:
        """Refuse to go on when `path` no longer leads to the file that was opened.

        Raises:
            ArchiveMovedError: the file was renamed, replaced or deleted.
        """
        if self._identity is None:
            return
        try:
            status = os.stat(self.file)
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._identity:
            raise ArchiveMovedError(
                f"{self.file} was moved, replaced or deleted while it was open, so nothing more is written;"
                " put it back, or open it at its new place",
                path=self.file,
            )
        if not status.st_size:
            raise ArchiveMovedError(
                f"{self.file} was emptied while it was open, so nothing more is written; restore it",
                path=self.file,
            )

    # Errors and waiting

    def translate(self, error: Exception, waited_s: float = 0.0) -> Exception:
        """Return exptrack's error for one of SQLite, or the same error where there is none.

        `waited_s` is how long the call has waited for the lock.
        """
        if self._closed:
            return ArchiveClosedError(
                f"{self.file} was closed by another thread; open it again", path=self.file
            )
        found = translate(error, self.file, waited_s)
        if found is error:  # "no such table": of another file in this one's place, perhaps
            try:
                self.check_identity()
            except ArchiveMovedError as moved:
                return moved
        return found

    def waiting_at_most(self, seconds: float | None) -> AbstractContextManager[None]:
        """Wait at most this long for other writers in the block, if a time is given. Call inside a section."""
        return self._patience.at_most(seconds)

    def _run_waiting(self, run: Callable[[], _T]) -> _T:
        """Call `run` outside a transaction, and again while another connection holds the lock."""
        began: float | None = None
        while True:
            try:
                return run()
            except SQLITE_FAILURE as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise self.translate(error) from error
                began = began or time.monotonic()
                waited_s = time.monotonic() - began
                run_out = self._patience.has_run_out(waited_s, self.busy_wait_s)
                if run_out or self._closed or self.caller_has_given_up:
                    raise self.translate(error, waited_s) from error
            pause()


def close_all() -> None:
    """Close what the script left open, so that the file alone holds everything.

    ``import exptrack`` registers this, to run after what ends the runs that are still open.
    """
    for connection in forks.connections():
        if isinstance(connection, OpenedFile):
            try:
                connection.close()
            except ExptrackError as error:
                warn(f"{connection.file} could not be closed in order: {error}")
