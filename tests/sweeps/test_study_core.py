"""The core of a study: configs of its trials, and errors that name what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, ArchiveClosedError, RunStatus, StudyNotFoundError, Trial
from tests.sweeps.objectives import parabola


def test_the_config_says_which_keys_the_study_set(archive: Archive) -> None:
    study = archive.create_study("origin", base={"seed": 1})
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), 1)
    run = archive.get_run(str(study.trials[0].run_id))
    assert (run.config.source_of("lr").kind, run.config.source_of("lr").name) == ("trial", "origin")
    assert run.config.source_of("seed").kind == "code"


def test_a_study_deleted_while_it_is_searched_is_missed_in_words(archive: Archive) -> None:
    study = archive.create_study("gone")

    def objective(trial: Trial) -> float:
        if trial.number == 1:
            archive.delete_study("gone")
        return trial.suggest_float("x", 0, 1)

    with pytest.raises(StudyNotFoundError, match="no study 'gone'"):
        study.optimize(objective, 3, on_error="continue")
    assert {run.status for run in archive.list_runs()} <= {RunStatus.COMPLETED, RunStatus.FAILED}
    archive.create_study("gone")  # another one
    calls: list[Callable[[], object]] = [
        study.ask,
        study.stop,
        study.completed_trials,
        lambda: study.enqueue({"x": 1}),
        lambda: study.trials,
        lambda: study.optimize(parabola, 1),
    ]
    for call in calls:
        with pytest.raises(StudyNotFoundError):
            call()


def test_an_archive_closed_while_it_is_searched_is_missed_in_words(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "closed.db")
    study = archive.create_study("s")
    with pytest.raises(ArchiveClosedError):
        study.optimize(lambda trial: archive.close() or 1.0, 2)


def test_errors_of_an_objective_stay_its_own(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        raise error

    study = archive.create_study("s")
    for error in (KeyError("x"), AssertionError("no"), UnboundLocalError("y")):
        with pytest.raises(type(error)) as raised:
            study.optimize(objective, 1)
        assert raised.value is error


def test_a_base_config_keeps_its_references_and_where_it_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", "only-for-the-script")
    (tmp_path / "config.sdn").write_text("depth: 3\ntoken: ${env:LAB_TOKEN}\n")
    with Archive(tmp_path / "lab.db") as archive:
        archive.create_study("s", base=exptrack.load_exp_config(tmp_path))
        study = archive.study("s")
        assert study.settings["base"] == {"depth": 3, "token": "${env:LAB_TOKEN}"}
        trial = study.ask()
        trial.suggest_int("depth", 5, 5)
        assert trial.config.values == {"depth": 5, "token": "only-for-the-script"}
        assert str(trial.config.source_of("token")) == "config.sdn:2"
        assert trial.config.source_of("depth").kind == "trial"
        study.tell(trial, 1.0)
    assert b"only-for-the-script" not in (tmp_path / "lab.db").read_bytes()
