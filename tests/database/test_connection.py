"""Connections: transactions, forks, threads, checkpoints, moved files."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, ArchiveMovedError, ArchiveReadOnlyError, UnsupportedSqliteError
from exptrack.database import checkpoint_warning
from exptrack.database.connection import CHECKPOINT_COMMITS, Connection
from exptrack.database.failures import require_sqlite
from exptrack.database.opening import open_connection
from tests.changes import changing, reading


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    opened = open_connection(tmp_path / "lab.db")
    yield opened
    opened.close()


def add_name(connection: Connection, name: str) -> None:
    connection.execute("INSERT INTO metric_name (name) VALUES (?)", (name,))


def names(connection: Connection) -> list[str]:
    return [row[0] for row in connection.all("SELECT name FROM metric_name ORDER BY id")]


def test_transactions_nest_and_an_inner_failure_undoes_the_inner_part(connection: Connection) -> None:
    with changing(connection):
        add_name(connection, "outer")
        with pytest.raises(RuntimeError), changing(connection):
            add_name(connection, "inner")
            raise RuntimeError
        with changing(connection):
            add_name(connection, "second")
    assert names(connection) == ["outer", "second"]
    with pytest.raises(RuntimeError), changing(connection):
        add_name(connection, "lost")
        raise RuntimeError
    assert names(connection) == ["outer", "second"]
    assert not connection.in_transaction


def test_every_writer_begins_immediate(tmp_path: Path) -> None:
    open_connection(tmp_path / "lab.db").close()
    statements: list[str] = []
    connection = Connection(tmp_path / "lab.db")
    connection.trace = statements.append
    with changing(connection):
        add_name(connection, "a")
    connection.close()
    assert [s for s in statements if s.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


def test_checkpoints_happen_only_while_the_write_lock_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    open_connection(path).close()
    outcomes: list[str] = []

    def watch(statement: str) -> None:
        if "wal_checkpoint" in statement:
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                other.execute("BEGIN IMMEDIATE")
                outcomes.append("a writer could commit")
            except sqlite3.OperationalError as error:
                outcomes.append(str(error))
            other.close()

    connection = Connection(path)
    connection.trace = watch
    for number in range(200):
        with changing(connection):
            add_name(connection, f"m{number}")
    connection.checkpoint()
    connection.close()
    assert len(outcomes) >= 4
    assert set(outcomes) == {"database is locked"}


def test_there_is_one_place_that_checkpoints_beside_others_and_none_that_does_by_itself(
    connection: Connection,
) -> None:
    package = Path(exptrack.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    # The other one copies the WAL into a renamed file, while no other process has that open.
    assert sorted(re.findall(r"wal_checkpoint\W(\w*)", sources)) == ["PASSIVE", "TRUNCATE"]
    assert connection.value("PRAGMA wal_autocheckpoint") == 0


def test_the_log_stays_bounded(connection: Connection) -> None:
    for number in range(600):
        with changing(connection):
            add_name(connection, f"{number}-" + "x" * 50_000)
    assert os.stat(f"{connection.path}-wal").st_size < 16 * 1024 * 1024


def commit_often(connection: Connection) -> None:
    for _ in range(CHECKPOINT_COMMITS + 5):
        with changing(connection):
            pass


def test_a_checkpoint_that_fails_is_told_once_and_the_commits_stand(
    connection: Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with changing(connection):
        add_name(connection, "a")
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE

    def fail(_handle: object) -> None:
        raise broken

    monkeypatch.setattr(connection, "_checkpoint", fail)
    commit_often(connection)
    (record,) = caplog.records
    words = record.getMessage()
    assert f"the checkpoint of {connection.path} failed: the operating system failed to read or write" in words
    assert "Nothing is lost" in words
    assert "remove the cause" in words
    commit_often(connection)
    assert len(caplog.records) == 1
    assert names(connection) == ["a"]


def test_a_reader_that_keeps_a_large_wal_is_told_once(
    connection: Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_warning, "LARGE_WAL_BYTES", 100_000)
    reader = sqlite3.connect(connection.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM run").fetchall()
    for number in range(200):
        with changing(connection):
            add_name(connection, f"{number}-" + "x" * 1000)
    (record,) = caplog.records
    assert "a process has been reading the archive for long" in record.getMessage()
    reader.execute("ROLLBACK")
    commit_often(connection)
    assert len(names(connection)) == 200
    reader.close()


def test_a_checkpoint_that_finds_another_writer_is_no_failure(
    connection: Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    tried = []

    def refuse(_handle: object) -> None:
        tried.append(1)
        raise busy

    monkeypatch.setattr(connection, "_checkpoint", refuse)
    commit_often(connection)
    assert tried
    assert caplog.records == []


def test_what_is_read_in_a_snapshot_is_of_one_moment(archive: Archive) -> None:
    connection = archive._connection
    count = "SELECT count(*) FROM run"
    with Archive(archive.path) as other, reading(connection):
        assert connection.value(count) == 0
        other.start_run().complete()
        assert connection.value(count) == 0
    assert connection.value(count) == 1
    with changing(connection), reading(connection):
        assert connection.in_transaction
    with pytest.raises(RuntimeError), reading(connection):
        raise RuntimeError
    archive.start_run().complete()


def test_threads_write_without_loss(archive: Archive) -> None:
    run = archive.start_run()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(50):
                run.log_metric(f"m{number % 2}", step)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(run.get_metric("m0")) == len(run.get_metric("m1")) == 200
    run.complete()


WRITER = """
import sys, exptrack
with exptrack.Archive(sys.argv[1]) as archive:
    with archive.start_run(group="many") as run:
        for step in range(100):
            run.log({"x": float(step)}, step)
