"""Tell where the tables and indexes of an archive begin in its file, and how their rows are stored.

SQLite notes in page 1 where each table begins. Where that page is damaged, this file tells it: SQLite gives the
tables of a new archive the same pages always, and those of a vacuumed one too. Tables, views, indexes and
statistics that users add do not move them. SQLite puts the table that a migration makes behind those that were
there, and moves what was in its place.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import NamedTuple

from exptrack.database.migrations import migrations

# A record has its values in this order. A table without row ids is stored as an index, so its key comes first.
TREES = """
SELECT s.type, s.name, s.tbl_name, s.rootpage, s.sql, coalesce(l.wr, 0) AS without_row_ids
FROM sqlite_schema AS s LEFT JOIN pragma_table_list AS l ON l.name = s.name AND l.schema = 'main'
WHERE s.rootpage > 0 AND (s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR s.type = 'index')
"""
COLUMNS = 'SELECT name, type, "notnull" OR pk AS required, pk FROM pragma_table_info(?) ORDER BY cid'
KEY_OF_TABLE = "SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'"
COLUMNS_OF_INDEX = "SELECT name FROM pragma_index_xinfo(?) ORDER BY seqno"
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "REAL": (float, int),
    "TEXT": (str,),
    "BLOB": (bytes,),
}


class Column(NamedTuple):
    """A column: its name, the types of its values as Python has them, and whether it may be NULL."""

    name: str
    types: tuple[type, ...]
    required: bool


class Tree(NamedTuple):
    """A table or index: its first page, the statement that made it, and its columns as they are stored.

    `row_id` is the place of the column that is the row id, which the record of a table does not hold.
    """

    name: str
    table: str
    root: int
    sql: str | None
    is_index: bool  # or a table without row ids, which is stored as one
    columns: tuple[Column, ...]
    row_id: int | None


Layout = dict[str, Tree]


def known_layouts() -> tuple[Layout, ...]:
    """Return the tables and indexes of an archive of the current format, as :func:`layouts_of` does."""
    return layouts_of(len(migrations()))


@cache
def layouts_of(version: int) -> tuple[Layout, ...]:
    """Return the tables and indexes, by name, of a new archive of a format, and of vacuumed ones.

    One that was vacuumed had this format then, or an earlier one: those come behind it, the latest first.
    """
    return tuple(_make_layout(version, vacuumed_at) for vacuumed_at in (0, *range(version, 0, -1)))


def _make_layout(version: int, vacuumed_at: int) -> Layout:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        empty.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for migration in migrations()[:version]:
            empty.executescript(migration.text)
            if migration.number == vacuumed_at:
                empty.execute("VACUUM")
        return _read_layout(empty)


def _read_layout(connection: sqlite3.Connection) -> Layout:
    found: Layout = {}
    tables: dict[str, dict[str, Column]] = {}
    for kind, name, table, root, sql, without_row_ids in sorted(
        connection.execute(TREES), key=lambda row: row[0], reverse=True
    ):
        if kind == "table":
            columns, row_id = {}, None
            for place, (column, declared, required, key) in enumerate(connection.execute(COLUMNS, (name,))):
                columns[column] = Column(column, PYTHON_TYPES[declared], bool(required))
                if key and declared == "INTEGER" and not without_row_ids:
                    row_id = place
            tables[name] = columns
            order = list(columns)
            if without_row_ids:
                (key_name,) = connection.execute(KEY_OF_TABLE, (name,)).fetchone()
                order = [row[0] for row in connection.execute(COLUMNS_OF_INDEX, (key_name,))]
            stored = tuple(columns[column] for column in order)
            found[name] = Tree(name, table, root, sql, bool(without_row_ids), stored, row_id)
        elif table in tables:
            # An index of a table with row ids ends with the row id, which has no name there.
            names = [row[0] for row in connection.execute(COLUMNS_OF_INDEX, (name,))]
            own = next((one.name for one in tables[table].values() if one.name == "id"), "")
            stored = tuple(tables[table][own if one is None else one] for one in names if one or own)
            found[name] = Tree(name, table, root, sql, True, stored, None)
    return found
