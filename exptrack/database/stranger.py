"""Read an archive that may have been made to harm: with limits, and only once its structure is proved.

Invariants:

- Every connection has a limit of time, also while SQLite reads the schema, and one of the length of a value.
- A private copy is put in order before a row of it is read. Its log is folded in, and an older format is
  brought up to date. Everything in its schema that exptrack did not make is taken out: no trigger, view, index,
  virtual table or statistic of a stranger has any effect.
- Each table then passes SQLite's own check. So no page is used twice; a table could otherwise seem to have
  more rows than can ever be read. No index hides a row of its table, and each value has the type of its column.
- Of the points, nearly all of a file, only the pages are proved: see `point_pages`. Their values may still have
  any type.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.deadline import Deadline
from exptrack.database.disk import reading_file
from exptrack.database.failures import SQLITE_FAILURE, primary_code, translate
from exptrack.database.migrations import (
    APPLICATION_ID,
    SCHEMA_OBJECTS,
    bring_up_to_date,
    latest_version,
    migrations,
)
from exptrack.database.own_schema import own_tables, require_own_schema
from exptrack.database.point_pages import find_page_problem
from exptrack.errors import ArchiveCorruptError, ArchiveTooNewError, NotAnArchiveError

_Object: TypeAlias = tuple[Any, ...]  # of a schema: kind, name, table, text

VALUE_BYTES = 80 << 20  # more than the longest text that exptrack stores: 16 Mi characters
SEQUENCES = ("table", "sqlite_sequence", "sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)")
# Of a text that is longer than any of exptrack, only that it is there.
ALL_OBJECTS = """
SELECT rowid, substr(type, 1, 10), substr(name, 1, 100), substr(tbl_name, 1, 100),
       CASE WHEN length(sql) < 20000 THEN sql WHEN sql IS NOT NULL THEN 'long' END
FROM sqlite_schema
"""
AUTOINDEX = "sqlite_autoindex_"
CHECK_TABLE = "PRAGMA integrity_check('{table}')"
SOUND = "ok"
POINTS = "metric_point"
ROOT_PAGE = "SELECT rootpage FROM sqlite_schema WHERE name = ?"


class StrangerConnection(Connection):
    """A connection to the archive of somebody else, whose statements end in time.

    `path` is the file that is read, `place` that which the user named. `mode` is as in :class:`Connection`.
    """

    def __init__(
        self, path: Path, mode: str, place: Path, deadline: Deadline, *, value_bytes: int = VALUE_BYTES
    ) -> None:
        self._deadline = deadline
        self._value_bytes = value_bytes
        super().__init__(path, mode)
        self.place = place

    def _configure(self, raw: sqlite3.Connection) -> None:
        limit_reading(raw, self._deadline, self._value_bytes)
        super()._configure(raw)

    def translate(self, error: Exception, waited_s: float = 0.0) -> Exception:
        """Return exptrack's error; one of a limit says that the file is not what exptrack writes."""
        if self.closed:
            return super().translate(error, waited_s)
        return translate_stranger(error, self.place, self._deadline, waited_s)


def limit_reading(raw: sqlite3.Connection, deadline: Deadline, value_bytes: int = VALUE_BYTES) -> None:
    """Limit how long the statements of a SQLite connection run, and how large a value of them is."""
    deadline.add(raw)
    raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, value_bytes)


def translate_stranger(error: Exception, place: Path, deadline: Deadline, waited_s: float = 0.0) -> Exception:
    """Return exptrack's error for one of SQLite on a stranger's file, or that error itself."""
    code = primary_code(error)
    problem = None
    if code == sqlite3.SQLITE_INTERRUPT and deadline.is_over:
        problem = f"reading it takes longer than {deadline.seconds:,.0f} s or much memory, as if it never ended"
    elif code == sqlite3.SQLITE_TOOBIG:
        problem = "a value in it is longer than exptrack stores"
    elif code == sqlite3.SQLITE_ERROR or isinstance(error, UnicodeDecodeError):
        problem = f"its schema or a value cannot be read ({error})"
    if problem is None:
        return translate(error, place, waited_s)
    return ArchiveCorruptError(
        f"{place} is damaged, or was made to harm: {problem}; 'exptrack salvage' gets back what is sound",
        path=str(place),
    )


def put_in_order(copy: Path, place: Path, deadline: Deadline) -> None:
    """Make a private copy one file of the present format, with the schema of exptrack alone.

    Raises:
        NotAnArchiveError: it is the file of another program, or lacks objects of exptrack.
        ArchiveTooNewError: a newer exptrack wrote it.
        ArchiveCorruptError: it cannot be read.
        MigrationError: it cannot be brought to the present format.
    """
    try:
        version = _put_in_order(copy, place, deadline)
    except SQLITE_FAILURE as error:
        raise translate_stranger(error, place, deadline) from error
    if version < latest_version():
        with StrangerConnection(copy, "rw", place, deadline) as connection:
            bring_up_to_date(connection)


