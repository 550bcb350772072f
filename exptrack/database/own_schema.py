"""Compare the schema of a file with exptrack's own, before anything else is read from it.

Tables, views, indexes and triggers that users add are welcome, as long as none of them changes what a statement
of exptrack does.

Invariants:

- SQLite itself tells which triggers a statement of exptrack would run: it compiles the statement. A foreign key
  may lead from a table of exptrack to a trigger on another one.
- A file of an older format has the schema of that format. A table that came later is not in it, so a call that
  reads such a table asks `has_table` first.
- Of a file of a newer format, exptrack reads only ordinary tables with the columns that it knows. A view or a
  generated column under such a name may never end.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache

from exptrack.database.connection import Connection
from exptrack.database.failures import primary_code
from exptrack.database.migrations import (
    APPLICATION_ID,
    SCHEMA_OBJECTS,
    latest_version,
    migrations,
    read_schema,
)
from exptrack.errors import ArchiveTooNewError, NotAnArchiveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LAST_MIGRATION = "SELECT max(number) FROM migration"
ORDINARY_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
TABLE_NAMED = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)"
COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
UNIQUE_INDEXES = """
SELECT i.name FROM pragma_index_list(?) AS i WHERE i."unique" AND i.origin = 'c'
"""
SCHEMA_OF_VIEW = "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?"
COLUMNS_OF_VIEW = "SELECT name FROM pragma_table_info(?) ORDER BY cid"
READ_VIEW = "run_storage"  # the one view that calls besides sql() read
# Whether an object of a user may change what a statement of exptrack does; then SQLite is asked.
MAY_REACH_OURS = r"(?is)\s*CREATE\s+(TEMP\w*\s+)?(TRIGGER|UNIQUE)|.*\bREFERENCES\b"


@cache
def _own_objects() -> frozenset[str]:
    text = read_schema("current.sql")
    return frozenset(text.rstrip("\n").split(";\n\n"))


@cache
def _objects_of(version: int) -> frozenset[str]:
    """Return the texts of the tables, indexes and views of a format up to the present one."""
    if version == latest_version():
        return _own_objects()  # without running the migrations, which takes milliseconds
    with closing(_open_empty(version)) as empty:
        return frozenset(row[-1] for row in empty.execute(SCHEMA_OBJECTS))


def _open_empty(version: int) -> sqlite3.Connection:
    """Open an archive of this format in memory, without a row."""
    empty = sqlite3.connect(":memory:")
    for migration in migrations()[:version]:
        empty.executescript(migration.text)
    return empty


def has_table(connection: Connection, name: str) -> bool:
    """Whether the file has a table. One of a later format is missing where an older file is only read."""
    return bool(connection.value(TABLE_NAMED, (name,)))


@cache
def own_views() -> frozenset[str]:
    """Return the names of the views that ``schema/`` defines."""
    return _names_of("VIEW")


@cache
def own_tables() -> frozenset[str]:
    """Return the names of the tables that ``schema/`` defines."""
    return _names_of("TABLE")


@cache
def own_tables_and_views() -> frozenset[str]:
    """Return the names of the tables and views that ``schema/`` defines."""
    return own_tables() | own_views()


def _names_of(kind: str) -> frozenset[str]:
    heads = (text.split(None, 3) for text in _own_objects())
    return frozenset(words[2] for words in heads if words[:2] == ["CREATE", kind])


def read_columns(connection: Connection, view: str) -> tuple[str, ...]:
    """Return the columns of a view; none if SQLite cannot compile it, as where its table is gone."""
    try:
        return tuple(row["name"] for row in connection.all(COLUMNS_OF_VIEW, (view,)))
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_ERROR:
            raise
        return ()


@cache
def _own_columns(version: int) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table of a format up to the present one."""
    with closing(_open_empty(version)) as empty:
        names = [name for (name,) in empty.execute(ORDINARY_TABLES) if not name.startswith("sqlite_")]
        return {name: tuple(row[0] for row in empty.execute(COLUMNS, (name,))) for name in names}


@cache
def _own_unique_indexes(version: int) -> frozenset[str]:
    with closing(_open_empty(version)) as empty:
        names = _own_columns(version)
        return frozenset(row[0] for name in names for row in empty.execute(UNIQUE_INDEXES, (name,)))


