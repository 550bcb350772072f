"""Rows of studies and trials, read and deleted without Optuna."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exptrack import Archive, ConflictError, RunBusyError, StudyNotFoundError, Trial, TrialState
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS
from exptrack.process import current_process
from tests.changes import altering
from tests.sweeps.elsewhere import CONTAINER, MACHINE, begin_trial
from tests.sweeps.objectives import parabola


def test_an_unknown_study_is_named_with_a_suggestion(archive: Archive) -> None:
    archive.create_study("digits")
    with pytest.raises(StudyNotFoundError, match="did you mean 'digits'"):
        archive.study("digit")


def test_a_deleted_study_leaves_its_runs(archive: Archive) -> None:
    study = archive.create_study("gone")
    study.optimize(parabola, 2)
    assert archive.delete_study("gone") == 2
    assert archive.studies() == []
    assert len(archive.list_runs()) == 2
    assert archive.verify().ok


def test_a_study_is_deleted_with_its_runs_and_what_only_they_hold(archive: Archive) -> None:
    with archive.start_run(name="other") as other:
        other.artifacts.register_data("shared", b"s" * 10_000)
    study = archive.create_study("gone")

    def objective(trial: Trial) -> float:
        assert trial.run is not None
        trial.run.artifacts.register_data("own", os.urandom(10_000))
        trial.run.artifacts.register_data("shared", b"s" * 10_000)
        return parabola(trial)

    study.optimize(objective, 3)
    archive.trash_run(study.trials[0].run_id)
    stored = archive.info(count_rows=True).rows["blob"]
    assert archive.delete_study("gone", with_runs=True) == 3
    assert (archive.studies(), archive.list_trash()) == ([], [])
    assert [run.run_id for run in archive.list_runs()] == [other.run_id]
    assert (stored, archive.info(count_rows=True).rows["blob"]) == (4, 1)
    assert archive.verify().ok


def test_a_study_that_is_searched_is_deleted_only_where_that_is_meant(archive: Archive) -> None:
    study = archive.create_study("live")
    trial = study.ask()
    with pytest.raises(ConflictError, match="1 trial of study 'live' may be running; stop the search first"):
        archive.delete_study("live", only_ended=True)
    study.tell(trial, 1.0)

    def delete(trial: Trial) -> float:
        # Its run is running too.
        with pytest.raises(RunBusyError):
            archive.delete_study("live", with_runs=True)
        return 1.0

    study.optimize(delete, 1)
    assert len(archive.trials("live")) == 2
    study.ask()
    assert archive.delete_study("live") == 3
    assert archive.verify().ok


def test_a_trial_whose_process_is_dead_keeps_no_study(archive: Archive) -> None:
    archive.create_study("dead").ask()
    other = json.dumps({**current_process()._asdict(), "started": "1"})
    with altering(archive._connection):
        archive._connection.execute("UPDATE trial SET owner = ?", (other,))
    assert archive.delete_study("dead", only_ended=True) == 1


def test_a_trial_of_a_dead_process_counts_as_failed_although_nobody_has_said_so(archive: Archive) -> None:
    study = archive.create_study("dead")
    number = study.ask().number
    before = archive.study_results("dead")
    assert before.info.counts[TrialState.RUNNING] == 1
    # The same pid, but another process began under it.
    other = json.dumps({**current_process()._asdict(), "started": "1"})
    with altering(archive._connection):
        archive._connection.execute("UPDATE trial SET owner = ?", (other,))
    results = archive.study_results("dead")
    assert (results.info.counts[TrialState.RUNNING], results.info.counts[TrialState.FAIL]) == (0, 1)
    assert [(trial.state, trial.reason) for trial in results.trials] == [(TrialState.FAIL, "its process died")]
    assert archive.trials("dead", TrialState.RUNNING) == []
    assert [trial.number for trial in archive.trials("dead", TrialState.FAIL)] == [number]


KILLED = """
import os, signal, sys, time, exptrack
study = exptrack.Archive(sys.argv[1]).create_study("killed")
def objective(trial):
    time.sleep(0.1)
    trial.report(0, 0.5)
    os.kill(os.getpid(), signal.SIGKILL)
