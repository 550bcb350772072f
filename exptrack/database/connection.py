"""The connection to an archive file: statements, transactions, checkpoints, translated errors.

Invariants, and what they prevent:

- A process uses one SQLite library, the one of Python. When a second library closes the same file, the first
  one loses its POSIX locks, and acknowledged commits vanish.
- exptrack never calls ``open()`` on the database file: closing any descriptor of it drops the locks too.
  The identity of a file is read through SQLite.
- Every thread has a SQLite connection of its own, and every process a set of its own. A forked child never uses
  or closes its parent's connections.
- Every write happens in ``BEGIN IMMEDIATE``. A read transaction that becomes a write transaction gets BUSY at
  once, whatever the timeout. exptrack itself waits for locks, in random steps of 0.5 to 4 ms: SQLite's own
  back-off let one writer of sixteen wait for seconds.
- A checkpoint runs on a second connection, only while this process holds SQLite's write lock, and automatic
  checkpoints are off. The WAL-reset bug of SQLite 3.7.0 to 3.51.2 needs another connection to commit during a
  checkpoint, so it cannot happen between exptrack's processes. (When the last connection closes, SQLite
  checkpoints under its exclusive file lock.)
- ``synchronous`` is NORMAL. It is FULL for a transaction that promises to survive a power cut.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from exptrack.database.checkpoint_warning import warn_of_checkpoint
from exptrack.database.failures import primary_code, translate
from exptrack.database.functions import register_functions
from exptrack.errors import (
    ArchiveClosedError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    ExptrackError,
    UnsupportedSqliteError,
)

Row: TypeAlias = sqlite3.Row
Parameters: TypeAlias = Sequence[Any] | dict[str, Any]
_T = TypeVar("_T")

OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables
SQLITE_VERSION = sqlite3.sqlite_version
BUSY_WAIT_S = 30.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.0005, 0.004  # between two attempts to get a lock
CHECKPOINT_COMMITS = 64
CHECKPOINT_WAL_BYTES = 8 * 1024 * 1024
VACUUM_PAGES = 8192  # freed in one transaction
ROWS_AT_ONCE = 256

# Connections that a forked child inherited. They are kept alive so that their destructor never runs there.
_INHERITED: list[object] = []


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse an SQLite library without STRICT tables.

    Raises:
        UnsupportedSqliteError: Python's SQLite is older than 3.37.
    """
    if version < OLDEST_SQLITE:
        raise UnsupportedSqliteError(
            f"exptrack needs SQLite 3.37 or newer, but this Python has {'.'.join(map(str, version))};"
            " install a newer Python, which brings its own SQLite"
        )


class _Handle:
    """One thread's SQLite connection and its transaction depth."""

    # Kept in the class too: at the end of the interpreter the module's names may go before the last handle.
    _getpid = staticmethod(os.getpid)
    _inherited = _INHERITED

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.pid = os.getpid()
        self.depth = 0
        # Held while a statement or transaction runs. Closing the connection then would crash the interpreter.
        self.busy = threading.RLock()
        self.checkpointer: sqlite3.Connection | None = None
        self.commits = 0

    def close(self) -> None:
        if self.pid != self._getpid():
            self._inherited.extend(c for c in (self.raw, self.checkpointer) if c is not None)
            return
        if self.checkpointer is not None:
            self.checkpointer.close()
        self.raw.close()

    def __del__(self) -> None:
        self.close()


