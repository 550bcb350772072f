"""Run statements on an open archive file: each is run and read in one expression.

No cursor has a name, so none stays open behind an exception, and nothing is open between two calls.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial

from exptrack.database.failures import SQLITE_FAILURE
from exptrack.database.frozen import run_unchanged
from exptrack.database.handle import Done, Handle, outcome
from exptrack.database.opened_file import READING, SECTION, OpenedFile
from exptrack.database.time_limit import check_limit, current_limit, watch_statement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    _T = TypeVar("_T")


Row: TypeAlias = sqlite3.Row
Parameters: TypeAlias = "Sequence[Any] | dict[str, Any]"

ROWS_AT_ONCE = 256
# A virtual table has no page, and its program may be missing here or count for ever.
ORDINARY_TABLES = r"""
SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name
"""
DATA_VERSION = "PRAGMA data_version"
BIRTH = "SELECT applied_at || ' ' || sha256 FROM migration WHERE number = 1"


class StatementRunner(OpenedFile):
    """Run statements on one archive file; safe to share between threads.

    A single statement runs in the caller's thread. What needs several statements runs in a thread of ours,
    so that no exception thrown at the caller cuts it in two: changes as sections (:func:`in_section`),
    reads of one moment as readings (:func:`in_reading`).
    """

    def _run_statement(self, handle: Handle, run: Callable[[], _T]) -> _T:
        """Call `run`, which runs one statement. Inside a transaction the lock is held, so it never waits."""
        limit = None if handle.depth or self._inside == SECTION else current_limit()
        if limit is not None:
            run = partial(watch_statement, limit, lambda: self._raw(handle), run)
        if not handle.depth:
            if self.mode == "frozen" and not self._inside:
                return run_unchanged(
                    self.file, lambda: handle.seen, handle.close, lambda: self._run_waiting(run)
                )
            return self._run_waiting(run)
        return self._translating(run)

    def _transacting(self) -> sqlite3.Connection | None:
        """Return the SQLite connection of the transaction that the calling thread is inside, or None.

        Its `busy` is held and it was checked as the transaction began, so a statement needs nothing more: that
        saves two thirds of the time of a small one.
        """
        handle: Handle | None = getattr(self._local, "handle", None)
        return handle.raw if handle is not None and handle.depth and not self._closed else None

    def _translating(self, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except SQLITE_FAILURE as error:
            raise self.translate(error) from error

    def execute(self, sql: str, parameters: Parameters = ()) -> Done:
        """Run one statement that changes something; return the rows it changed and the last row id."""
        raw = self._transacting()
        if raw is not None:
            return self._translating(lambda: outcome(raw.execute(sql, parameters)))
        handle = self._handle()
        with handle.busy:
            return self._run_statement(handle, lambda: outcome(self._raw(handle).execute(sql, parameters)))

    def execute_many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run one statement for every row. Call inside a transaction."""
        raw = self._transacting()
        if raw is not None:
            self._translating(lambda: outcome(raw.executemany(sql, rows)))
            return
        handle = self._handle()
        with handle.busy:
            self._run_statement(handle, lambda: outcome(self._raw(handle).executemany(sql, rows)))

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return every row of a query."""
        raw = self._transacting()
        if raw is not None:
            return self._translating(lambda: raw.execute(sql, parameters).fetchall())
        handle = self._handle()
        with handle.busy:
            return self._run_statement(handle, lambda: self._raw(handle).execute(sql, parameters).fetchall())

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        raw = self._transacting()
        if raw is not None:
            found: Row | None = self._translating(lambda: raw.execute(sql, parameters).fetchone())
            return found
        handle = self._handle()
        with handle.busy:
            row: Row | None = self._run_statement(
                handle, lambda: self._raw(handle).execute(sql, parameters).fetchone()
            )
        return row

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, parameters)
        return None if row is None else row[0]

    def iterate(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """Yield the rows of a query while SQLite finds them, 256 at a time. Call inside a section or reading.

        The rows are read to the end, or the generator is closed, before the section ends.
        """
        self._require_inside("iterate")
        handle = self._handle()
        cursor = self._run_statement(handle, lambda: self._raw(handle).execute(sql, parameters))
        try:
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                check_limit()
                yield from rows
        except SQLITE_FAILURE as error:
            raise self.translate(error) from error
        finally:
            cursor.close()

    def fold(self, sql: str, parameters: Parameters, take: Callable[[Iterator[tuple[Any, ...]]], _T]) -> _T:
        """Return what `take` makes of a query's rows. The rows are bare tuples, which are faster in bulk."""
        raw = self._transacting()
        if raw is not None:
            return self._translating(lambda: take(_bare_cursor(raw).execute(sql, parameters)))
        handle = self._handle()

        def run() -> _T:
            return take(_bare_cursor(self._raw(handle)).execute(sql, parameters))

        with handle.busy:
            try:
                return self._run_statement(handle, run)
            except SQLITE_FAILURE as error:
                raise self.translate(error) from error

    def keep(self, key: Hashable, read: Callable[[], _T]) -> _T:
        """Return what `read` returns, and keep it until the file changes. Call inside a reading.

        Another call with an equal key then returns the same object: never change it. `read` reads nothing but
        the archive, and never returns None. In a section nothing is kept: it sees what is not committed yet.
        """
        handle = self._handle()
        if self._inside != READING or handle.depth:
            return read()
        # In a transaction SQLite counts the commits up to its snapshot.
        version = int(self.value(DATA_VERSION))
        found: _T | None = handle.kept.get(version, key)
        if found is None:
            found = read()
            handle.kept.put(version, key, found)
        return found

    @property
    def birth(self) -> str:
        """When and from which schema the archive was made: tells it from another one at its path."""
        return self._birth or self.remember_birth()

    def remember_birth(self) -> str:
        """Read :attr:`birth` once, for the time when the archive cannot be read."""
        self._birth = str(self.value(BIRTH))
        return self._birth

    def count_rows(self) -> dict[str, int]:
        """Count the rows of each table that is not virtual, by name."""
        handle = self._handle()
        with handle.busy:
            # A fork waits for `busy`: amid an import it would copy the module's lock, on which a child hangs.
            import sqlite_utils

            database = sqlite_utils.Database(self._raw(handle))

            def count() -> dict[str, int]:
                names = [name for (name,) in database.execute(ORDINARY_TABLES).fetchall()]
                return {name: database.table(name).count for name in names}

            return self._run_statement(handle, count)


def _bare_cursor(raw: sqlite3.Connection) -> sqlite3.Cursor:
    cursor = raw.cursor()
    cursor.row_factory = None
    return cursor
