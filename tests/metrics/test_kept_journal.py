"""Runs in a row leave their journal to each other; idle time, a fork and any end delete it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from exptrack import Archive, Run, RunSummary
from exptrack.errors import ArchiveIOError, RunFinishedError
from exptrack.metrics import writer as writer_module
from exptrack.metrics.writer import is_kept
from tests.metrics.points import journals, killed, values_of
from tests.warm_python import run_code

IN_A_ROW = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
for number in range(3):
    with archive.start_run() as run:
        run.log_metric("x", float(number))
assert len([name for name in os.listdir(os.path.dirname(sys.argv[1])) if name.endswith(".points")]) == 1
"""


def run_in_a_row(archive: Archive, count: int) -> list[Run]:
    made = []
    for number in range(count):
        with archive.start_run() as run:
            run.log({"x": float(number), "y": 1.0})
            run.log_metric("x", -1.0)
        made.append(run)
    return made


def completed(archive: Archive) -> list[RunSummary]:
    return [one for one in archive.list_runs() if one.status == "completed"]


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while journals(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert journals(folder) == []


def test_the_first_run_deletes_its_journal_and_the_next_ones_share_one(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        (first,) = run_in_a_row(archive, 1)
        assert journals(tmp_path) == []
        (second,) = run_in_a_row(archive, 1)
        (path,) = journals(tmp_path)
        third, fourth = archive.start_run(), archive.start_run()
        third.log_metric("x", 3.0)
        fourth.log_metric("x", 4.0)
        third.complete()
        fourth.complete()
        run_in_a_row(archive, 20)
        assert journals(tmp_path) == [path]
        assert archive._connection.value("SELECT count(*) FROM metric_journal") == 2
        for run in (first, second):
            assert values_of(run, "x") == [(0, 0.0), (1, -1.0)]
        assert (values_of(third, "x"), values_of(fourth, "x")) == ([(0, 3.0)], [(0, 4.0)])
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def test_a_journal_without_a_run_goes_after_a_while_and_the_file_alone_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "KEPT_S", 0.3)
    monkeypatch.setattr(writer_module, "DRAIN_S", 0.1)
    with Archive(tmp_path / "lab.db") as archive:
        run_in_a_row(archive, 3)
        writer = writer_module._WRITERS[archive._connection]
        assert len(journals(tmp_path)) == 1
        wait_until_gone(tmp_path)
        deadline = time.monotonic() + 20
        while writer._storing.is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not writer._storing.is_running
        shutil.copyfile(tmp_path / "lab.db", tmp_path / "copy.db")
        with Archive(tmp_path / "copy.db") as copy:
            assert len(completed(copy)) == 3
            assert copy.verify().problems == ()
        # A run that begins later is the first of a new row.
        time.sleep(0.3)
        (run,) = run_in_a_row(archive, 1)
        assert journals(tmp_path) == []
        assert values_of(run, "x") == [(0, 0.0), (1, -1.0)]


def test_a_process_that_ends_deletes_the_journal(tmp_path: Path) -> None:
    done = run_code(IN_A_ROW, str(tmp_path / "lab.db"))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(os.listdir(tmp_path)) == ["lab.db"]


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_the_next_opener_deletes_what_a_process_left_without_a_chance(
    tmp_path: Path, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    done = run_code(f"{IN_A_ROW}\n{end}", str(tmp_path / "lab.db"))
    assert (done.returncode, done.stderr) == (0 if "exit" in end else -9, "")
    with Archive(tmp_path / "lab.db") as archive:
        assert journals(tmp_path) == []
        runs = [archive.get_run(one.run_id) for one in completed(archive)]
        assert sorted(values_of(run, "x")[0][1] for run in runs) == [0.0, 1.0, 2.0]
        assert archive.verify().problems == ()
    assert caplog.messages == []


def test_a_kill_in_a_later_run_of_a_row_stores_each_point_once(tmp_path: Path) -> None:
    body = """
    run.complete()
    for number in range(3):
        run = archive.start_run()
        for step in range(50):
            run.log({"x": float(step), "y": 1.0}, step)
        if number < 2:
            run.complete()
    """
    killed(tmp_path, body)
    with Archive(tmp_path / "lab.db") as archive:
        states = [one.status for one in archive.list_runs()]
        assert states == ["interrupted", "completed", "completed", "completed"]
        for one in archive.list_runs()[:3]:
            assert values_of(archive.get_run(one.run_id), "x") == [(step, float(step)) for step in range(50)]
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_fork_puts_the_journal_away_and_parent_and_child_begin_others(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run_in_a_row(archive, 2)
        assert len(journals(tmp_path)) == 1
        child = os.fork()
        if not child:
            code = 1
            try:
                gone = journals(tmp_path) == []
                run_in_a_row(archive, 3)
                archive.close()
                code = 0 if gone else 2
            finally:
                os._exit(code)
        # Only then: the parent's next journal would lie beside the archive too.
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        run_in_a_row(archive, 3)
        assert len(completed(archive)) == 8
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def test_a_journal_that_is_deleted_or_cut_between_two_runs_is_made_anew_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run_in_a_row(archive, 2)
        (first,) = journals(tmp_path)
        first.unlink()
        run_in_a_row(archive, 1)
        (second,) = journals(tmp_path)
        second.chmod(0o600)
        os.truncate(second, 100)
        (run,) = run_in_a_row(archive, 1)
        (third,) = journals(tmp_path)
        assert len({first, second, third}) == 3
        assert values_of(run, "x") == [(0, 0.0), (1, -1.0)]
        third.unlink()
        third.write_text("a file of somebody else")
    assert journals(tmp_path) == [third]
    assert caplog.messages == []
    third.unlink()
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.verify().problems == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps open files")
def test_nothing_is_said_of_the_journal_if_its_folder_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "KEPT_S", 0.3)
    monkeypatch.setattr(writer_module, "DRAIN_S", 0.1)
    folder = tmp_path / "folder"
    folder.mkdir()
    archive = Archive(folder / "lab.db")
    run_in_a_row(archive, 2)
    shutil.rmtree(folder)
    deadline = time.monotonic() + 20
    while is_kept(archive._connection) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_kept(archive._connection)
    archive.close()
    assert "journal" not in caplog.text
    assert not folder.exists()


def test_an_archive_of_a_spool_is_one_file_after_each_run(tmp_path: Path) -> None:
    from exptrack import local_archive

    with local_archive(tmp_path) as archive:
        for _ in range(3):
            run_in_a_row(archive, 1)
            assert journals(tmp_path) == []
            assert [name for name in os.listdir(tmp_path) if name.endswith("-wal")] == []


def test_a_run_whose_end_is_not_stored_keeps_its_journal_and_ends_later(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last points and the end are one transaction: if it fails, neither is stored; both can be later."""
    run_in_a_row(archive, 2)
    run = archive.start_run()
    run.log({"x": 1.0})
    with monkeypatch.context() as patched:

        def refuse(*_: object, **__: object) -> None:
            raise ArchiveIOError("the disk is gone", path="lab.db")

        patched.setattr("exptrack.tracking.run.record_end", refuse)
        with pytest.raises(ArchiveIOError, match=r"the disk is gone\. 1 logged points are not in the archive"):
            run.complete()
    assert run.status == "running"
    run.log({"x": 2.0})
    run.complete()
    assert values_of(run, "x") == [(0, 1.0), (1, 2.0)]
    assert archive.verify().problems == ()


def test_points_of_a_run_that_was_ended_elsewhere_are_stored_alone(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, Archive(tmp_path / "lab.db") as other:
        run = archive.start_run()
        run.log_metric("x", 1.0)
        run.flush()
        other.get_run(run.run_id).interrupt("stopped elsewhere")
        run.log_metric("x", 2.0)
        with pytest.raises(RunFinishedError):
            run.complete()
        assert values_of(run, "x") == [(0, 1.0), (1, 2.0)]
        assert run.status == "interrupted"
        assert journals(tmp_path) == []