class Connection:
    """Run statements on one archive file; safe to share between threads and over a fork.

    `path` is absolute. `mode` is ``"rw"``, ``"ro"`` (reads, and sees the commits of other processes) or
    ``"immutable"`` (for a file without a WAL on a medium that cannot be written). The file is opened at the
    first statement.
    """

    def __init__(self, path: Path, mode: str = "rw") -> None:
        require_sqlite()
        self.path = path
        self.mode = mode
        self.busy_wait_s = BUSY_WAIT_S
        self.trace: Callable[[str], None] | None = None
        self.before_close: Callable[[], None] | None = None  # called while statements still run
        self.on_close: Callable[[], None] | None = None
        self._local = threading.local()
        self._handles: weakref.WeakSet[_Handle] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._identity: tuple[int, int] | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"Connection({str(self.path)!r}, {self.mode!r})"

    # Opening and closing

    def connect(self) -> sqlite3.Connection:
        """Open one more SQLite connection and set its pragmas; the caller closes it."""
        query = {"rw": "mode=rw", "ro": "mode=ro", "immutable": "mode=ro&immutable=1"}[self.mode]
        try:
            raw = sqlite3.connect(
                f"{self.path.as_uri()}?{query}",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
        except sqlite3.Error as error:
            if not self.path.exists():
                raise ArchiveNotFoundError(
                    f"there is no archive at {self.path}; check the path", path=str(self.path)
                ) from None
            raise self.translate(error) from error
        raw.row_factory = sqlite3.Row
        if self.trace is not None:
            raw.set_trace_callback(self.trace)
        try:
            self._run_waiting(lambda: self._configure(raw))
        except ExptrackError:
            raw.close()
            raise
        return raw

    def _configure(self, raw: sqlite3.Connection) -> None:
        """Set the pragmas. Some read the schema, which is locked while another process creates the file."""
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA trusted_schema = OFF")
        raw.execute("PRAGMA cell_size_check = ON")
        raw.execute("PRAGMA mmap_size = 0")
        raw.execute("PRAGMA cache_size = -16000")
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        register_functions(raw)
        if self.mode == "rw":
            raw.execute("PRAGMA synchronous = NORMAL")
            # Without a limit a WAL keeps its size when it starts afresh, and every commit would checkpoint.
            raw.execute("PRAGMA journal_size_limit = 0")
        else:
            raw.execute("PRAGMA query_only = ON")

    def require_open(self) -> None:
        """Refuse to go on after ``close()``.

        Raises:
            ArchiveClosedError: the connection was closed.
        """
        if self._closed:
            raise ArchiveClosedError(f"{self.path} was closed; open it again", path=str(self.path))

    def _handle(self) -> _Handle:
        """Return this thread's handle; the first call of a thread opens it."""
        self.require_open()
        pid = os.getpid()
        if pid != self._pid:
            self._disown_parent(pid)
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = _Handle(self.connect())
            self._local.handle = handle
            with self._lock:
                self._handles.add(handle)
        return handle

    def _disown_parent(self, pid: int) -> None:
        """Leave the parent's connections untouched in a forked child, and start with none."""
        for handle in list(self._handles):
            _INHERITED.append(handle)
            _make_immortal(handle)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._handles = weakref.WeakSet()
        self._pid = pid

    def close(self) -> None:
        """Close the connections of every thread. The last process that closes copies the WAL into the file."""
        if self._closed:
            return
        if os.getpid() != self._pid:
            self._disown_parent(os.getpid())
        try:
            if self.before_close is not None:
                self.before_close()
        finally:
            self._close_handles()

    def _close_handles(self) -> None:
        self._closed = True
        with self._lock:
            handles = list(self._handles)
            self._handles.clear()
        for handle in handles:
            # If a thread is still busy after the wait, its handle is closed when the thread drops it.
            if handle.busy.acquire(timeout=self.busy_wait_s):
                try:
                    handle.close()
                finally:
                    handle.busy.release()
        self._local = threading.local()
        if self.on_close is not None:
            self.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self._closed

    def remember_identity(self) -> None:
        """Remember which file `path` leads to, so that the next commit notices a rename or replacement."""
        status = os.stat(self.path)
        self._identity = (status.st_dev, status.st_ino)

    def check_identity(self) -> None:
        """Refuse to go on when `path` no longer leads to the file that was opened.

        Raises:
            ArchiveMovedError: the file was renamed, replaced or deleted.
        """
        if self._identity is None:
            return
        with suppress(OSError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                return
        raise ArchiveMovedError(
            f"{self.path} was moved, replaced or deleted while it was open, so nothing more is written;"
            " put it back, or open it at its new place",
            path=str(self.path),
        )

    # Statements

    def translate(self, error: sqlite3.Error) -> Exception:
        """Return exptrack's error for one of SQLite, or the same error where there is none."""
        if self._closed:
            return ArchiveClosedError(
                f"{self.path} was closed by another thread; open it again", path=str(self.path)
            )
        return translate(error, self.path)

    def _run_waiting(self, run: Callable[[], Any]) -> Any:
        """Call `run` outside a transaction, and again while another connection holds the lock."""
        deadline: float | None = None
        while True:
            try:
                return run()
            except sqlite3.Error as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise self.translate(error) from error
                now = time.monotonic()
                deadline = deadline or now + self.busy_wait_s
                if now >= deadline or self._closed:
                    raise self.translate(error) from error
            time.sleep(random.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))

    def _run_statement(self, handle: _Handle, run: Callable[[], Any]) -> Any:
        """Call `run`, which runs one statement. Inside a transaction the lock is held, so it never waits."""
        if not handle.depth:
            return self._run_waiting(run)
        try:
            return run()
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement on this thread's connection and return its cursor."""
        handle = self._handle()
        with handle.busy:
            cursor: sqlite3.Cursor = self._run_statement(handle, lambda: handle.raw.execute(sql, parameters))
        return cursor

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for every row. Call inside a transaction."""
        handle = self._handle()
        with handle.busy:
            self._run_statement(handle, lambda: handle.raw.executemany(sql, rows))

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return every row of a query."""
        try:
            with self._handle().busy:
                return self.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        try:
            with self._handle().busy:
                row: Row | None = self.execute(sql, parameters).fetchone()
            return row
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Yield the rows of a query while SQLite finds them, 256 at a time."""
        cursor = self.execute(sql, parameters)
        handle = self._handle()
        try:
            while True:
                with handle.busy:
                    rows = cursor.fetchmany(ROWS_AT_ONCE)
                if not rows:
                    return
                yield from rows
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def fold(self, sql: str, parameters: Parameters, take: Callable[[Iterator[tuple[Any, ...]]], _T]) -> _T:
        """Return what `take` makes of a query's rows. The rows are bare tuples, which are faster in bulk."""
        try:
            with self._handle().busy:
                cursor = self.execute(sql, parameters)
                cursor.row_factory = None
                return take(cursor)
        except sqlite3.Error as error:
            raise self.translate(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read inside the block what the file held at the first query, whatever other connections commit."""
        handle = self._handle()
        with handle.busy:
            if handle.raw.in_transaction:
                yield
                return
            handle.raw.execute("BEGIN")
            try:
                yield
            finally:
                if handle.pid == os.getpid() and handle.raw.in_transaction:
                    handle.raw.execute("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        return self._handle().depth > 0

    # Transactions

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """Write everything in the block or nothing of it.

        Blocks nest: a failure in an inner block undoes the inner part only. Waits up to 30 s for other writers.
        When the outermost block ends, its changes survive a SIGKILL; with `durable` also a power cut.

        Raises:
            ArchiveReadOnlyError: the connection was opened for reading.
            ArchiveLockedError: another process held the write lock for over 30 s.
            ArchiveMovedError: the file was moved, replaced or deleted.
        """
        handle = self._handle()
        if handle.depth:
            with self._savepoint(handle):
                yield
            return
        if self.mode != "rw":
            raise ArchiveReadOnlyError(
                f"{self.path} was opened for reading only; open it with mode 'rw'", path=str(self.path)
            )
        with handle.busy:
            self.require_open()
            with self._outermost(handle, durable):
                yield

    @contextmanager
    def _outermost(self, handle: _Handle, durable: bool) -> Iterator[None]:
        if durable:
            handle.raw.execute("PRAGMA synchronous = FULL")
        try:
            self._run_statement(handle, lambda: handle.raw.execute("BEGIN IMMEDIATE"))
            handle.depth = 1
            try:
                yield
                self.check_identity()
                self._commit(handle)
            except BaseException:
                # After some failures (disk full, I/O) SQLite has rolled back already. In a child that was
                # forked inside the block, the transaction belongs to the parent.
                if handle.pid == os.getpid() and handle.raw.in_transaction:
                    handle.raw.execute("ROLLBACK")
                raise
            finally:
                handle.depth = 0
        finally:
            if durable and handle.pid == os.getpid():
                handle.raw.execute("PRAGMA synchronous = NORMAL")
        self._checkpoint_if_due(handle)

    def _commit(self, handle: _Handle) -> None:
        if handle.pid != os.getpid():
            raise ArchiveClosedError(
                "this process was forked inside a transaction, which only its parent can commit;"
                " fork outside of it",
                path=str(self.path),
            )
        try:
            handle.raw.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.translate(error) from error

    @contextmanager
    def _savepoint(self, handle: _Handle) -> Iterator[None]:
        name = f"level_{handle.depth}"
        handle.raw.execute(f"SAVEPOINT {name}")
        handle.depth += 1
        try:
            yield
        except BaseException:
            if handle.raw.in_transaction:
                handle.raw.execute(f"ROLLBACK TO {name}")
                handle.raw.execute(f"RELEASE {name}")
            raise
        else:
            handle.raw.execute(f"RELEASE {name}")
        finally:
            handle.depth -= 1

    # Checkpoints

    def checkpoint(self) -> None:
        """Copy the WAL into the file while holding the write lock; waits for writers."""
        handle = self._handle()
        with handle.busy:
            self._run_waiting(lambda: self._checkpoint(handle))

    def _checkpoint_if_due(self, handle: _Handle) -> None:
        """Checkpoint once the WAL has reached its limit; wait for the lock once it is four times as large."""
        handle.commits += 1
        try:
            size = os.stat(f"{self.path}-wal").st_size
        except OSError:
            size = 0
        if handle.commits < CHECKPOINT_COMMITS and size < CHECKPOINT_WAL_BYTES:
            return
        # The commit stands even if this fails: the WAL keeps its content, and the next commit tries again.
        try:
            if size > 4 * CHECKPOINT_WAL_BYTES:
                self._run_waiting(lambda: self._checkpoint(handle))
            else:
                self._checkpoint(handle)
        except ExptrackError as error:
            warn_of_checkpoint(self.path, error, size)
        except sqlite3.Error as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                warn_of_checkpoint(self.path, self.translate(error), size)

    def _checkpoint(self, handle: _Handle) -> None:
        """Checkpoint on a second connection while this one holds the write lock in an empty transaction.

        So no process can commit meanwhile and reset the WAL. The transaction has to be empty: frames written in
        it would keep the next writer from starting the WAL afresh.
        """
        if handle.checkpointer is None:
            handle.checkpointer = self.connect()
        handle.raw.execute("BEGIN IMMEDIATE")
        try:
            handle.checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            handle.raw.execute("ROLLBACK")
        handle.commits = 0

    def vacuum_free_pages(self) -> int:
        """Give free pages back to the file system (SQLite's incremental vacuum); return how many bytes.

        Frees 8,192 pages a transaction, so that other writers get their turn.
        """
        handle = self._handle()
        page_bytes = int(self.value("PRAGMA page_size"))
        before = int(self.value("PRAGMA page_count"))
        free = int(self.value("PRAGMA freelist_count"))
        while free:
            with handle.busy:
                self._incremental_vacuum(handle)
                self._checkpoint_if_due(handle)
            left = int(self.value("PRAGMA freelist_count"))
            if left >= free:  # other writers use and free pages too
                break
            free = left
        self.checkpoint()
        return max(0, before - int(self.value("PRAGMA page_count"))) * page_bytes

    def _incremental_vacuum(self, handle: _Handle) -> None:
        """Free up to 8,192 pages in one transaction.

        The pragma frees one page a step. Python's ``execute`` steps once, ``executescript`` to the end. That
        would commit an open transaction, so the script has its own.
        """
        script = f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({VACUUM_PAGES}); COMMIT"
        try:
            self._run_statement(handle, lambda: handle.raw.executescript(script))
        finally:
            if handle.raw.in_transaction:
                handle.raw.execute("ROLLBACK")

    def count_rows(self) -> dict[str, int]:
        """Count the rows of each table, by name."""
        import sqlite_utils

        database = sqlite_utils.Database(self._handle().raw)
        names = [name for name in database.table_names() if not name.startswith("sqlite_")]
        return {name: database.table(name).count for name in sorted(names)}


def _make_immortal(thing: object) -> None:
    """Keep `thing` alive for ever, so that the end of the interpreter does not close it in a forked child."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
