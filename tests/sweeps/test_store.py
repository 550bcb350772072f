"""Rows of studies and trials, read and deleted without Optuna."""

from __future__ import annotations

import json

import pytest

from exptrack import Archive, StudyNotFoundError, TrialState
from exptrack.process import current_process
from tests.changes import altering
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