def require_own_schema(connection: Connection) -> None:
    """Refuse a file that lacks exptrack's tables and views as ``schema/`` defines them, or that changes them.

    An older format has its own schema. A newer one need only have the tables and columns that exptrack reads.

    Raises:
        NotAnArchiveError: an object of exptrack is missing or changed; or a trigger, an index or a foreign key
            that a user added changes what is written to a table of exptrack.
        ArchiveTooNewError: the file has another format, which this exptrack cannot read.
    """
    version = int(connection.value("PRAGMA user_version"))
    if int(connection.value("PRAGMA application_id")) != APPLICATION_ID or version < 1:
        raise NotAnArchiveError(
            f"{connection.file} is not an exptrack archive; check the path", path=connection.file
        )
    if version > latest_version():
        unknown = _find_unreadable(connection)
        if unknown is not None:
            raise ArchiveTooNewError(
                f"{connection.file} was not opened: it has format {version}, and this exptrack cannot read"
                f" {unknown} of it; upgrade exptrack",
                path=connection.file,
            )
        return
    missing, foreign = _compare(connection, version)
    if missing is not None:
        raise NotAnArchiveError(
            f"{connection.file} was not opened: {missing!r} is missing from its schema or was changed;"
            " restore it, or use a copy of the file",
            path=connection.file,
        )
    intruder = _find_intruder(connection, version) if foreign else None
    if intruder is not None:
        raise NotAnArchiveError(
            f"{connection.file} was not opened: exptrack did not make {intruder};"
            " drop it with sqlite3 if you trust the file",
            path=connection.file,
        )


def _compare(connection: Connection, version: int) -> tuple[str | None, bool]:
    """Return the first line of an object of this format that the file lacks or has changed, None without one.

    Also return whether an object that exptrack did not make may reach one of its tables.
    """

    def take(objects: Iterator[tuple[Any, ...]]) -> tuple[set[str], bool]:
        missing, found = {text.rstrip(";\n") for text in _objects_of(version)}, False
        for *_, sql in objects:  # one at a time: a stranger's may be long, and many
            text = str(sql).rstrip(";")
            if text in missing:
                missing.remove(text)
            else:
                found = found or re.match(MAY_REACH_OURS, text) is not None
        return missing, found

    missing, foreign = connection.fold(SCHEMA_OBJECTS, (), take)
    return min(missing).split("\n", 1)[0] if missing else None, foreign


def _find_intruder(connection: Connection, version: int) -> str | None:
    """Return what a user added that changes statements on tables of exptrack; None if nothing does."""
    seen: list[str] = []

    def note(_action: int, _one: object, _two: object, _schema: object, trigger: str | None) -> int:
        if trigger is not None:
            seen.append(trigger)
        return sqlite3.SQLITE_OK

    with connection.apart() as raw:
        raw.set_authorizer(note)
        for table, columns in _own_columns(version).items():
            for row in raw.execute(UNIQUE_INDEXES, (table,)).fetchall():
                if row[0] not in _own_unique_indexes(version):
                    return f"its unique index {row[0]!r}, which limits the table {table}"
            changes = ", ".join(f'"{name}" = "{name}"' for name in columns)
            for statement in (
                f"DELETE FROM {table}",
                f"UPDATE {table} SET {changes}",
                f"INSERT INTO {table} DEFAULT VALUES",
            ):
                seen.clear()
                try:
                    raw.execute(f"EXPLAIN {statement}").fetchall()
                except sqlite3.Error as error:
                    return f"a foreign key or trigger that keeps the table {table} from being changed ({error})"
                if seen:
                    return f"its trigger {seen[0]!r}, which runs when the table {table} changes"
    return None


def _find_unreadable(connection: Connection) -> str | None:
    """Return a table or view of a newer format that calls of exptrack cannot read; None if there is none."""
    tables = {row["name"] for row in connection.all(ORDINARY_TABLES)}
    for table, columns in _own_columns(latest_version()).items():
        if table not in tables or not {row["name"] for row in connection.all(COLUMNS, (table,))}.issuperset(
            columns
        ):
            return f"the table {table!r}"
    if f"{connection.value(SCHEMA_OF_VIEW, (READ_VIEW,))}" not in _own_objects():
        return f"the view {READ_VIEW!r}"
    return None


def describe_foreign_schema(connection: Connection) -> str | None:
    """Return what is wrong with the format or the schema of a file; None if nothing is.

    The schema of a newer format is not compared.
    """
    version, last = int(connection.value("PRAGMA user_version")), connection.value(LAST_MIGRATION)
    if version != last:
        return f"its header says format {version}, and its last migration is {last}"
    if version > latest_version():
        return None
    missing, foreign = _compare(connection, version)
    if missing is not None:
        return f"{missing!r} is missing or was changed"
    intruder = _find_intruder(connection, version) if foreign else None
    return None if intruder is None else f"exptrack did not make {intruder}"