study.optimize(objective, 1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_trial_ends_with_the_last_point_of_its_run(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL
    with Archive(path) as archive:
        (dead,) = archive.study("killed").failed_trials()
        (metric,) = archive.show_run(str(dead.run_id)).metrics
        (point,) = archive.get_run(str(dead.run_id)).get_metric(metric.name)
        assert dead.started_at is not None
        assert dead.ended_at is not None
        assert dead.ended_at == point.time == archive.list_runs()[0].ended_at
        ((duration_s, ended, of_run),) = archive.sql(
            "SELECT t.duration_s, t.ended_at, r.ended_at FROM trials AS t JOIN runs AS r USING (run_id)"
        ).rows
        assert duration_s == pytest.approx((dead.ended_at - dead.started_at).total_seconds(), abs=0.002)
        assert ended == of_run
        assert archive.verify().ok


@pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")
def test_a_trial_of_another_container_is_dead_once_its_process_is(archive: Archive) -> None:
    study = archive.create_study("container")
    with begin_trial(Path(archive.path), "container", CONTAINER):
        assert study.unseen_trials() == study.fail_dead_trials(take_over=True) == []
        assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    assert archive.study_results("container").info.counts[TrialState.FAIL] == 1
    assert study.fail_dead_trials() == [0]


def test_a_trial_of_another_machine_fails_only_when_it_is_taken_over(archive: Archive) -> None:
    study = archive.create_study("machine")
    here = study.ask()
    with begin_trial(Path(archive.path), "machine", MACHINE):
        pass
    assert study.fail_dead_trials() == []
    results = archive.study_results("machine")
    assert results.unseen == (1,)
    assert "trial 1 " in results.describe_unseen()
    assert "resume machine --retry --take-over" in results.describe_unseen()
    assert study.fail_dead_trials(take_over=True) == [1]
    assert archive.study_results("machine").describe_unseen() == ""
    study.tell(here, 1.0)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]


BECOMES_A_DAEMON = """
import os, sys, time, exptrack
from pathlib import Path
study = exptrack.Archive("lab.db").study("search")
trial = study.ask()
lr = trial.suggest_float("lr", 0, 1)
if os.fork():
    os._exit(0)
os.setsid()
os.closerange(0, 256)
Path("away").write_text(str(os.getpid()))
while not Path("go").exists():
    time.sleep(0.005)
trial.report(0, lr)
study.tell(trial, lr)
Path("told").write_text("")
"""


@pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")
@pytest.mark.parametrize("killed", [False, True])
def test_a_trial_runs_on_in_a_child_of_the_process_that_began_it(
    archive: Archive, tmp_path: Path, killed: bool
) -> None:
    study = archive.create_study("search")
    subprocess.run([sys.executable, "-c", BECOMES_A_DAEMON], cwd=tmp_path, check=True)
    child = int(_await(tmp_path / "away"))
    assert study.fail_dead_trials() == study.unseen_trials() == []
    assert archive.study_results("search").info.counts[TrialState.RUNNING] == 1
    if killed:
        os.kill(child, signal.SIGKILL)
        while not (failed := study.fail_dead_trials()):
            time.sleep(0.005)
        assert failed == [0]
        return
    (tmp_path / "go").touch()
    _await(tmp_path / "told")
    (trial,) = study.completed_trials()
    assert trial.reports == {0: trial.values[0]} == {0: trial.params["lr"]}


@pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")
def test_a_trial_that_a_silent_child_keeps_can_be_taken_over(archive: Archive, tmp_path: Path) -> None:
    study = archive.create_study("search")
    subprocess.run([sys.executable, "-c", BECOMES_A_DAEMON], cwd=tmp_path, check=True)
    child = int(_await(tmp_path / "away"))
    assert study.fail_dead_trials(take_over=True) == [0]
    os.kill(child, signal.SIGKILL)


def _await(file: Path) -> str:
    deadline = time.monotonic() + 60
    while not file.exists() or (file.name == "away" and not file.read_text()):
        assert time.monotonic() < deadline, f"{file.name} does not come"
        time.sleep(0.005)
    return file.read_text()