"""


def test_sixteen_processes_and_a_reader_lose_nothing_and_meet_no_error(archive: Archive) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, archive.path], stderr=subprocess.PIPE, text=True)
        for _ in range(16)
    ]
    while any(process.poll() is None for process in processes):
        archive.list_runs()
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 16
    rows = archive.sql("SELECT count, last FROM metrics WHERE name = 'x' AND completed = 1").rows
    assert rows == ((100, 99.0),) * 16


FORKER = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
with archive.start_run() as run:
    run.log({"x": 1.0})
    child = os.fork()
    if child == 0:
        run.log({"x": 2.0})
        archive.get_run(run.run_id).add_tag("from the child")
        sys.exit(0)  # the interpreter ends in full: destructors, atexit
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    run.log({"x": 3.0})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_uses_its_own_connection_and_ends_no_run(archive: Archive) -> None:
    done = subprocess.run([sys.executable, "-c", FORKER, archive.path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = archive.list_runs()
    assert (record.status, record.tags) == ("completed", ("from the child",))
    assert [p.value for p in archive.get_run(record.run_id).get_metric("x")] == [1.0, 2.0, 3.0]


def _replace(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"")


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let an open file go")
@pytest.mark.parametrize("change", [lambda p: p.rename(p.with_suffix(".old")), lambda p: p.unlink(), _replace])
def test_a_file_that_is_moved_while_open_is_noticed(tmp_path: Path, change: object) -> None:
    archive = Archive(tmp_path / "lab.db")
    run = archive.start_run()
    change(tmp_path / "lab.db")  # type: ignore[operator]
    run.log_metric("x", 1.0)
    with pytest.raises(ArchiveMovedError, match="moved, replaced or deleted"):
        run.flush()
    with pytest.raises(ArchiveMovedError):
        run.complete()
    with pytest.raises(ArchiveMovedError):
        archive.close()
    assert len(list(tmp_path.glob("lab.db.*.points"))) == 1
    archive.close()


FULL = """
import resource, signal, sys, exptrack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
run.log({"x": 1.0})
limit = 1_500_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    run.artifacts.register_data("big", __import__("os").urandom(8_000_000))
except (exptrack.ArchiveFullError, exptrack.ArchiveIOError) as error:
    print(type(error).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.log({"x": 2.0})
run.complete()
print(len(run.get_metric("x")), run.artifacts.list_artifacts(), archive.verify().ok)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX's")
def test_a_full_disk_is_a_clear_error_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "lab.db")], capture_output=True, text=True
    )
    assert done.stderr == ""
    first, second = done.stdout.splitlines()
    assert first in ("ArchiveFullError", "ArchiveIOError")
    assert second == "2 [] True"


def test_an_old_sqlite_is_refused_with_a_sentence() -> None:
    with pytest.raises(UnsupportedSqliteError, match=r"3\.36\.0"):
        require_sqlite((3, 36, 0))


def test_a_connection_that_only_reads_refuses_transactions(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    connection = Connection(tmp_path / "lab.db", "ro")
    with pytest.raises(ArchiveReadOnlyError), changing(connection):
        pass
    connection.close()
