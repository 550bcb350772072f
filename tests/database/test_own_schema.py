"""Objects that users added to the file: what is welcome, what is refused, and what a newer format may hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveCorruptError, ArchiveTooNewError, ConflictError, NotAnArchiveError

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
INDEXED = """
CREATE TABLE mine (id INTEGER PRIMARY KEY, text TEXT);
CREATE VIRTUAL TABLE found USING fts5(text, content='mine', content_rowid='id');
CREATE TRIGGER mine_ai AFTER INSERT ON mine BEGIN
    INSERT INTO found(rowid, text) VALUES (new.id, new.text);
END;
INSERT INTO mine (text) VALUES ('a word');
"""
WELCOME = {
    "a searched table": INDEXED,
    "a trigger on a table that refers to runs": """
        CREATE TABLE mine (run INTEGER REFERENCES run (id), text);
        CREATE TRIGGER t AFTER INSERT ON mine BEGIN UPDATE mine SET text = 'x'; END;
    """,
    "a table of its own with a unique index": "CREATE TABLE mine (a, b); CREATE UNIQUE INDEX u ON mine (a)",
    "an index on a table of exptrack": "CREATE INDEX by_host ON run (host)",
    "a trigger on a view of its own": """
        CREATE VIEW mine AS SELECT * FROM runs;
        CREATE TRIGGER t INSTEAD OF INSERT ON mine BEGIN SELECT 1; END;
    """,
    "names that need quotes": """
        CREATE TABLE "a]b" (x); CREATE TABLE "a""b" (x); CREATE TABLE "it's" (x); CREATE TABLE "[run]" (x);
        CREATE TABLE "run], (SELECT 1) AS [y" (x); CREATE TABLE "" (x);
    """,
}
REFUSED = {
    "a trigger on a table of exptrack": "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run_tag; END",
    "one that waits for a change": "CREATE TRIGGER t AFTER UPDATE OF name ON run BEGIN SELECT 1; END",
    "one that waits for a deletion": "CREATE TRIGGER t BEFORE DELETE ON note BEGIN SELECT RAISE(IGNORE); END",
    "one reached by a foreign key": """
        CREATE TABLE mine (run INTEGER REFERENCES run (id) ON DELETE CASCADE);
        CREATE TRIGGER t AFTER DELETE ON mine BEGIN DELETE FROM note; END;
    """,
    "one reached by two": """
        CREATE TABLE mine (id INTEGER PRIMARY KEY, run INTEGER REFERENCES run (id) ON DELETE CASCADE);
        CREATE TABLE more (mine INTEGER REFERENCES mine (id) ON DELETE CASCADE);
        CREATE TRIGGER t AFTER DELETE ON more BEGIN DELETE FROM note; END;
    """,
    "a foreign key that SQLite refuses": "CREATE TABLE mine (run TEXT REFERENCES run (name))",
    "a unique index": "CREATE UNIQUE INDEX u ON run (status)",
}


def change(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.executescript(script)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run({"lr": 0.1}, ["t"], name="first") as run:
        run.log({"loss": 1.0})
        run.add_note("n")
    return path


@pytest.mark.parametrize("what", WELCOME)
def test_objects_that_do_not_reach_ours_are_welcome(lab: Path, what: str) -> None:
    change(lab, WELCOME[what])
    with Archive(lab) as archive:
        second = archive.start_run(name="second")
        second.log({"loss": 2.0})
        second.complete()
        assert archive.verify().problems == ()
        assert archive.info(count_rows=True).rows["run"] == 2
        archive.delete_run(second)
    with Archive(lab, mode="ro") as archive:
        assert [run.name for run in archive.list_runs()] == ["first"]


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("what", REFUSED)
def test_objects_that_change_what_exptrack_writes_are_refused(lab: Path, what: str, mode: str) -> None:
    change(lab, REFUSED[what])
    with pytest.raises(NotAnArchiveError, match="not opened: exptrack did not make"):
        Archive(lab, mode=mode)


def test_a_trigger_that_hides_its_table_is_found(lab: Path) -> None:
    change(
        lab,
        """
        CREATE TABLE mine (x);
        CREATE TRIGGER t AFTER INSERT ON note BEGIN DELETE FROM run; END;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET tbl_name = 'mine' WHERE name = 't';
        """,
    )
    with pytest.raises(ArchiveCorruptError, match="malformed database schema"):
        Archive(lab)


@pytest.mark.parametrize("action", ["", " ON DELETE RESTRICT"])
def test_rows_of_a_users_table_may_keep_a_run(lab: Path, action: str) -> None:
    change(
        lab,
        f"CREATE TABLE mine (run INTEGER REFERENCES run (id){action}); INSERT INTO mine SELECT id FROM run",
    )
    with Archive(lab) as archive:
        (run,) = archive.list_runs()
        with pytest.raises(ConflictError, match="refers to what is to be deleted; delete its rows first"):
            archive.delete_run(run)
        change(lab, "DELETE FROM mine")
        archive.delete_run(run)
        assert archive.list_runs() == []


def test_every_table_is_counted_by_its_own_name(lab: Path) -> None:
    change(lab, WELCOME["names that need quotes"] + """; INSERT INTO "a]b" VALUES (1), (2)""")
    with Archive(lab) as archive:
        rows = archive.info(count_rows=True).rows
    others = ('a"b', "it's", "[run]", "run], (SELECT 1) AS [y", "")
    assert (rows["a]b"], [rows[name] for name in others]) == (2, [0] * 5)
    assert not [name for name in rows if name.startswith("sqlite_")]


def test_virtual_tables_are_not_counted(lab: Path) -> None:
    change(lab, INDEXED)
    change(
        lab,
        """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE found USING nowhere(x)' WHERE name = 'found';
        """,
    )
    with Archive(lab) as archive:
        info = archive.info(count_rows=True)
        assert (info.rows["mine"], "found" in info.rows) == (1, False)
        assert archive.info() == info._replace(rows={})


@pytest.mark.parametrize(
    "script",
    [
        f"ALTER TABLE run RENAME TO old; CREATE VIEW run AS SELECT n AS id FROM ({ENDLESS})",
        "DROP TABLE note",
        "ALTER TABLE run RENAME COLUMN host TO machine",
        f"DROP VIEW run_storage; CREATE VIEW run_storage AS SELECT n AS run_id FROM ({ENDLESS})",
        """
        CREATE TABLE other (run INTEGER, text AS (instr(zeroblob(900000000), zeroblob(400000000) || 'x')));
        DROP TABLE note; ALTER TABLE other RENAME TO note
        """,
    ],
)
def test_a_newer_format_is_read_only_if_its_tables_are_ordinary(lab: Path, script: str) -> None:
    change(lab, f"PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON; PRAGMA user_version = 99; {script}")
    with pytest.raises(ArchiveTooNewError, match="this exptrack cannot read"):
        Archive(lab, mode="ro")


def test_a_newer_format_with_more_in_it_is_read(lab: Path) -> None:
    change(
        lab,
        "PRAGMA user_version = 99; ALTER TABLE run ADD COLUMN more TEXT; CREATE TABLE news (x); DROP VIEW runs",
    )
    with Archive(lab, mode="ro") as archive:
        assert [run.name for run in archive.list_runs()] == ["first"]
