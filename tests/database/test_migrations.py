"""Migrations: applied whole or not at all; a schema that is not ours is refused."""

from __future__ import annotations

import builtins
import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ArchiveIOError,
    MigrationError,
    NotAnArchiveError,
)
from exptrack.database import migrations, opening
from tests.golden import write_dump
from tests.older_formats import making_format

ALL = migrations.migrations()
FIRST, NEXT = ALL[0], len(ALL) + 1
STATEMENTS = migrations.split_statements(FIRST.text)
# Each later migration, and each place between its statements.
LATER = [(one, place) for one in ALL[1:] for place in range(len(migrations.split_statements(one.text)) + 1)]


def raw_dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        return [f"{version} {application}", *connection.iterdump()]
    finally:
        connection.close()


def broken_at(text: str, position: int) -> str:
    statements = migrations.split_statements(text)
    return "\n".join([*statements[:position], "CREATE NONSENSE;", *statements[position:]])


@pytest.mark.parametrize("position", range(len(STATEMENTS) + 1))
def test_a_first_migration_that_fails_anywhere_leaves_the_file_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    path = tmp_path / "lab.db"
    broken = (FIRST._replace(text=broken_at(FIRST.text, position)),)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrations", lambda: broken)
        with pytest.raises(MigrationError, match="unchanged"):
            Archive(path)
    assert raw_dump(path) == ["0 0", "BEGIN TRANSACTION;", "COMMIT;"]
    with Archive(path) as archive:
        assert archive.verify().ok


@pytest.mark.parametrize(("migration", "position"), LATER, ids=lambda one: getattr(one, "name", str(one)))
def test_a_migration_that_fails_anywhere_leaves_an_archive_of_the_format_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, migration: migrations.Migration, position: int
) -> None:
    path = tmp_path / "lab.db"
    write_dump.restore(write_dump.FOLDER / "0.2.0.sql", path)
    with making_format(migration.number - 1):
        Archive(path).close()
    dumped = raw_dump(path)
    broken = (*ALL[: migration.number - 1], migration._replace(text=broken_at(migration.text, position)))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrations", lambda: broken)
        with pytest.raises(MigrationError, match=f"{migration.name} failed .* unchanged"):
            Archive(path)
    assert raw_dump(path) == dumped
    with Archive(path) as archive:
        assert archive.verify().ok
        assert archive.info().format == len(ALL)


EXTRA = """
CREATE TABLE extra (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
INSERT INTO extra (word) SELECT name FROM run;
ALTER TABLE run ADD COLUMN extra INTEGER;
DROP INDEX run_by_name;
"""


@pytest.mark.parametrize("position", range(5))
def test_a_later_migration_that_fails_anywhere_leaves_the_archive_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run({"lr": 0.1}, name="kept") as run:
        run.log({"x": 1.0})
    before = raw_dump(path)
    added = migrations.Migration(NEXT, f"{NEXT:04}_add_extra.sql", broken_at(EXTRA, position))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "migrations", lambda: (*ALL, added))
        patch.setattr(migrations, "latest_version", lambda: NEXT)
        with pytest.raises(MigrationError, match=f"{NEXT:04}_add_extra"):
            Archive(path)
    assert raw_dump(path) == before
    with Archive(path) as archive:
        assert archive.verify().ok


def test_a_later_migration_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run(name="kept"):
        pass
    added = migrations.Migration(NEXT, f"{NEXT:04}_add_extra.sql", EXTRA)
    monkeypatch.setattr(migrations, "migrations", lambda: (*ALL, added))
    monkeypatch.setattr(migrations, "latest_version", lambda: NEXT)
    monkeypatch.setattr(opening, "require_own_schema", lambda _connection: None)
    with Archive(path) as archive:
        assert archive.sql("SELECT word FROM extra").rows == (("kept",),)
        assert archive.info().format == NEXT


def test_current_sql_is_the_schema_of_a_new_archive(tmp_path: Path) -> None:
    current = Path(migrations.schema_folder(), "current.sql").read_text(encoding="utf-8")
    with Archive(tmp_path / "lab.db") as archive:
        assert migrations.schema_text(archive._connection) == current


def test_identity_and_strictness(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    connection = sqlite3.connect(tmp_path / "lab.db")
    assert connection.execute("PRAGMA application_id").fetchone() == (migrations.APPLICATION_ID,)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations.migrations()),)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    tables = connection.execute(
        "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {strict for _name, strict in tables} == {1}
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER spy AFTER INSERT ON run BEGIN DELETE FROM run_tag; END",
        "DROP VIEW runs",
        "DROP VIEW runs; CREATE VIEW runs AS SELECT 1 AS run_id",
        "DROP TABLE note",
    ],
)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_changed_schema_is_not_opened(tmp_path: Path, change: str, mode: str) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    connection = sqlite3.connect(path)
    connection.executescript(change)
    connection.close()
    with pytest.raises(NotAnArchiveError, match="not opened"):
        Archive(path, mode=mode)


def test_a_users_own_views_and_tables_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    connection = sqlite3.connect(path)
    connection.executescript("CREATE VIEW mine AS SELECT * FROM runs; CREATE TABLE my_notes (x)")
    connection.close()
    with Archive(path) as archive:
        assert archive.sql("SELECT count(*) FROM mine").rows == ((0,),)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO])
def test_a_schema_that_cannot_be_read_is_an_error_of_ours(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object, *rest: Any, **more: Any) -> Any:
        if str(migrations.schema_folder()) in str(path):
            raise OSError(code, os.strerror(code))
        return real(path, *rest, **more)

    for place, name in ((os, "listdir"), (builtins, "open")):
        real = getattr(place, name)
        migrations.migrations.cache_clear()
        migrations._highest_number.cache_clear()
        with monkeypatch.context() as faulty:
            faulty.setattr(place, name, refuse)
            with pytest.raises(ArchiveIOError, match="a part of exptrack"):
                Archive(tmp_path / f"{name}.db")
        Archive(tmp_path / f"{name}.db").close()


@pytest.mark.parametrize("version", [NEXT, 65, 1 << 30])
def test_verify_tells_of_a_header_whose_format_is_not_that_of_the_last_migration(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    with closing(sqlite3.connect(path)) as program:
        program.execute(f"PRAGMA user_version = {version}")
    with Archive(path, mode="ro") as archive:
        (problem,) = archive.verify().problems
        assert (problem.part, problem.message) == (
            "schema",
            f"its header says format {version}, and its last migration is {len(ALL)}",
        )


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("version", [0, -1, -(1 << 31)])
def test_a_format_that_no_version_has_is_refused(tmp_path: Path, version: int, mode: str) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    with closing(sqlite3.connect(path)) as program:
        program.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(NotAnArchiveError):
        Archive(path, mode=mode)
