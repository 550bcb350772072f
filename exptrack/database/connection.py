"""The only door to SQLite: connections, transactions, checkpoints, error translation.

Invariants, and what they prevent:

- One SQLite library per process, the standard one. A second library on the same file drops the
  first one's POSIX locks when it closes, and acknowledged commits vanish.
- Nobody calls ``open()`` on the database file: closing any descriptor of it drops the locks too.
  Identity is read through SQLite.
- Every thread has a SQLite connection of its own, every process its own set. A forked child leaves the
  parent's connections alone for ever: it neither uses nor closes them.
- Every write happens in ``BEGIN IMMEDIATE``. A read transaction that upgrades itself gets BUSY at once,
  whatever the timeout. Waiting is ours, in random steps of 0.5 to 4 ms: SQLite's own back-off let one
  writer of sixteen wait for seconds.
- A checkpoint happens only while this process holds SQLite's write lock, on a second connection, and
  automatic checkpoints are off. The WAL-reset bug of SQLite 3.7.0 to 3.51.2 needs another connection to
  commit while a checkpoint runs, so between our processes it cannot happen. (The checkpoint at the
  close of the last connection runs under SQLite's exclusive file lock.)
- ``synchronous`` is NORMAL, and FULL for a transaction that promises to survive a power cut.
"""

from __future__ import annotations

import math
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

from exptrack.database.functions import _pack_extremes, _pack_point
from exptrack.database.guarded_sql import ACTION_NAMES, SAFE_FUNCTIONS, SAFE_PRAGMAS
from exptrack.errors import (
    ArchiveClosedError,
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    ArchiveReadOnlyError,
    ExptrackError,
    NotAnArchiveError,
    QueryError,
    UnsupportedSqliteError,
    warn,
)

Row: TypeAlias = sqlite3.Row
Parameters: TypeAlias = Sequence[Any] | dict[str, Any]
_T = TypeVar("_T")

OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables
SQLITE_VERSION = sqlite3.sqlite_version
BUSY_WAIT_S = 30.0
CHECKPOINT_COMMITS = 64
CHECKPOINT_WAL_BYTES = 8 * 1024 * 1024
VACUUM_PAGES = 8192  # of one transaction
MAX_SQL_CHARS = 100_000
ROWS_AT_ONCE = 256

# Archives whose failing checkpoints this process has warned about.
_WARNED: set[Path] = set()

# Connections a forked child inherited: kept alive so that their destructor never runs there.
_INHERITED: list[object] = []

_FAILURES: dict[int, tuple[type[ExptrackError], str]] = {
    sqlite3.SQLITE_BUSY: (ArchiveLockedError, "another process held {path} for over 30 s; try again"),
    sqlite3.SQLITE_LOCKED: (ArchiveLockedError, "{path} is locked by a statement still running"),
    sqlite3.SQLITE_NOTADB: (NotAnArchiveError, "{path} is not an exptrack archive; left untouched"),
    sqlite3.SQLITE_CORRUPT: (
        ArchiveCorruptError,
        "{path} is damaged ({error}); 'exptrack verify' says where",
    ),
    sqlite3.SQLITE_FULL: (ArchiveFullError, "no room to write {path}; free disk space and try again"),
    sqlite3.SQLITE_READONLY: (ArchiveReadOnlyError, "{path} can only be read, not written"),
    sqlite3.SQLITE_CANTOPEN: (ArchiveIOError, "cannot open {path} (or create its -wal beside it)"),
    sqlite3.SQLITE_IOERR: (ArchiveIOError, "the system failed to read or write {path}: {error}"),
    sqlite3.SQLITE_PERM: (ArchiveReadOnlyError, "no permission for {path}"),
}


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse a SQLite without STRICT tables.

    Raises:
        UnsupportedSqliteError: Python's SQLite is older than 3.37.
    """
    if version < OLDEST_SQLITE:
        raise UnsupportedSqliteError(
            f"exptrack needs SQLite 3.37 or newer; this Python has {'.'.join(map(str, version))}."
            " Install a newer Python (its SQLite comes with it)."
        )


def _primary_code(error: sqlite3.Error) -> int:
    """The low byte of an extended result code; 0 for errors of the binding itself."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def _wait_a_little() -> None:
    time.sleep(random.uniform(0.0005, 0.004))


