"""The digest of an archive is of what it says: equal in every copy, another after every change."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from exptrack import Archive, ExptrackError, Sampler, diff_archives, unpack
from exptrack.database.connection import Connection
from exptrack.database.migrations import migrations
from exptrack.portable.digest import digest_content
from tests.changes import changing
from tests.faults.wrong_values import COLUMNS, sound

# What another file may have otherwise, or is proved by something that the digest covers.
LOCAL_TABLES = {
    "artifact_entry", "blob", "blob_chunk", "blob_writer", "chunk", "chunk_data", "metric_check",
    "metric_journal", "metric_level", "metric_point", "migration", "seal", "sqlite_sequence", "user_view",
}  # fmt: skip
LOCAL_COLUMNS = {
    "rows_sum",
    "seq",
    "event.checksum",
    "artifact.checksum",
    "artifact.blob",
    "page_view.checksum",
}
# Row ids: a change of one tears rows apart, or does nothing.
REFERENCES = {"id", "run", "run_group", "study", "trial", "key", "metric", "source"}
NAMES = {"run_attribute.key", "run_group_attribute.key", "config_key.key", "run_ingest.source"}
NAMES |= {"study_objective.metric"}
TOLD = [
    (table, column)
    for table, column in COLUMNS
    if table not in LOCAL_TABLES
    and not {column, f"{table}.{column}"} & LOCAL_COLUMNS
    and (f"{table}.{column}" in NAMES or column not in REFERENCES)
]
LOCAL = [
    (table, column)
    for table, column in COLUMNS
    if table in LOCAL_TABLES or {column, f"{table}.{column}"} & LOCAL_COLUMNS
]
# Another value of the same type; of a text, the next letter, so that times and JSON stay what they are.
OTHER = """{0} = CASE typeof({0})
    WHEN 'integer' THEN {0} - 1
    WHEN 'real' THEN {0} * 1.5 + 0.125
    WHEN 'blob' THEN CAST(x'01' || substr({0}, 2) AS BLOB)
    WHEN 'null' THEN 1
    ELSE substr({0}, 1, length({0}) - 2) || char(unicode(substr({0}, -2, 1)) + 1) || substr({0}, -1) END"""
# A run that has ended enters by its seal, and only a running one by its heartbeat.
OPENED = ("UPDATE run SET checksum = NULL, status = 'running'", "UPDATE trial SET state = 'running'")
MOVE_ALL = "UPDATE trial_report SET id = id + 1000"
MOVE_FIRST = "UPDATE trial_report SET id = 5000 WHERE step = 0"


class _UndoneError(Exception):
    """Ends a transaction whose changes are not to stay."""


def digest(path: Path) -> str:
    with Archive(path, mode="ro") as archive:
        return archive.digest()


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """An archive with rows in every table, which takes any value."""
    path = tmp_path_factory.mktemp("opened") / "lab.db"
    path.write_bytes(sound().data)
    with Archive(path) as archive:
        connection = archive._connection
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


def digest_after(connection: Connection, update: str = "") -> str | None:
    """Return the digest after an update that does not stay; None if SQLite does not take it."""
    found = None
    with suppress(_UndoneError), changing(connection):
        for sql in OPENED:
            connection.execute(sql)
        try:
            is_taken = not update or connection.execute(update).rowcount == 1
        except (ExptrackError, sqlite3.IntegrityError):
            is_taken = False
        if is_taken:
            found = digest_content(connection)
        raise _UndoneError
    return found


@functools.cache
def keys_of(table: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as blank:
        blank.executescript("".join(migration.text for migration in migrations()))
        return [row[1] for row in blank.execute(f"PRAGMA table_info({table})") if row[5]] or ["rowid"]


def update_of(table: str, column: str, *, last: bool) -> str:
    """Return the statement that changes a column in the first or last row of a table."""
    keys = keys_of(table)
    order = ", ".join(f"{key} DESC" if last else key for key in keys)
    one = f"SELECT {', '.join(keys)} FROM {table} ORDER BY {order} LIMIT 1"
    return f"UPDATE {table} SET {OTHER.format(column)} WHERE ({', '.join(keys)}) = ({one})"


def test_every_told_value_enters_and_nothing_local(connection: Connection) -> None:
    before = digest_after(connection)
    assert len(TOLD) > 100
    for table, column in (*TOLD, *LOCAL):
        updates = [update_of(table, column, last=last) for last in (False, True)]
        found = {one for one in (digest_after(connection, sql) for sql in updates) if one is not None}
        assert found or (table, column) in LOCAL, (table, column)
        assert (before not in found) if (table, column) in TOLD else found <= {before}, (table, column)
    assert digest_after(connection) == before


def test_the_order_of_what_a_trial_reported_enters(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        study = archive.create_study("widths", sampler=Sampler.random(seed=1))
        trial = study.ask()
        for step in range(3):
            trial.report(step, 0.5)
    before = digest(path)
    for update, is_same in ((MOVE_ALL, True), (MOVE_FIRST, False)):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(update)
            connection.commit()
        assert (digest(path) == before) is is_same


def test_copies_of_every_kind_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound().data)
    before = digest(path)
    with Archive(path, mode="ro") as archive:
        archive.backup(tmp_path / "backup.db")
        archive.pack(tmp_path / "packed.db", snapshot=True)
    unpack(tmp_path / "packed.db", tmp_path / "unpacked.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as connection:
        connection.execute("VACUUM")
    for name in ("merged.db", "merged again.db"):
        with Archive(tmp_path / name) as archive:
            archive.merge(tmp_path / ("unpacked.db" if name == "merged.db" else "merged.db"))
    for name in ("backup.db", "packed.db", "unpacked.db", "merged.db", "merged again.db"):
        assert digest(tmp_path / name) == before, name
        assert diff_archives(path, tmp_path / name).same
