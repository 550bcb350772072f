"""A store in trouble never ends a training: points wait, a warning says so once, and later calls store them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveLockedError, RunStatus
from exptrack.errors import ArchiveError, ArchiveMovedError
from exptrack.metrics import writer as writer_module
from tests.metrics.points import journals, values_of


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Another program holds SQLite's write lock, as a database browser with an unsaved edit does."""
    other = sqlite3.connect(path, isolation_level=None, timeout=10)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def hasty(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive whose waits are short."""
    archive._connection.busy_wait_s = 0.3
    monkeypatch.setattr(writer_module, "PATIENCE_S", 0.1)
    monkeypatch.setattr(writer_module, "DRAIN_S", 0.05)
    monkeypatch.setattr(writer_module, "WARN_OF_LOCK_S", 0.5)
    return archive


def test_a_lock_of_another_program_never_reaches_a_logging_call(
    hasty: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    with hasty.start_run() as run:
        run.log_metric("x", 0.0)
        with locked(hasty.path):
            begun, step = time.monotonic(), 1
            while time.monotonic() - begun < 2:
                run.log_metric("x", float(step))
                run.log({"y": float(step), "z": 1.0})
                step += 1
                time.sleep(0.0005)
            assert run.get_metric("x") == [] or len(run.get_metric("x")) < step
            with pytest.raises(
                ArchiveLockedError, match=r"waiting \d.\d s was in vain.* logged points .* wait in"
            ):
                run.flush()
    assert caplog.text.count("logged points wait in") == 1
    assert [value for _, value in values_of(run, "x")] == [float(number) for number in range(step)]
    assert hasty.verify().problems == ()


def test_waits_for_a_lock_do_not_add_up(hasty: Archive) -> None:
    connection = hasty._connection
    connection.busy_wait_s = 1.5
    run = hasty.start_run()
    assert connection._patience.seconds(1.5) == 1.5
    with locked(hasty.path):
        for _ in range(2):
            with pytest.raises(ArchiveLockedError, match=r"waiting \d+\.\d s was in vain"):
                run.add_tag("x")
            assert connection._patience.seconds(1.5) == 1.0
    run.add_tag("y")
    assert connection._patience.seconds(1.5) == 1.5
    run.complete()


def test_the_end_of_a_block_under_a_lock_does_not_hide_the_exception_of_the_training(
    hasty: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    run = hasty.start_run()
    with locked(hasty.path):
        with pytest.raises(ZeroDivisionError), run:
            run.log_metric("x", 1.0)
            print(1 / 0)
        assert "the end of run" in caplog.text
        assert run.status is RunStatus.RUNNING
    assert run._end_as_wanted()
    assert (run.status, values_of(run, "x")) == (RunStatus.FAILED, [(0, 1.0)])


AT_EXIT = """
import sys, sqlite3, threading, time, exptrack
archive = exptrack.Archive(sys.argv[1])
archive._connection.busy_wait_s = 0.2
run = archive.start_run()
run.log_metric("x", 1.0)
other = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)
other.execute("BEGIN IMMEDIATE")
try:
    run.complete()
except exptrack.ArchiveLockedError as error:
    assert "1 logged points are not in the archive" in str(error), error
    if sys.argv[2] == "released":
        other.execute("ROLLBACK")
else:
    raise AssertionError
"""


@pytest.mark.parametrize("when", ["released", "held"])
def test_an_end_that_could_not_be_stored_is_stored_at_exit_or_its_points_by_the_next_opener(
    tmp_path: Path, when: str
) -> None:
    path = tmp_path / "lab.db"
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, path, when], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert ("could not be ended" in done.stderr) == (when == "held")
    with Archive(path) as archive:
        (summary,) = archive.list_runs()
        assert summary.status == ("completed" if when == "released" else "interrupted")
        assert values_of(archive.get_run(summary.run_id), "x") == [(0, 1.0)]
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let an open folder go")
def test_a_folder_that_is_moved_during_the_training_keeps_all_points(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "lab", tmp_path / "away"
    folder.mkdir()
    archive = Archive(folder / "lab.db")
    run = archive.start_run()
    for step in range(100):
        run.log_metric("x", float(step))
    folder.rename(away)
    for step in range(100, 60_000):
        run.log_metric("x", float(step))
        if step == 200:
            time.sleep(1.5)
    run.log({"x": 60_000.0, "new": 1.0})
    for call in (run.flush, run.complete):
        with pytest.raises(ArchiveMovedError, match="logged points are not in the archive"):
            call()
    assert caplog.text.count("logged points wait in") == 1
    away.rename(folder)
    run.flush()
    run.complete()
    archive.close()
    with Archive(folder / "lab.db") as again:
        assert [step for step, _ in values_of(again.get_run(run.run_id), "x")] == list(range(60_001))
        assert again.verify().problems == ()
    assert journals(folder) == []


MOVED = """
import os, sys, logging, exptrack
logging.disable()
archive = exptrack.Archive(sys.argv[1] + "/lab.db")
run = archive.start_run()
for step in range(10):
    run.log_metric("x", float(step))
os.rename(sys.argv[1], sys.argv[2])
for step in range(10, 1000):
    run.log_metric("x", float(step))
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let an open folder go")
def test_what_was_logged_after_a_move_is_found_at_the_new_place(tmp_path: Path) -> None:
    folder, away = tmp_path / "lab", tmp_path / "away"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", MOVED, folder, away], check=False)
    with Archive(away / "lab.db") as archive:
        (summary,) = archive.list_runs()
        assert len(archive.get_run(summary.run_id).get_metric("x")) == 1000


def test_an_error_of_the_archive_is_told_in_full_by_flush(hasty: Archive) -> None:
    run = hasty.start_run()
    run.log({"a": 1.0, "b": 2.0})
    assert run._writer is not None
    with locked(hasty.path), pytest.raises(ArchiveError) as told:
        run.flush()
    assert "2 logged points are not in the archive" in str(told.value)
    assert str(run._writer.journal.path) in str(told.value)
    run.flush()
    run.complete()
