"""Untrusted SELECTs: which statements are refused, and what bounds their time, memory and values."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive, QueryError
from exptrack.database import guarded_sql

NUMBERS = "[" + ",".join(map(str, range(1000))) + "]"
# Each is one call of a function that takes minutes; SQLite looks at no clock meanwhile.
ENDLESS = [
    "SELECT instr(zeroblob(60000000), CAST(zeroblob(30000000) || 'x' AS BLOB))",
    "SELECT length(replace(hex(zeroblob(10000000)), hex(zeroblob(4000000)) || '1', 'x'))",
    "SELECT length(trim(hex(zeroblob(20000000)), replace(hex(zeroblob(1000000)), '0', 'ab') || 'x0'))",
]
# Thousands of values of 60 MB that are needed at once.
WIDE = "SELECT " + ", ".join(f"hex(zeroblob(30000000 + {n})) || 'x' AS c{n}" for n in range(1000))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "lab.db")


@pytest.mark.parametrize("statement", ENDLESS)
def test_a_statement_that_outlives_its_time_in_one_function_is_stopped(
    archive: Archive, statement: str
) -> None:
    with pytest.raises(QueryError, match="stopped after"):
        archive.sql(statement, timeout_s=0.5)


def test_a_statement_that_needs_too_much_memory_is_stopped(archive: Archive) -> None:
    with pytest.raises(QueryError, match="too much memory"):
        archive.sql(WIDE, timeout_s=60)


def test_the_rows_together_are_limited(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_sql, "MAX_RESULT_BYTES", 1 << 20)
    assert len(archive.sql("SELECT hex(zeroblob(400)) FROM json_each(?)", (NUMBERS,)).rows) == 1000
    with pytest.raises(QueryError, match="more than 1 MiB"):
        archive.sql("SELECT hex(zeroblob(5000)) FROM json_each(?)", (NUMBERS,))
    many = "SELECT " + ", ".join(["value + 0.5"] * 100) + " FROM json_each(?)"
    with pytest.raises(QueryError, match="more than 1 MiB"):
        archive.sql(many, (NUMBERS,))


# Each table names the one before twice. SQLite writes out every copy before it looks at any clock.
DOUBLINGS = [
    "SELECT count(*) AS x FROM {0} AS a, {0} AS b",
    "SELECT (SELECT x FROM {0}) + (SELECT x FROM {0}) AS x",
]


def _double(select: str, times: int) -> list[str]:
    return ["SELECT 1 AS x", *(select.format(f"c{number}") for number in range(times))]


@pytest.mark.parametrize("select", DOUBLINGS)
def test_a_statement_that_takes_long_to_compile_is_stopped(archive: Archive, select: str) -> None:
    tables = ", ".join(f"c{number} AS ({one})" for number, one in enumerate(_double(select, 40)))
    with pytest.raises(QueryError, match=r"stopped after|too much memory"):
        archive.sql(f"WITH {tables} SELECT * FROM c40", timeout_s=0.5)
    few = ", ".join(f"c{number} AS ({one})" for number, one in enumerate(_double(select, 4)))
    assert len(archive.sql(f"wItH {few} SELECT * FROM c4").rows) == 1


def test_a_view_or_table_of_a_stranger_that_takes_long_to_compile_is_stopped(archive: Archive) -> None:
    with closing(sqlite3.connect(archive.path)) as other:
        for number, select in enumerate(_double(DOUBLINGS[1], 40)):
            other.execute(f"CREATE VIEW c{number} AS {select}")
        columns = ", ".join(f"g{n + 1} AS (g{n} + g{n})" for n in range(40))
        other.execute(f"CREATE TABLE t (g0, {columns})")
        other.execute("INSERT INTO t VALUES (1)")
        other.commit()
    for statement in ('SELECT * FROM "C40"', "SELECT g40 FROM main.[T]", "PRAGMA table_list"):
        # SQLite itself refuses too, where it counts the references before its memory is used up.
        with pytest.raises(QueryError, match=r"stopped after|too much memory|too many references"):
            archive.sql(statement, timeout_s=0.5)
    assert archive.sql("SELECT * FROM c1").rows == ((2,),)


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_long_values_come_back_as_they_are(archive: Archive, mode: str) -> None:
    run = archive.start_run({"text": "é" * 100_000})
    run.complete()
    query = "SELECT text, zeroblob(?), ? FROM configs WHERE key = :key"
    with Archive(archive.path, mode=mode) as again:
        found = again.sql(
            query.replace("?", ":size", 1).replace("?", ":note"),
            {"key": "text", "size": 50_000, "note": "n" * 30_000},
        )
        assert found.rows == (("é" * 100_000, bytes(50_000), "n" * 30_000),)
        assert again.sql("SELECT ?, ?", (b"x" * 40_000, 1.5)).rows == ((b"x" * 40_000, 1.5),)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM run WHERE name = hex(zeroblob(20000))", "SELECT load_extension(hex(zeroblob(20000)))"],
)
def test_what_is_denied_is_denied_with_long_values_too(archive: Archive, statement: str) -> None:
    with pytest.raises(QueryError, match="not allowed"):
        archive.sql(statement)
    long = "'" + "x" * 30_000 + "'"
    with pytest.raises(QueryError, match="not allowed"):
        archive.sql(f"{statement} -- {long}")
    with pytest.raises(QueryError, match="not allowed"):
        archive.sql(f"DELETE FROM run WHERE name = {long}")


def test_a_failure_beside_long_values_is_told_as_ever(archive: Archive) -> None:
    with pytest.raises(QueryError, match="no such table"):
        archive.sql(f"SELECT '{'x' * 30_000}' FROM nosuch")
    with pytest.raises(QueryError, match="too big"):
        archive.sql("SELECT hex(zeroblob(60000000))")


@pytest.mark.parametrize("timeout_s", [1e7, 1e10, 1e300])
def test_a_long_time_limit_holds_in_a_process_of_its_own_too(archive: Archive, timeout_s: float) -> None:
    assert archive.sql("WITH one AS (SELECT 1) SELECT * FROM one", timeout_s=timeout_s).rows == ((1,),)


def test_without_a_python_to_start_long_values_are_refused(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    assert archive.sql("SELECT length(hex(zeroblob(5000)))").rows == ((10_000,),)
    assert archive.sql("WITH one AS (SELECT 1) SELECT * FROM one").rows == ((1,),)
    with pytest.raises(QueryError, match="longer than 20,000 bytes"):
        archive.sql("SELECT length(hex(zeroblob(20000)))")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(QueryError, match="no process can be started"):
        archive.sql("SELECT length(hex(zeroblob(20000)))")


@pytest.mark.parametrize("name", sorted(guarded_sql.SCHEMA_PRAGMAS | guarded_sql.SAFE_PRAGMAS))
def test_pragmas_that_describe_are_allowed(archive: Archive, name: str) -> None:
    assert archive.sql(f"PRAGMA {name}").truncated is False
    assert archive.sql(f"PRAGMA {name.upper()}").truncated is False


def test_the_schema_can_be_asked_for(archive: Archive) -> None:
    columns = [row[1] for row in archive.sql("PRAGMA table_info(run)").rows]
    assert columns[:2] == ["id", "run_id"]
    assert [row[0] for row in archive.sql("SELECT name FROM pragma_table_info('run')").rows] == columns
    assert "run" in [row[1] for row in archive.sql("PRAGMA table_list").rows]
    assert archive.sql("PRAGMA index_list('run')").rows
    assert archive.sql("SELECT value FROM json_each('[1, 2]')").rows == ((1,), (2,))
    with pytest.raises(QueryError, match="may not be modified"):
        archive.sql("UPDATE sqlite_master SET sql = ''")


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 5",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint",
        "PRAGMA hard_heap_limit = 1",
    ],
)
def test_pragmas_that_change_anything_are_refused(archive: Archive, statement: str) -> None:
    with pytest.raises(QueryError, match="PRAGMA is not allowed"):
        archive.sql(statement)
