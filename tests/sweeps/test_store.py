"""Rows of studies and trials, read and deleted without Optuna."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exptrack import Archive, StudyNotFoundError, TrialState
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
