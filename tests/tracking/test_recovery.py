"""What dead processes left: stored when it can be, told when it cannot, taken over when the user says so."""

from __future__ import annotations

import logging
import re
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveLockedError, InvalidTypeError, RunBusyError, process
from tests.cli.calls import call, shell
from tests.metrics.points import journals, killed, values_of

READING = [
    ("ls",),
    ("info",),
    ("verify",),
    ("sql", "SELECT run_id FROM runs"),
    ("best", "loss", "--max"),
    ("top", "started"),
    ("sweep", "ls"),
    ("view", "--list"),
]
SCRIPT = """
import os, signal, exptrack
from exptrack import process
process._make_host_id = lambda: "0123456789abcdef"
process._read_boot_id = lambda: "another boot"
run = exptrack.Archive("lab.db").start_run()
for step in range(1000):
    run.log({"loss": float(step)}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An archive with what a process of another host left."""
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True)
    assert len(journals(tmp_path)) == 1
    return tmp_path / "lab.db"


@pytest.fixture
def locked(tmp_path: Path) -> sqlite3.Connection:
    """An archive with what a dead process of this machine left, and another that holds the write lock."""
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run(name="done").complete()
    killed(tmp_path, "for step in range(100): run.log({'loss': 1.0})")
    lock = sqlite3.connect(tmp_path / "lab.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    return lock


def test_reading_goes_on_beside_a_held_write_lock_and_says_so_once(
    locked: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        runs = archive.list_runs()
        assert sorted(run.status for run in runs) == ["completed", "interrupted"]
        assert archive.show_run(runs[0].run_id).summary.run_id == runs[0].run_id
        assert archive.compare([run.run_id for run in runs]).runs
        assert archive.sql("SELECT count(*) FROM runs").rows == ((2,),)
        assert archive.verify().ok
        (waiting,) = archive.info().waiting
        assert waiting.points == 100
        assert len(caplog.messages) == 1
        assert "100 points" in caplog.messages[0]
        assert "another process is writing" in caplog.messages[0]
        locked.execute("ROLLBACK")
        locked.close()
        report = archive.recover()
        assert (report.points, len(report.runs), report.waiting) == (100, 1, ())
        assert archive.verify().ok


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_each_reading_command_goes_on_beside_a_held_write_lock(
    locked: sqlite3.Connection, tmp_path: Path, words: tuple[str, ...]
) -> None:
    result = call(tmp_path / "lab.db", *words)
    assert result.exit_code == (34 if words[0] == "best" else 0), result.stderr
    locked.close()


def test_an_own_drain_that_waits_does_not_keep_a_reader(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        lock = sqlite3.connect(tmp_path / "lab.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        run.log({"loss": 1.0})
        time.sleep(1.2)  # the writer's thread waits for the lock by now
        assert len(archive.list_runs()) == 1
        with pytest.raises(ArchiveLockedError):
            archive._connection.section(lambda: None, within_s=0)
        lock.execute("ROLLBACK")
        lock.close()
        run.complete()
        assert values_of(run, "loss") == [(0, 1.0)]


def test_points_of_another_host_wait_until_they_are_taken_over(
    elsewhere: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive(elsewhere) as archive:
        (run,) = archive.list_runs()
        assert run.status == "running"
        assert len(caplog.messages) == 1
        assert "1,000 points" in caplog.messages[0]
        assert "exptrack recover --take-over" in caplog.messages[0]
        for report in (archive.recover(), archive.verify(), archive.info()):
            (waiting,) = report.waiting
            assert waiting.points == 1000
            assert "process" in waiting.owner
        with pytest.raises(RunBusyError):
            archive.resume_run(run.run_id)
        taken = archive.recover(take_over=True)
        assert (taken.points, taken.runs, taken.waiting) == (1000, (run.run_id,), ())
        assert [one.status for one in archive.list_runs()] == ["interrupted"]
        assert len(values_of(archive.get_run(run.run_id), "loss")) == 1000
        assert archive.recover(take_over=True).points == 0
        assert archive.verify().ok
    assert journals(elsewhere.parent) == []


def test_resuming_by_take_over_stores_what_its_owner_left(elsewhere: Path) -> None:
    with Archive(elsewhere) as archive:
        run = archive.resume_run(archive.list_runs()[0].run_id, take_over=True)
        run.log({"loss": -1.0})
        run.complete()
        assert len(values_of(run, "loss")) == 1001
        assert archive.verify().ok


def test_the_command_takes_over_and_tells(elsewhere: Path) -> None:
    listed = shell(elsewhere, "exptrack ls").stderr  # in another process, as each process warns once
    for told in (listed, call(elsewhere, "info").stdout, call(elsewhere, "verify").stdout):
        whose = rf"1,000 points wait in \S+ of process \d+ on host {socket.gethostname()}, last seen"
        assert re.search(whose, " ".join(told.split()))
    assert "0 points stored" in call(elsewhere, "recover").stdout
    assert "1,000 points stored, 1 run marked" in call(None, "recover", "--take-over", str(elsewhere)).stdout
    assert call(elsewhere.parent / "absent.db", "recover").exit_code == 11


def test_a_living_process_is_never_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.log({"loss": 1.0})
        assert archive.recover(take_over=True).runs == ()
        # A container that shares the file: the process is unknown there, but the lock on its journal is seen.
        monkeypatch.setattr(process, "_current", process.current_process()._replace(host_id="another"))
        assert archive.recover(take_over=True).runs == ()
        monkeypatch.undo()
        run.complete()
        assert values_of(run, "loss") == [(0, 1.0)]
        with pytest.raises(InvalidTypeError):
            archive.recover(take_over="yes")  # type: ignore[arg-type]


def test_what_waits_is_told_in_a_reading_archive_too(elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Archive(elsewhere, mode="ro") as archive:
        assert archive.list_runs()[0].status == "running"
    assert len(caplog.messages) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells that a process executes another program")
def test_a_script_that_executes_itself_anew_goes_on_with_its_run(tmp_path: Path) -> None:
    code = """
import os, sys, exptrack
archive = exptrack.Archive("lab.db")
if len(sys.argv) == 1:
    run = archive.start_run()
    run.log({"loss": 0.5})
    os.execv(sys.executable, [sys.executable, __file__, run.run_id])
with archive.resume_run(sys.argv[1]) as run:
    run.log({"loss": 0.4})
"""
    script = tmp_path / "train.py"
    script.write_text(code, encoding="utf-8")
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert run.status == "completed"
        assert [point.value for point in archive.get_run(run.run_id).get_metric("loss")] == [0.5, 0.4]


def test_the_report_includes_what_the_opening_has_stored(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(100): run.log({'loss': 1.0})")
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        report = archive.recover()
        assert (report.points, report.runs) == (100, (run.run_id,))
        assert archive.recover().points == 0


def test_the_command_tells_what_it_stored(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(100): run.log({'loss': 1.0})")
    done = call(tmp_path / "lab.db", "recover")
    assert done.stdout.startswith("100 points stored, 1 run marked as interrupted: ")
