"""Archives of somebody else: private copies of live, killed, older and read-only ones, and hostile files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.portable.foreign import is_same_file, look_at_source, open_source

RUN_IDS = "SELECT run_id FROM run ORDER BY id"


def make(path: Path, runs: int = 3) -> list[str]:
    """Write an archive of completed runs; return their ids."""
    with Archive(path) as archive:
        for number in range(runs):
            with archive.start_run({"lr": number / 10}, ["t"], name=f"run {number}") as run:
                run.log_many("loss", range(5), [1.0, 0.5, 0.25, 0.2, 0.1])
                run.artifacts.register_data("words", f"to be or not {number}")
        return [run.run_id for run in reversed(archive.list_runs())]


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes and times of every file of a folder."""
    return {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in folder.iterdir() if one.is_file()}


def read_ids(path: Path) -> tuple[list[str], list[str]]:
    """The run ids by both ways of opening."""
    with look_at_source(path) as looked:
        first = [row[0] for row in looked.all(RUN_IDS)]
    with open_source(path) as source:
        second = [row[0] for row in source.connection.all(RUN_IDS)]
        assert source.copy.parent.stat().st_mode & 0o777 == 0o700 or os.name != "posix"
        assert sorted(one.name for one in source.copy.parent.glob("archive.db*")) == ["archive.db"]
    assert not source.copy.exists()
    return first, second


def test_a_closed_archive_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    ids = make(tmp_path / "lab.db")
    before = state(tmp_path)
    assert read_ids(tmp_path / "lab.db") == (ids, ids)
    assert state(tmp_path) == before


WRITER = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
with archive.start_run(name="done") as run:
    run.log({"x": 1.0}, 0)
run = archive.start_run(name="open")
run.log({"x": 1.0}, 0)
run.flush()
run.log({"x": 2.0}, 1)
print(run.run_id, flush=True)
sys.stdin.readline()
os._exit(9)
"""


def test_a_live_archive_and_that_of_a_killed_process_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        run_id = writer.stdout.readline().strip()
        with open_source(path) as source:
            assert source.is_live
            assert source.connection.value("SELECT count(*) FROM run") == 2
            stored = source.connection.value("SELECT count(*) FROM metric_point")
            (journal,) = source.journals
            assert [point.step for point in journal.read_points()] == list(range(stored - 1, 2))
            assert set(journal.count_points()) <= {run_id}
        with look_at_source(path) as looked:
            assert looked.value("SELECT count(*) FROM run") == 2
        writer.stdin.write("\n")
    before = state(tmp_path)
    assert "lab.db-wal" in before
    with open_source(path) as source:
        assert not source.is_live
        points = [*source.journals[0].read_points()]
        stored = source.connection.value("SELECT count(*) FROM metric_point")
        assert stored + len(points) == 3
        assert all(point.run_id == run_id for point in points)
    with look_at_source(path) as looked:
        assert looked.value("SELECT count(*) FROM run") == 2
    assert state(tmp_path) == before


def test_an_archive_open_in_this_process_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with Archive(path) as archive:
        run = archive.start_run(name="open")
        with open_source(path) as source, look_at_source(path) as looked:
            assert source.is_live
            assert source.connection.value("SELECT count(*) FROM run") == 4
            assert looked.value("SELECT count(*) FROM run") == 4
        run.complete()
        probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode = DELETE')"
        done = subprocess.run([sys.executable, "-c", probe, path], capture_output=True, text=True, check=False)
        assert "locked" in done.stderr


def test_a_file_that_the_user_has_open_by_sqlite3_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as user:
        user.execute("BEGIN IMMEDIATE")
        user.execute("CREATE TABLE mine (x)")
        with open_source(path) as source, look_at_source(path) as looked:
            assert looked.value("SELECT count(*) FROM run") == source.connection.value(
                "SELECT count(*) FROM run"
            )
        probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        done = subprocess.run([sys.executable, "-c", probe, path], capture_output=True, text=True, check=False)
        assert "locked" in done.stderr
        user.execute("COMMIT")


def test_two_names_of_one_file_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    make(path, 1)
    (tmp_path / "link.db").symlink_to(path)
    os.link(path, tmp_path / "hard.db")
    (tmp_path / "other.db").write_bytes(path.read_bytes())
    same = [
        name for name in ("lab.db", "link.db", "hard.db", "other.db") if is_same_file(path, tmp_path / name)
    ]
    assert same == ["lab.db", "link.db", "hard.db"]
    assert not is_same_file(tmp_path / "none.db", tmp_path / "no.db")
    assert is_same_file(tmp_path / "none.db", tmp_path / "none.db")
    assert [len(ids) for ids in read_ids(tmp_path / "link.db")] == [1, 1]


def test_objects_of_strangers_are_taken_out_of_the_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    ids = make(path)
    with closing(sqlite3.connect(path)) as program:
        program.executescript(
            """
            CREATE TABLE mine (x CHECK (x > abs(-1)), y AS (hex(x)));
            CREATE INDEX by_host ON run (host, length(name));
            CREATE TRIGGER late AFTER INSERT ON mine BEGIN DELETE FROM note; END;
            CREATE VIEW newest AS SELECT * FROM run;
            ANALYZE;
            """
        )
    before = state(tmp_path)
    with open_source(path) as source:
        names = {row[0] for row in source.connection.all("SELECT name FROM sqlite_schema")}
        assert not names & {"mine", "by_host", "late", "newest", "sqlite_stat1"}
        assert [row[0] for row in source.connection.all(RUN_IDS)] == ids
    assert state(tmp_path) == before


def test_a_read_only_folder_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    ids = make(folder / "lab.db")
    (folder / "lab.db").chmod(0o400)
    folder.chmod(0o500)
    try:
        assert read_ids(folder / "lab.db") == (ids, ids)
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("size", [0, 100, 4096, 20_000])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, size: int) -> None:
    from exptrack import ArchiveError

    make(tmp_path / "lab.db", 1)
    os.truncate(tmp_path / "lab.db", size)
    with pytest.raises(ArchiveError), open_source(tmp_path / "lab.db"):
        pass
