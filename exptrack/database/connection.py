"""The connection to an archive file: statements, transactions, checkpoints, translated errors.

Invariants, and what they prevent:

- A process uses one SQLite library, the one of Python. When a second library closes the same file, the first
  one loses its POSIX locks, and acknowledged commits vanish.
- Closing any descriptor of the file drops SQLite's locks, so exptrack never calls ``open()`` on it. For
  users who do, `hold` keeps locks that a close cannot drop, and each commit checks that the side files are
  still its own.
- Every thread has a SQLite connection of its own. No connection crosses a fork (`forks`).
- Changes run in a thread of ours (`sections`): no interrupt cuts one in two. A statement that only reads
  runs in the caller's thread, without a cursor that outlives it.
- Every write happens in ``BEGIN IMMEDIATE``. A read transaction that becomes a write transaction gets BUSY at
  once, whatever the timeout. exptrack itself waits for locks, in random steps of 0.5 to 4 ms: SQLite's own
  back-off let one writer of sixteen wait for seconds.
- A checkpoint runs only while a second connection of this process holds SQLite's write lock, and automatic
  checkpoints are off. The WAL-reset bug of SQLite 3.7.0 to 3.51.2 needs another connection to commit during a
  checkpoint, so it cannot happen between exptrack's processes. (When the last connection closes, SQLite
  checkpoints under its exclusive file lock, and so does exptrack where the file was renamed.)
- ``synchronous`` is NORMAL. It is FULL for a transaction that promises to survive a power cut.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps

from exptrack.database.checkpoint_warning import warn_of_checkpoint, warn_of_long_reader
from exptrack.database.descriptors import open_numbers
from exptrack.database.failures import primary_code
from exptrack.database.frozen import run_unchanged
from exptrack.database.handle import Bulk, Handle, outcome
from exptrack.database.hold import begin_alone
from exptrack.database.opened_file import READING, SECTION
from exptrack.database.rest import Resting
from exptrack.database.sections import SectionThread
from exptrack.database.side_files import AnotherWrite
from exptrack.database.statements import Parameters, Row, StatementRunner
from exptrack.database.time_limit import current_limit, under_limit
from exptrack.errors import (
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveReadOnlyError,
    ExptrackError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Concatenate, ParamSpec, TypeVar

    _T = TypeVar("_T")
    _Subject = TypeVar("_Subject")
    _P = ParamSpec("_P")


__all__ = ["Connection", "Parameters", "Row", "in_reading", "in_section"]


CHECKPOINT_COMMITS = 64
CHECKPOINT_WAL_BYTES = 8 * 1024 * 1024
VACUUM_PAGES = 8192  # freed in one transaction
ATTACH = "ATTACH ? AS source"
IMAGE = "batch"  # the name of the schema that holds rows to be inserted
ATTEMPTS = 5  # to run a section while something else drops its lock


class Connection(Resting):
    """Run statements on one archive file; safe to share between threads and over a fork.

    A single statement runs in the caller's thread. What needs several statements runs in a thread of ours,
    so that no exception thrown at the caller cuts it in two: changes as sections (:func:`in_section`),
    reads of one moment as readings (:func:`in_reading`).
    """

    # Sections and readings

    def section(self, work: Callable[[], _T], *, within_s: float | None = None) -> _T:
        """Run a change whole, in the thread for changes; in place inside another section.

        Inside a reading it runs in that thread too, so the reading sees it only if it has not read before.

        `work` runs again if the write lock or the WAL was lost before its commit. So it changes nothing but the
        archive until its transaction has ended.

        `within_s` is how long it may wait, for other sections and for locks; a section at work ends whole.

        Raises:
            ArchiveLockedError: it could not begin, or could not get the lock, `within_s` seconds long.
        """
        if self._inside == SECTION:
            return work()
        self.require_open()
        check = self.before_section  # once: another thread may be putting the journal away
        if check is not None:
            check()
        whole = partial(self._run_inside, SECTION, work, ATTEMPTS)
        try:
            return self._sections.run(whole, within_s=within_s)
        except TimeoutError:
            raise ArchiveLockedError(
                f"{self.file} is still being written by an earlier call of this process; try again",
                path=self.file,
            ) from None

    def reading(self, work: Callable[[], _T]) -> _T:
        """Run several queries on the file as it is at the first of them; in place inside a section.

        An exception thrown at the caller stops the query under way.
        """
        if self._inside:
            with self.snapshot():
                return work()
        self.require_open()
        try:
            reader = self._idle_readers.pop()
        except IndexError:
            reader = SectionThread()
        used: list[Handle] = []
        limit = current_limit()

        def read() -> _T:
            handle = self._handle()
            used.append(handle)

            def once() -> _T:
                with self.snapshot():
                    return work()

            with handle.busy:
                if self.mode != "frozen":
                    return once()
                return run_unchanged(self.file, lambda: handle.seen, handle.close, once)

        whole = partial(self._run_inside, READING, read, ATTEMPTS)

        def stop() -> None:
            for handle in used:
                if handle.raw is not None:
                    handle.raw.interrupt()

        try:
            return reader.run(partial(under_limit, limit, whole), stop)
        finally:
            if self._closed:
                reader.ask_to_end()
            else:
                self._idle_readers.append(reader)
                self.close_idle()

    def _run_inside(self, kind: str, work: Callable[[], _T], attempts: int) -> _T:
        self._local.inside = kind
        try:
            for _ in range(attempts):
                self._require_descriptors(self._own_handle())
                try:
                    return work()
                except AnotherWrite as found:
                    again: BaseException = found
                except ArchiveIOError as error:
                    if not self._has_its_wal_again():
                        raise
                    again = error
            raise ArchiveIOError(
                f"the lock on {self.file} was dropped while it was being written, by something that opens and"
                " closes its -shm file; stop it and try again",
                path=self.file,
            ) from again
        finally:
            self._local.inside = ""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read inside the block what the file held at the first query. Call inside a section or reading."""
        self._require_inside("snapshot")
        handle = self._handle()
        with handle.busy:
            raw = self._raw(handle)
            if raw.in_transaction:
                yield
                return
            raw.execute("BEGIN")
            try:
                yield
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        """Whether the caller is inside a section's transaction."""
        handle: Handle | None = getattr(self._local, "handle", None)
        return handle is not None and handle.depth > 0

    # Single statements that read

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return every row of a query."""
        if self._transacting() is not None:
            return StatementRunner.all(self, sql, parameters)
        return self._read(lambda: StatementRunner.all(self, sql, parameters))

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        if self._transacting() is not None:
            return StatementRunner.one(self, sql, parameters)
        return self._read(lambda: StatementRunner.one(self, sql, parameters))

    def fold(self, sql: str, parameters: Parameters, take: Callable[[Iterator[tuple[Any, ...]]], _T]) -> _T:
        """Give the rows of a query to `take`, and return its result. `take` may be called twice."""
        if self._transacting() is not None:
            return StatementRunner.fold(self, sql, parameters, take)
        return self._read(lambda: StatementRunner.fold(self, sql, parameters, take))

    def _read(self, read: Callable[[], _T]) -> _T:
        """Read; read again where a deleted WAL has been put back."""
        try:
            return read()
        except ArchiveIOError:
            if self._inside or not self._has_its_wal_again():
                raise
        return read()

    # Transactions

    @contextmanager
    def transaction(self, *, durable: bool = False, wal_bytes: int | None = None) -> Iterator[None]:
        """Write everything in the block or nothing of it. Call inside a section.

        Blocks nest: a failure in an inner block undoes the inner part only. Waits up to 30 s for other writers;
        once a wait has run out, later calls wait 1 s, until a transaction has begun. When the outermost block
        ends, its changes survive a SIGKILL; with `durable` also a power cut.

        One transaction of many that write much gives `wal_bytes`, up to which the WAL may grow before it is
        copied into the file. The next transaction that does not give it copies the WAL.

        Raises:
            ArchiveReadOnlyError: the connection was opened for reading.
            ArchiveLockedError: another process held the write lock all the time.
            ArchiveMovedError: the file was moved, replaced or deleted.
        """
        self._require_inside("transaction")
        handle = self._handle()
        if handle.depth:
            with self._savepoint(handle):
                yield
            return
        self._require_descriptors(handle)
        if self.mode != "rw":
            raise ArchiveReadOnlyError(
                f"{self.file} was opened for reading only; open it with mode 'rw'", path=self.file
            )
        with self.awake(handle):
            self.require_open()
            with self._outermost(handle, durable, wal_bytes):
                yield

    @contextmanager
    def _outermost(self, handle: Handle, durable: bool, wal_bytes: int | None) -> Iterator[None]:
        raw = self._raw(handle)
        if durable:
            raw.execute("PRAGMA synchronous = FULL")
        try:
            with self._alone(handle, lambda: raw.execute("BEGIN IMMEDIATE")):
                self._patience.got_the_lock()
                handle.depth = 1
                try:
                    yield
                    self._require_own_file()
                    self._require_own_place(handle)
                    self._commit(raw)
                except BaseException as error:
                    # After some failures (disk full, I/O) SQLite has rolled back already.
                    if handle.raw is raw and raw.in_transaction:
                        raw.execute("ROLLBACK")
                    if isinstance(error, ArchiveIOError) and not self._has_descriptors(handle):
                        raise AnotherWrite from error
                    if isinstance(error, sqlite3.Error):
                        self.check_identity()  # another file in this one's place lacks our tables
                    raise
                finally:
                    handle.depth = 0
                self._make_sure_of_commit(handle)
        finally:
            if durable and handle.raw is raw:
                raw.execute("PRAGMA synchronous = NORMAL")
        if handle.raw is raw:
            self._checkpoint_if_due(handle, wal_bytes)

    def _commit(self, raw: sqlite3.Connection) -> None:
        # Waits in rollback mode only, while a file is created: readers then keep a commit from its end.
        self._run_waiting(lambda: raw.execute("COMMIT"))

    @contextmanager
    def _savepoint(self, handle: Handle) -> Iterator[None]:
        raw = self._raw(handle)
        name = f"level_{handle.depth}"
        raw.execute(f"SAVEPOINT {name}")
        handle.depth += 1
        try:
            yield
        except BaseException:
            if raw.in_transaction:
                raw.execute(f"ROLLBACK TO {name}")
                raw.execute(f"RELEASE {name}")
            raise
        else:
            raw.execute(f"RELEASE {name}")
        finally:
            handle.depth -= 1

    @contextmanager
    def attached(self, path: Path, *, alive: bool = False) -> Iterator[None]:
        """Let statements in the block read another file, as the schema ``source``, and check no foreign keys.

        SQLite cannot change either inside a transaction, so call it in a section, outside of one. Checking
        foreign keys halves the rate of inserting points. The caller writes rows with all that they refer to.
        `alive` says that other connections may write that file. Otherwise SQLite takes no locks on it.
        """
        self._require_inside("attached")
        handle = self._handle()
        with handle.busy:
            raw = self._raw(handle)
            query = "mode=ro" if alive else "mode=ro&immutable=1"
            self._run_statement(handle, lambda: raw.execute(ATTACH, (f"{path.as_uri()}?{query}",)))
            raw.execute("PRAGMA foreign_keys = OFF")
            try:
                yield
            finally:
                # A connection that was lost meanwhile has dropped both.
                if handle.raw is raw:
                    raw.execute("PRAGMA foreign_keys = ON")
                    raw.execute("DETACH source")

    @contextmanager
    def in_bulk(self) -> Iterator[None]:
        """Check no foreign keys in the block, and let it call :meth:`take_image`.

        Call it in a section, outside of a transaction. The caller has made sure of all that its rows refer to.
        """
        self._require_inside("in_bulk")
        handle = self._handle()
        with handle.busy:
            raw = self._raw(handle)
            self._run_statement(handle, lambda: raw.execute("PRAGMA foreign_keys = OFF"))
            handle.bulk = Bulk.BEGUN
            try:
                yield
            finally:
                # A connection that was lost meanwhile has dropped both.
                if handle.raw is raw:
                    try:
                        raw.execute("PRAGMA foreign_keys = ON")
                        if handle.bulk is Bulk.HAS_IMAGE:
                            raw.execute(f"DETACH {IMAGE}")
                        handle.bulk = Bulk.NONE
                    except BaseException:
                        handle.close()  # the next statement opens a connection as it has to be
                        raise

    @property
    def takes_images(self) -> bool:
        """Whether the caller is in a block of :meth:`in_bulk`."""
        handle: Handle | None = getattr(self._local, "handle", None)
        return handle is not None and handle.bulk is not Bulk.NONE

    def take_image(self, image: bytes | bytearray, sql: str) -> None:
        """Run a statement that reads a database given as bytes: the schema ``batch``.

        Call it in a transaction inside :meth:`in_bulk`.
        """
        handle = self._handle()
        with handle.busy:
            raw = self._raw(handle)
            if handle.bulk is not Bulk.HAS_IMAGE:
                self._run_statement(handle, lambda: raw.execute(f"ATTACH ':memory:' AS {IMAGE}"))
                handle.bulk = Bulk.HAS_IMAGE
            self._run_statement(handle, lambda: raw.deserialize(image, name=IMAGE))
            self._run_statement(handle, lambda: outcome(raw.execute(sql)))

    # Checkpoints

    def checkpoint(self) -> None:
        """Copy the WAL into the file while holding the write lock; waits for writers."""

        def copy() -> None:
            handle = self._handle()
            with handle.busy:
                self._run_waiting(lambda: self._checkpoint(handle))

        self.section(copy)

    def checkpoint_if_free(self) -> None:
        """Copy the WAL into the file, unless another process writes. Call inside a section."""
        handle = self._handle()
        with handle.busy:
            self._try_to_checkpoint(handle, wait=False)

    def _checkpoint_if_due(self, handle: Handle, wal_bytes: int | None = None) -> None:
        """Checkpoint once the WAL has grown to its limit; wait for the lock once it is four times as large."""
        handle.commits += 1
        try:
            size = os.stat(f"{self.file}-wal").st_size
        except OSError:
            size = 0
        limit = wal_bytes or CHECKPOINT_WAL_BYTES
        if size < limit and (wal_bytes is not None or handle.commits < CHECKPOINT_COMMITS):
            return
        self._try_to_checkpoint(handle, wait=size > 4 * CHECKPOINT_WAL_BYTES)

    def _try_to_checkpoint(self, handle: Handle, *, wait: bool) -> None:
        """Checkpoint. Nothing is lost if this fails: the WAL keeps its content until the next attempt."""
        try:
            if wait:
                self._run_waiting(lambda: self._checkpoint(handle))
            else:
                self._checkpoint(handle)
        except ExptrackError as error:
            warn_of_checkpoint(self.file, error)
        except sqlite3.Error as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                warn_of_checkpoint(self.file, self.translate(error))

    def _checkpoint(self, handle: Handle) -> None:
        """Checkpoint while a second connection holds the write lock in an empty transaction.

        So no process can commit meanwhile and reset the WAL. The transaction has to be empty: frames written in
        it would keep the next writer from starting the WAL afresh. Which connection does which part matters: a
        checkpoint needs the schema, 0.6 ms to parse, which the first connection has; the lock needs nothing.
        """
        raw = self._raw(handle)
        before = open_numbers() if handle.keeper is None else None
        if handle.keeper is None:
            handle.keeper = self._connect_bare()
        keeper, held = handle.keeper, self._hold
        begin_alone(held, lambda: keeper.execute("BEGIN IMMEDIATE"))
        try:
            self._note_numbers(handle, before)
            if held is not None:
                self._require_whole_wal(held)
            _busy, frames, copied = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            keeper.execute("ROLLBACK")
            if held is not None:
                held.end_write()
        handle.commits = 0
        if copied < frames:
            warn_of_long_reader(self.file)

    def vacuum_free_pages(self) -> int:
        """Give free pages back to the file system (SQLite's incremental vacuum); return how many bytes.

        Frees 8,192 pages a transaction, so that other writers get their turn.
        """
        page_bytes = int(self.value("PRAGMA page_size"))
        before = int(self.value("PRAGMA page_count"))
        free = int(self.value("PRAGMA freelist_count"))
        while free:
            self.section(self._incremental_vacuum)
            left = int(self.value("PRAGMA freelist_count"))
            if left >= free:  # other writers use and free pages too
                break
            free = left
        self.checkpoint()
        return max(0, before - int(self.value("PRAGMA page_count"))) * page_bytes

    def _incremental_vacuum(self) -> None:
        """Free up to 8,192 pages in one transaction.

        The pragma frees one page a step. Python's ``execute`` steps once, ``executescript`` to the end. That
        would commit an open transaction, so the script has its own.
        """
        script = f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({VACUUM_PAGES}); COMMIT"
        handle = self._handle()
        with handle.busy:
            raw = self._raw(handle)
            try:
                with self._alone(handle, lambda: raw.executescript(script)):
                    pass
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
            self._checkpoint_if_due(handle)


def _connection_of(subject: object) -> Connection:
    if isinstance(subject, Connection):
        return subject
    found = getattr(subject, "_connection", None) or getattr(subject, "connection", None)
    assert isinstance(found, Connection)
    return found


def in_section(
    function: Callable[Concatenate[_Subject, _P], _T],
) -> Callable[Concatenate[_Subject, _P], _T]:
    """Decorate a function that changes the archive, so that no exception thrown at its caller cuts it in two.

    Its first argument is a connection, or has one as `_connection` or `connection`. It may be run twice (see
    :meth:`Connection.section`).
    """

    @wraps(function)
    def run(subject: _Subject, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _connection_of(subject).section(lambda: function(subject, *args, **kwargs))

    return run


def in_reading(
    function: Callable[Concatenate[_Subject, _P], _T],
) -> Callable[Concatenate[_Subject, _P], _T]:
    """Decorate a function that reads by several queries, so that all of them see the file of one moment."""

    @wraps(function)
    def run(subject: _Subject, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return _connection_of(subject).reading(lambda: function(subject, *args, **kwargs))

    return run
