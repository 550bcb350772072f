"""Verification tells of a change in any column of any table, and never raises, whatever a column holds."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exptrack import Archive, ExptrackError, VerifyReport
from exptrack.database.migrations import migrations
from tests.faults.full_lab import build, tables
from tests.strategies import INT64, TEXTS

# Columns that may change without a word, and why.
UNCHECKED: dict[str, str] = {}
# Values of every type for any column, whatever its declared type: a flipped bit may change the type too.
NASTY: dict[str, Any] = {
    "null": None,
    "least": -(2**63),
    "most": 2**63 - 1,
    "zero": 0,
    "empty": "",
    "nul": "a\0b",
    "not UTF-8": sqlite3.Binary(b"\xff\xfe"),
    "deep list": "[" * 100_000 + "]" * 100_000,
    "deep map": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "no JSON": '{"a": [1, nul',
    "huge JSON": "1e999",
    "surrogate": '{"a": "\\ud800"}',
    "list": "[]",
    "long number": "9" * 5000,
    "no date": "2024-13-45",
    "infinite": 9e999,
    "huge": -1e308,
    "32 bytes": b"\xff" * 32,
    "bytes": b"",
}


class Sound(NamedTuple):
    """An archive that uses every table; `loose` is the same file with tables that take any value."""

    data: bytes
    loose: bytes
    schema: dict[str, str]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    path = tmp_path_factory.mktemp("full") / "full.db"
    build(path)
    with closing(sqlite3.connect(path)) as connection:
        rows = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables(path)
        }
    assert [table for table, count in rows.items() if not count] == []
    data = path.read_bytes()
    assert verify(path).ok
    connection = sqlite3.connect(path, isolation_level=None)
    schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    set_schema(connection, {name: loosen(sql) for name, sql in schema.items()})
    connection.close()
    return Sound(data, path.read_bytes(), schema, rows)


def loosen(sql: str) -> str:
    """A CREATE TABLE without types that are enforced."""
    sql = re.sub(r"\b(TEXT|INTEGER|REAL|BLOB) NOT NULL", r"\1", sql)
    sql = sql.replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID")
    return sql.replace(") STRICT", ")")


def set_schema(connection: sqlite3.Connection, schema: dict[str, str]) -> None:
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.executemany(
        "UPDATE sqlite_schema SET sql = ? WHERE name = ?", [(sql, name) for name, sql in schema.items()]
    )
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def lay(path: Path, data: bytes) -> None:
    """Put a file in the place of the archive, and nothing beside it."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(data)


def columns_of_schema() -> list[tuple[str, str]]:
    """Every column of every table that ``schema/`` makes, read by SQLite itself."""
    connection = sqlite3.connect(":memory:")
    for migration in migrations():
        connection.executescript(migration.text)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = [
        (name, row[1]) for name in sorted(names) for row in connection.execute(f"PRAGMA table_info({name})")
    ]
    connection.close()
    return found


COLUMNS = columns_of_schema()


def connect(path: Path) -> sqlite3.Connection:
    """Open the archive as a program that holds to no rule, and that waits for no disk."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return connection


def change(
    connection: sqlite3.Connection,
    table: str,
    value: str,
    parameters: tuple[Any, ...] = (),
    *,
    last: bool = True,
) -> bool:
    """Run an UPDATE of the first or last row of a table by SQL; return whether SQLite took it."""
    keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]
    order = ", ".join(f"{key} DESC" if last else key for key in keys)
    one = f"SELECT {', '.join(keys)} FROM {table} ORDER BY {order} LIMIT 1"
    try:
        found = connection.execute(
            f"UPDATE {table} SET {value} WHERE ({', '.join(keys)}) = ({one})", parameters
        )
    except (sqlite3.IntegrityError, OverflowError):
        return False
    return found.rowcount == 1


def verify(path: Path) -> VerifyReport:
    with Archive(path, mode="ro") as archive:
        return archive.verify()


def test_what_is_unchecked_is_a_column() -> None:
    assert set(UNCHECKED) <= {".".join(column) for column in COLUMNS}


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_a_change_of_any_column_is_reported(sound: Sound, tmp_path: Path, table: str, column: str) -> None:
    path = tmp_path / "lab.db"
    # Another value of the same type; of a text, the next letter, so that times and JSON stay what they are.
    other = f"""{column} = CASE typeof({column})
        WHEN 'integer' THEN {column} - 1
        WHEN 'real' THEN {column} + 0.125
        WHEN 'blob' THEN CAST(x'01' || substr({column}, 2) AS BLOB)
        WHEN 'null' THEN 1
        ELSE substr({column}, 1, length({column}) - 2) || char(unicode(substr({column}, -2, 1)) + 1)
             || substr({column}, -1) END"""
    changed = 0
    for last in (False, True) if sound.rows[table] > 1 else (True,):
        lay(path, sound.data)
        with closing(connect(path)) as connection:
            taken = change(connection, table, other, last=last)
        if taken:
            changed += 1
            assert verify(path).ok is (f"{table}.{column}" in UNCHECKED), (table, column, last)
    assert changed


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_no_value_makes_verification_raise(sound: Sound, tmp_path: Path, table: str, column: str) -> None:
    path = tmp_path / "lab.db"
    # Each column gets a quarter of the values, and each value reaches a quarter of the columns.
    begin = COLUMNS.index((table, column)) % 4
    for name, value in list(NASTY.items())[begin::4]:
        assert_told(sound, path, table, column, value, name)


def assert_told(sound: Sound, path: Path, table: str, column: str, value: Any, name: str) -> None:
    """Store a value in a column of any type; verification tells, or opening does, by an error of ours."""
    lay(path, sound.loose)
    text = f"{column} = CAST(? AS TEXT)" if name == "not UTF-8" else f"{column} = ?"
    with closing(connect(path)) as connection:
        (before,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {column} IS ?", (value,)).fetchone()
        if before or not change(connection, table, text, (value,)):
            return  # SQLite does not take it, or it is there already
        set_schema(connection, sound.schema)
    try:
        ok = verify(path).ok
    except ExptrackError:
        return
    assert not ok, (table, column, name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(COLUMNS),
    st.one_of(st.none(), INT64, TEXTS, st.floats(), st.binary(max_size=40)),
)
def test_a_random_value_never_makes_verification_raise(
    sound: Sound, tmp_path: Path, place: tuple[str, str], value: Any
) -> None:
    assert_told(sound, tmp_path / "lab.db", *place, value, "random")


@pytest.mark.parametrize("kind", ["table", "index", "view"])
def test_an_object_that_is_missing_or_changed_is_told(sound: Sound, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound.data)
    connection = sqlite3.connect(path, isolation_level=None)
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL AND name <> 'sqlite_sequence'",
            (kind,),
        )
    ]
    connection.close()
    for name in set(names) - {"best"}:  # a view of the user's may be dropped by any client
        lay(path, sound.data)
        with closing(connect(path)) as connection:
            connection.execute(f"DROP {kind} {name}")
        try:
            assert not verify(path).ok, name
        except ExptrackError:
            continue


def test_a_file_that_is_cut_or_emptied_is_told(sound: Sound, tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    size = 4096
    for pages in range(0, len(sound.data) // size, 11):
        lay(path, sound.data[: pages * size])
        try:
            assert not verify(path).ok, pages
        except ExptrackError:
            continue
    for data in (bytes(len(sound.data)), bytes(size), sound.data[:size] + bytes(len(sound.data) - size)):
        lay(path, data)
        with pytest.raises(ExptrackError):
            assert verify(path).ok
