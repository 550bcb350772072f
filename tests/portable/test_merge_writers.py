"""A merge leaves alone the runs that a process writes into this archive, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exptrack import Archive, MergeReport, Run
from exptrack.metrics import journal_locks

IS_WRITTEN = "a process is writing the copy here; merge again when it has ended"
# Has a run in each of two archives, prints their ids, and lives until its input ends.
WRITES_TWO = """
import sys, exptrack
here, there = (exptrack.Archive(path) for path in sys.argv[1:])
runs = [archive.start_run(system_metrics=False) for archive in (here, there)]
for run in runs:
    run.log({"loss": 1.0})
    run.flush()
print(*(run.run_id for run in runs), flush=True)
sys.stdin.readline()
runs[1].log({"loss": 2.0})
runs[1].complete()
print("completed", flush=True)
sys.stdin.read()
"""
# Starts a run, forks, and ends: the child has the run, lives until its input ends, and logs nothing.
LEAVES_TO_CHILD = """
import os, sys, exptrack
run = exptrack.Archive(sys.argv[1]).start_run(system_metrics=False)
run.log({"loss": 1.0})
run.flush()
if os.fork():
    os._exit(0)
print(run.run_id, flush=True)
sys.stdin.read()
os._exit(0)
"""


@contextmanager
def begun(script: str, *paths: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, paths)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout, process.stdin:
        yield process
    assert process.wait() == 0


def say(process: subprocess.Popen[str], line: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    if line:
        process.stdin.write(line)
        process.stdin.flush()
    return process.stdout.readline()


def left_out(report: MergeReport) -> list[tuple[str, str]]:
    return [(one.what, one.reason) for file in report.files for one in file.left_out]


def copy_and_go_on(archive: Archive, run_id: str, copy: Path) -> Path:
    """Copy an archive, and add a point in the copy, so that it has all that the archive has and more."""
    archive.backup(copy)
    with Archive(copy) as other:
        other.get_run(run_id).log_rows([("loss", 9.0)])
    return copy


def last(archive: Archive, run_id: str) -> float:
    return float(archive.get_run(run_id).get_metric("loss")[-1].value)


@pytest.fixture(params=[True, False], ids=["with locks", "without locks"])
def _locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(journal_locks, "HAS_OPEN_FILE_LOCKS", False)


@pytest.mark.usefixtures("_locks")
def test_this_process_writes_both_archives(tmp_path: Path) -> None:
    with Archive(tmp_path / "here.db") as here, Archive(tmp_path / "there.db") as there:
        own, other = (one.start_run(system_metrics=False) for one in (here, there))
        for run in (own, other):
            run.log({"loss": 1.0})
        assert here.merge(tmp_path / "there.db").ok
        other.log({"loss": 2.0})
        assert here.merge(tmp_path / "there.db").ok
        assert last(here, other.run_id) == 2.0

        copy = copy_and_go_on(here, own.run_id, tmp_path / "copy.db")
        assert left_out(here.merge(copy)) == [(own.run_id, IS_WRITTEN)]
        own.log({"loss": 3.0})
        own.flush()
        assert last(here, own.run_id) == 3.0


def test_another_process_writes_both_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = tmp_path / "here.db", tmp_path / "there.db"
    with begun(WRITES_TWO, *paths) as process:
        own, other = say(process).split()
        with Archive(paths[0]) as here:
            assert here.merge(paths[1]).ok
            assert say(process, "go on\n")
            assert here.merge(paths[1]).ok
            assert last(here, other) == 2.0
            copy = copy_and_go_on(here, own, tmp_path / "copy.db")
            assert left_out(here.merge(copy)) == [(own, IS_WRITTEN)]
            monkeypatch.setattr(journal_locks, "HAS_OPEN_FILE_LOCKS", False)  # then any run of it is left alone
            assert left_out(here.merge(copy)) == [(own, IS_WRITTEN)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_a_forked_child_writes_the_archive(tmp_path: Path) -> None:
    with begun(LEAVES_TO_CHILD, tmp_path / "here.db") as process:
        run_id = say(process).strip()
        with Archive(tmp_path / "here.db") as here:
            copy = copy_and_go_on(here, run_id, tmp_path / "copy.db")
            assert left_out(here.merge(copy)) == [(run_id, IS_WRITTEN)]
    with Archive(tmp_path / "here.db") as here:
        assert here.merge(copy).ok
        assert last(here, run_id) == 9.0


@pytest.mark.filterwarnings("ignore:the journal")
def test_a_run_is_held_from_its_start_or_resumption_to_its_end(tmp_path: Path) -> None:
    with Archive(tmp_path / "here.db") as here:
        first, second = (here.start_run(system_metrics=False) for _ in range(2))
        (journal,) = tmp_path.glob("*.points")
        assert is_held(journal, first, second) == [True, True]
        first.complete()
        assert is_held(journal, first, second) == [False, True]
        first = here.resume_run(first.run_id, system_metrics=False)
        assert is_held(journal, first, second) == [True, True]
        journal.unlink()
        second.log({"loss": 1.0})  # makes the file again
        second.flush()
        assert is_held(journal, first, second) == [True, True]


def is_held(journal: Path, *runs: Run) -> list[bool]:
    if not journal_locks.HAS_OPEN_FILE_LOCKS:
        pytest.skip("the system has no locks of open files")
    return [journal_locks.is_run_held(journal, run.run_id) for run in runs]