def _uri(path: Path, query: str) -> str:
    return f"{path.as_uri()}?{query}"


class _Handle:
    """One thread's SQLite connection with its transaction depth."""

    # Held here too: at the interpreter's end a module's names may be gone before the last handle is.
    _getpid = staticmethod(os.getpid)
    _inherited = _INHERITED

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.pid = os.getpid()
        self.depth = 0
        # Held while a statement or transaction runs: closing under one is a crash of the interpreter.
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
    """An archive file as this process sees it; safe to share between threads and over a fork.

    `path` is absolute. `mode` is ``"rw"``, ``"ro"`` (reads; sees what others commit) or
    ``"immutable"`` (a file on a medium nobody can write, without a WAL). Nothing is opened
    before the first statement.
    """

    def __init__(self, path: Path, mode: str = "rw") -> None:
        require_sqlite()
        self.path = path
        self.mode = mode
        self.busy_wait_s = BUSY_WAIT_S
        self.trace: Callable[[str], None] | None = None
        self.before_close: Callable[[], None] | None = None  # still able to use the connection
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

    def _connect(self) -> sqlite3.Connection:
        query = {"rw": "mode=rw", "ro": "mode=ro", "immutable": "mode=ro&immutable=1"}[self.mode]
        try:
            raw = sqlite3.connect(
                _uri(self.path, query),
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
        except sqlite3.Error as error:
            if not self.path.exists():
                raise ArchiveNotFoundError(f"there is no archive at {self.path}", path=str(self.path)) from None
            raise self._translated(error) from error
        raw.row_factory = sqlite3.Row
        if self.trace is not None:
            raw.set_trace_callback(self.trace)
        try:
            self._waiting(lambda: self._configure(raw))
        except ExptrackError:
            raw.close()
            raise
        return raw

    def _configure(self, raw: sqlite3.Connection) -> None:
        """Set the pragmas; some read the schema, which a file being created holds locked."""
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA trusted_schema = OFF")
        raw.execute("PRAGMA cell_size_check = ON")
        raw.execute("PRAGMA mmap_size = 0")
        raw.execute("PRAGMA cache_size = -16000")
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        raw.create_function("pack_extremes", 3, _pack_extremes, deterministic=True)
        raw.create_function("pack_point", 3, _pack_point, deterministic=True)
        if self.mode == "rw":
            raw.execute("PRAGMA synchronous = NORMAL")
            # A WAL that kept its size when it begins afresh would be due for a checkpoint after every commit.
            raw.execute("PRAGMA journal_size_limit = 0")
        else:
            raw.execute("PRAGMA query_only = ON")

    def _handle(self) -> _Handle:
        if self._closed:
            raise ArchiveClosedError(f"{self.path} was closed; open it again", path=str(self.path))
        pid = os.getpid()
        if pid != self._pid:
            self._disown_parent(pid)
        handle: _Handle | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = _Handle(self._connect())
            self._local.handle = handle
            with self._lock:
                self._handles.add(handle)
        return handle

    def _disown_parent(self, pid: int) -> None:
        """In a forked child: keep the parent's connections untouched and start afresh."""
        for handle in list(self._handles):
            _INHERITED.append(handle)
            _keep_for_ever(handle)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._handles = weakref.WeakSet()
        self._pid = pid

    def close(self) -> None:
        """Close every thread's connection; the last process to do so folds the WAL into the file."""
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
            # A thread that does not let go closes its own when it is done with it.
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
        """Note which file this is, so that a rename or replacement is noticed at the next commit."""
        status = os.stat(self.path)
        self._identity = (status.st_dev, status.st_ino)

    def check_identity(self) -> None:
        """Raise ArchiveMovedError when `path` no longer leads to the file that was opened."""
        if self._identity is None:
            return
        with suppress(OSError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                return
        raise ArchiveMovedError(
            f"{self.path} was moved, replaced or deleted while it was open; nothing more is written."
            " Put it back or open the new place.",
            path=str(self.path),
        )

    # Statements

    def _translated(self, error: sqlite3.Error) -> Exception:
        if self._closed:
            return ArchiveClosedError(f"{self.path} was closed meanwhile; open it again", path=str(self.path))
        code = _primary_code(error)
        if not code and str(error).startswith("Could not decode"):
            code = sqlite3.SQLITE_CORRUPT  # the binding's own word for a text that is no UTF-8
        failure = _FAILURES.get(code)
        if failure is None:
            return error
        kind, message = failure
        text = message.format(path=self.path, error=error)
        return kind(text, path=str(self.path))  # type: ignore[call-arg]

    def _waiting(self, run: Callable[[], Any]) -> Any:
        """Run something outside a transaction, waiting for whoever holds the file."""
        deadline: float | None = None
        while True:
            try:
                return run()
            except sqlite3.Error as error:
                if not _is_busy(error):
                    raise self._translated(error) from error
                now = time.monotonic()
                deadline = deadline or now + self.busy_wait_s
                if now >= deadline or self._closed:
                    raise self._translated(error) from error
            _wait_a_little()

    def _retrying(self, handle: _Handle, run: Callable[[], Any]) -> Any:
        """Run one statement; inside a transaction there is nobody to wait for."""
        if not handle.depth:
            return self._waiting(run)
        try:
            return run()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def execute(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement in this thread's connection and return its cursor."""
        handle = self._handle()
        with handle.busy:
            cursor: sqlite3.Cursor = self._retrying(handle, lambda: handle.raw.execute(sql, parameters))
        return cursor

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for every row; only inside a transaction."""
        handle = self._handle()
        with handle.busy:
            self._retrying(handle, lambda: handle.raw.executemany(sql, rows))

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of a query."""
        try:
            with self._handle().busy:
                return self.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a query, or None."""
        try:
            with self._handle().busy:
                row: Row | None = self.execute(sql, parameters).fetchone()
            return row
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The rows of a query as SQLite finds them."""
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
            raise self._translated(error) from error

    def fold(self, sql: str, parameters: Parameters, take: Callable[[Iterator[tuple[Any, ...]]], _T]) -> _T:
        """What `take` makes of a query's rows, which come as bare tuples: for reading in bulk."""
        try:
            with self._handle().busy:
                cursor = self.execute(sql, parameters)
                cursor.row_factory = None
                return take(cursor)
        except sqlite3.Error as error:
            raise self._translated(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the file as it is at the first query inside, whatever others commit meanwhile."""
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
        """Write together or not at all; nests (an inner failure undoes the inner part only).

        Waits up to 30 s for other writers. When it returns, the changes survive a SIGKILL;
        with `durable` on the outermost level they survive a power cut too.
        """
        handle = self._handle()
        if handle.depth:
            with self._savepoint(handle):
                yield
            return
        if self.mode != "rw":
            raise ArchiveReadOnlyError(f"{self.path} was opened for reading only", path=str(self.path))
        with handle.busy:
            if self._closed:
                raise ArchiveClosedError(
                    f"{self.path} was closed meanwhile; open it again", path=str(self.path)
                )
            with self._outermost(handle, durable):
                yield

    @contextmanager
    def _outermost(self, handle: _Handle, durable: bool) -> Iterator[None]:
        if durable:
            handle.raw.execute("PRAGMA synchronous = FULL")
        try:
            self._retrying(handle, lambda: handle.raw.execute("BEGIN IMMEDIATE"))
            handle.depth = 1
            try:
                yield
                self.check_identity()
                self._commit(handle)
            except BaseException:
                # Some failures (disk full, I/O) have already rolled back inside SQLite, and in a
                # child forked inside the block the transaction is the parent's.
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
                "this process was forked inside a transaction, which belongs to its parent",
                path=str(self.path),
            )
        try:
            handle.raw.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._translated(error) from error

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
        """Copy what the WAL holds into the file, holding the write lock meanwhile. Waits for writers."""
        handle = self._handle()
        with handle.busy:
            self._waiting(lambda: self._checkpoint(handle))

    def _checkpoint_if_due(self, handle: _Handle) -> None:
        """After a commit: checkpoint once the WAL has grown, and insist on it when it has grown much."""
        handle.commits += 1
        try:
            size = os.stat(f"{self.path}-wal").st_size
        except OSError:
            size = 0
        if handle.commits < CHECKPOINT_COMMITS and size < CHECKPOINT_WAL_BYTES:
            return
        # The commit stands whatever becomes of the checkpoint: what is not copied now stays in the WAL, and
        # the next commit tries again.
        try:
            if size > 4 * CHECKPOINT_WAL_BYTES:
                self._waiting(lambda: self._checkpoint(handle))
            else:
                self._checkpoint(handle)
        except (sqlite3.Error, ExptrackError) as error:
            self._warn_of_checkpoint(error, size)

    def _warn_of_checkpoint(self, error: Exception, wal_bytes: int) -> None:
        """Warn, once per process and archive, of a checkpoint that failed. Being busy for a moment is none."""
        if isinstance(error, sqlite3.Error):
            if _is_busy(error):
                return
            error = self._translated(error)
        if self.path in _WARNED or isinstance(error, ArchiveClosedError):
            return
        _WARNED.add(self.path)
        warn(
            f"the checkpoint of {self.path} failed: {error}. Nothing is lost, but {self.path.name}-wal"
            f" ({wal_bytes / 2**20:.1f} MiB) grows until a checkpoint succeeds; remove the cause, or end every"
            " process that uses the archive"
        )

    def _checkpoint(self, handle: _Handle) -> None:
        """Copy on the second connection while this one holds the write lock in an empty transaction.

        No process can then commit, and so reset the WAL, meanwhile. The transaction has to be empty: frames it
        wrote itself would keep the next writer from starting the WAL afresh.
        """
        if handle.checkpointer is None:
            handle.checkpointer = self._connect()
        handle.raw.execute("BEGIN IMMEDIATE")
        try:
            handle.checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            handle.raw.execute("ROLLBACK")
        handle.commits = 0

    def vacuum_free_pages(self) -> int:
        """Give free pages back to the file system (SQLite's incremental vacuum); return by how many bytes.

        A slice at a time, so that other writers get their turn.
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
            if left >= free:  # others fill and free pages meanwhile
                break
            free = left
        self.checkpoint()
        return max(0, before - int(self.value("PRAGMA page_count"))) * page_bytes

    def _incremental_vacuum(self, handle: _Handle) -> None:
        """Drop some free pages in one transaction.

        The pragma frees a page a step and the binding's ``execute`` steps once; ``executescript`` steps to the
        end. It would commit an open transaction, so it brings its own.
        """
        script = f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({VACUUM_PAGES}); COMMIT"
        try:
            self._retrying(handle, lambda: handle.raw.executescript(script))
        finally:
            if handle.raw.in_transaction:
                handle.raw.execute("ROLLBACK")

    def count_rows(self) -> dict[str, int]:
        """Rows of each table, by name."""
        import sqlite_utils

        database = sqlite_utils.Database(self._handle().raw)
        names = [name for name in database.table_names() if not name.startswith("sqlite_")]
        return {name: database.table(name).count for name in sorted(names)}

    # A stranger's question

    def run_guarded(
        self, sql: str, parameters: Parameters, *, max_rows: int, timeout_s: float
    ) -> tuple[list[str], list[tuple[Any, ...]], bool]:
        """Run one SELECT that may come from anybody; return columns, rows and whether more were left.

        It runs on a connection of its own: read-only, ``query_only``, an authorizer that knows
        SELECT, READ and a list of functions, limits on length, rows and time.

        Raises:
            QueryError: not a single SELECT, something forbidden, too long, or too slow.
        """
        if not 0 < max_rows < 2**31 or not 0 < timeout_s < math.inf:
            raise QueryError("max_rows must be a whole number from 1 and timeout_s seconds above 0")
        self._handle()  # a closed archive answers nothing
        if len(sql) > MAX_SQL_CHARS:
            raise QueryError(f"the statement has {len(sql):,} characters; {MAX_SQL_CHARS:,} are read")
        mode = "immutable" if self.mode == "immutable" else "ro"
        raw = Connection(self.path, mode)._connect()
        denied: list[str] = []

        def authorize(
            action: int, first: str | None, second: str | None, _db: str | None, _by: str | None
        ) -> int:
            if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
                return sqlite3.SQLITE_OK
            if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in SAFE_FUNCTIONS:
                return sqlite3.SQLITE_OK
            if action == sqlite3.SQLITE_FUNCTION:
                denied.append(f"the function {second}()")
            elif action == sqlite3.SQLITE_PRAGMA and first in SAFE_PRAGMAS and second is None:
                return sqlite3.SQLITE_OK
            else:
                denied.append(ACTION_NAMES.get(action, "this statement"))
            return sqlite3.SQLITE_DENY

        deadline = time.monotonic() + timeout_s
        try:
            raw.row_factory = None
            raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024)
            raw.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_CHARS * 4)
            raw.set_authorizer(authorize)
            raw.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
            try:
                cursor = raw.execute(sql, parameters)
                if cursor.description is None:
                    raise QueryError("only one SELECT statement can be asked")
                rows = cursor.fetchmany(max_rows + 1)
            except (OverflowError, UnicodeEncodeError) as error:
                raise QueryError(f"a parameter or the text cannot be given to SQLite: {error}") from None
            except sqlite3.Error as error:
                code = _primary_code(error)
                if denied:
                    raise QueryError(f"not allowed here: {denied[0]}; only SELECT") from None
                if code == sqlite3.SQLITE_INTERRUPT:
                    raise QueryError(f"stopped after {timeout_s:g} s; narrow the query") from None
                if code in _FAILURES:
                    raise self._translated(error) from error
                raise QueryError(f"SQL: {error}") from None
            columns = [column[0] for column in cursor.description]
            return columns, rows[:max_rows], len(rows) > max_rows
        finally:
            raw.close()


def _keep_for_ever(thing: object) -> None:
    """Make `thing` immortal: interpreter shutdown in a forked child must not close it."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def read_identity(path: Path) -> tuple[int, int, int]:
    """Return application_id, user_version and page count as the main file alone tells them.

    Opens with ``immutable=1``: no lock, no side file and no recovery touch a file that may not be ours.

    Raises:
        NotAnArchiveError: the file is not a SQLite database.
        ArchiveCorruptError: the file alone makes no sense: damaged, or half of a checkpoint.
    """
    with Connection(path, "immutable") as connection:
        return identity_of(connection)


def identity_of(connection: Connection) -> tuple[int, int, int]:
    """Return application_id, user_version and page count as `connection` sees them."""
    return (
        int(connection.value("PRAGMA application_id")),
        int(connection.value("PRAGMA user_version")),
        int(connection.value("PRAGMA page_count")),
    )


def complete_statements(script: str) -> list[str]:
    """Split an SQL script into statements (``executescript`` would commit the open transaction)."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if ";" in line and sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if pending.strip() and not all(
        line.lstrip().startswith("--") or not line.strip() for line in pending.splitlines()
    ):
        statements.append(pending.strip())
    return statements