def _put_in_order(copy: Path, place: Path, deadline: Deadline) -> int:
    """Fold the log in, and take out of the schema what exptrack did not put there; return the format."""
    sides = [copy.with_name(f"{copy.name}{ending}") for ending in ("", "-wal", "-journal")]
    size = sum(one.stat().st_size for one in sides if one.exists())
    with closing(_connect(copy, deadline, lenient=True)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE").fetchone()
        version = _require_format(raw, place, size)
        own = _objects_of(version)
        missing, foreign = _compare(raw, own)
        if foreign:
            raw.execute("BEGIN")
            raw.executemany("DELETE FROM sqlite_schema WHERE rowid = ?", [(row_id,) for row_id in foreign])
            raw.execute("COMMIT")
    if foreign:
        with closing(_connect(copy, deadline, lenient=False)) as raw:
            missing, foreign = _compare(raw, own)
    if missing or foreign:
        named = min((str(name) for _kind, name, *_ in missing), default="an object that exptrack did not make")
        raise NotAnArchiveError(
            f"{place} was not opened: {named!r} is missing from its schema or was changed; use a copy of the"
            " file from before that",
            path=str(place),
        )
    return version


def _compare(raw: sqlite3.Connection, own: frozenset[_Object]) -> tuple[set[_Object], list[int]]:
    """Return the objects of exptrack that a file lacks, and the row ids of all others that it has."""
    missing, foreign = set(own), []
    for row_id, *one in raw.execute(ALL_OBJECTS):
        if tuple(one) in missing:
            missing.remove(tuple(one))
        elif not _is_made_by_sqlite(*one):
            foreign.append(row_id)
    return missing, foreign


def _is_made_by_sqlite(kind: str, name: str, table: str, sql: str | None) -> bool:
    """Whether it is the index of a key, which has no text."""
    return sql is None and kind == "index" and name.startswith(f"{AUTOINDEX}{table}_")


def _connect(copy: Path, deadline: Deadline, *, lenient: bool) -> sqlite3.Connection:
    """Open a private copy for changes; `lenient` passes over objects of its schema that cannot be parsed."""
    raw = sqlite3.connect(f"{copy.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
    limit_reading(raw, deadline)
    if lenient:
        raw.execute("PRAGMA writable_schema = ON")  # before the first statement that reads the schema
    raw.execute("PRAGMA trusted_schema = OFF")
    raw.execute("PRAGMA cell_size_check = ON")
    raw.execute("PRAGMA synchronous = OFF")  # a copy that a power cut damages is made again
    return raw


def _require_format(raw: sqlite3.Connection, place: Path, size: int) -> int:
    """Return the format of an archive that claims no more than `size` bytes."""

    def ask(pragma: str) -> int:
        return int(raw.execute(f"PRAGMA {pragma}").fetchone()[0])

    if ask("page_count") * ask("page_size") > size:
        raise ArchiveCorruptError(
            f"{place} is damaged: it claims more pages than it has bytes for; 'exptrack salvage' gets back what"
            " is sound",
            path=str(place),
        )
    version, encoding = ask("user_version"), raw.execute("PRAGMA encoding").fetchone()[0]
    if ask("application_id") != APPLICATION_ID or version < 1 or encoding != "UTF-8":
        raise NotAnArchiveError(f"{place} is not an exptrack archive; check the path", path=str(place))
    if version > latest_version():
        raise ArchiveTooNewError(
            f"{place} has format {version}, which this exptrack does not know; upgrade exptrack",
            path=str(place),
        )
    return version


@cache
def _objects_of(version: int) -> frozenset[_Object]:
    """Return the schema of a format: kind, name, table and text of each object."""
    with closing(sqlite3.connect(":memory:")) as empty:
        for migration in migrations()[:version]:
            empty.executescript(migration.text)
        return frozenset([*empty.execute(SCHEMA_OBJECTS).fetchall(), SEQUENCES])


def require_sound(connection: StrangerConnection, *, points: bool = True) -> None:
    """Refuse a private copy one of whose tables does not pass SQLite's check; of the points, their pages.

    Without `points` their table is left out.

    Raises:
        ArchiveCorruptError: one does not.
        NotAnArchiveError: its schema is not that of exptrack.
    """
    require_own_schema(connection)
    for table in sorted(own_tables() if points else own_tables() - {POINTS}):
        if table == POINTS:
            root = connection.value(ROOT_PAGE, (table,))
            with reading_file(connection.place):
                found = find_page_problem(connection.path, root) or SOUND
        else:
            found = _first_problem(connection.value(CHECK_TABLE.format(table=table)))
        if found != SOUND:
            raise damaged_table(connection.place, table, found)


def _first_problem(found: str) -> str:
    """Return the first of the problems that SQLite tells in one value, below a heading."""
    return next((line for line in found.splitlines() if not line.startswith("***")), found)


def damaged_table(place: Path, table: str, problem: str) -> ArchiveCorruptError:
    """Return the error that says what is wrong with a table of a stranger's file."""
    return ArchiveCorruptError(
        f"{place} is damaged, in the table {table}: {problem}; 'exptrack salvage' gets back what is sound",
        path=str(place),
    )
