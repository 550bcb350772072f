"""Studies: each trial a run, whatever becomes of it."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

import exptrack
from exptrack import (
    Archive,
    InvalidValueError,
    Pruner,
    RunStatus,
    Sampler,
    Study,
    StudyExistsError,
    Trial,
    TrialPruned,
    TrialState,
)
from tests.sweeps.objectives import GRID, parabola, states

# The contract's face


def test_a_study_finds_the_best_params(archive: Archive) -> None:
    study = archive.create_study("parabola", sampler=Sampler.tpe(seed=1))
    study.optimize(parabola, 30)
    assert len(study.completed_trials()) == 30
    best = min(study.completed_trials(), key=lambda trial: trial.values)
    assert (study.best_trial, study.best_value, study.best_params) == (best, best.values[0], best.params)
    assert abs(study.best_params["x"] - 2) < 1
    assert archive.verify().ok


def test_the_best_of_maximizing_is_the_largest(archive: Archive) -> None:
    study = archive.create_study("p", "maximize", sampler=Sampler.random(seed=1))
    study.optimize(parabola, 8)
    assert study.best_value == max(trial.values[0] for trial in study.completed_trials())


def test_the_default_archive_is_where_create_puts_a_study(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "here.db"))
    Study.create("here", "maximize").optimize(parabola, 1)
    with Archive(tmp_path / "here.db") as archive:
        assert [study.name for study in archive.studies()] == ["here"]


# Trials are runs


def test_each_trial_is_a_run_with_its_params_over_the_base_config(archive: Archive) -> None:
    base = {"model": {"depth": 3, "width": 8}, "seed": 1}

    def objective(trial: Trial) -> float:
        trial.suggest_int("model.width", 16, 16)
        assert trial.config.get("model.width") == 16
        return trial.suggest_float("lr", 0.5, 0.5)

    study = archive.create_study("runs", base=base)
    study.optimize(objective, 2)
    runs = [archive.show_run(str(trial.run_id)) for trial in study.trials]
    assert [run.summary.name for run in runs] == ["runs #0", "runs #1"]
    assert {run.summary.group for run in runs} == {"runs"}
    assert {run.summary.status for run in runs} == {RunStatus.COMPLETED}
    wanted = {"lr": 0.5, "model": {"depth": 3, "width": 16}, "seed": 1}
    assert [run.config for run in runs] == [wanted, wanted]
    plain = archive.start_run({"model": {"depth": 3, "width": 16}, "seed": 1, "lr": 0.5})
    plain.complete()
    assert archive.show_run(plain.run_id).summary.config_hash == runs[0].summary.config_hash
    assert archive.verify().ok


def test_reports_and_the_value_are_the_runs_metric(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        for step in range(3):
            trial.report(step, step / 10)
        return 0.7

    study = archive.create_study("metric", "maximize", metric="acc")
    study.optimize(objective, 1)
    (trial,) = study.trials
    assert trial.reports == {0: 0.0, 1: 0.1, 2: 0.2}
    run = archive.get_run(str(trial.run_id))
    assert [(point.step, point.value) for point in run.get_metric("acc")] == [
        (0, 0.0),
        (1, 0.1),
        (2, 0.2),
        (3, 0.7),
    ]
    best = archive.best_run("acc", "maximize")
    assert best is not None
    assert best.run_id == trial.run_id


def test_a_value_reported_last_is_not_logged_twice(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        trial.report(4, 0.25)
        return 0.25

    study = archive.create_study("once")
    study.optimize(objective, 1)
    assert len(archive.get_run(str(study.trials[0].run_id)).get_metric("objective")) == 1


@pytest.mark.parametrize("pruned", [TrialPruned, optuna.TrialPruned])
def test_a_pruned_trial_is_a_completed_run(archive: Archive, pruned: type[BaseException]) -> None:
    def objective(trial: Trial) -> float:
        trial.report(0, 5.0)
        raise pruned

    study = archive.create_study("pruned")
    study.optimize(objective, 1)
    (trial,) = study.pruned_trials()
    assert (trial.values, trial.reason) == ((5.0,), None)
    run = archive.show_run(str(trial.run_id))
    assert run.summary.status is RunStatus.COMPLETED
    assert "prune" in [event.kind for event in archive.read_events(run.summary.run_id)]
    assert study.completed_trials() == []


def test_an_objective_that_raises_fails_its_trial_and_run_with_the_reason(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        raise RuntimeError("out of memory")

    study = archive.create_study("fails")
    with pytest.raises(RuntimeError, match="out of memory"):
        study.optimize(objective, 5)
    (trial,) = study.failed_trials()
    assert trial.reason == "RuntimeError: out of memory"
    run = archive.show_run(str(trial.run_id))
    assert (run.summary.status, run.summary.reason) == (RunStatus.FAILED, "RuntimeError: out of memory")


def test_the_search_goes_on_past_failures_when_asked(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        if trial.number % 2:
            raise ValueError("odd")
        return 1.0

    study = archive.create_study("goes on")
    study.optimize(objective, 4, on_error="continue")
    assert states(study) == ["complete", "fail", "complete", "fail"]


def test_a_time_limit_does_not_believe_the_clock(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    passed_s = iter([0.0, 0.0, 2.0, 4.0, 11.0])
    monkeypatch.setattr("exptrack.sweeps.study.time", SimpleNamespace(monotonic=lambda: next(passed_s)))
    study = archive.create_study("limited")
    study.optimize(lambda trial: 0.5, time_limit=10.0)
    assert len(study.trials) == 3
    passed_s = iter([0.0, 11.0])
    study.optimize(lambda trial: 0.5, time_limit=10.0)
    assert len(study.trials) == 3


def test_an_objective_that_diverges_fails_its_trial_and_the_search_goes_on(archive: Archive) -> None:
    study = archive.create_study("diverges", ["minimize", "maximize"], metric=["a", "b"])
    study.optimize(lambda trial: (1.0, [math.nan, math.inf, 2.0][trial.number]), 3)
    assert states(study) == ["fail", "complete", "complete"]
    failed, infinite, _last = study.trials
    assert (failed.values, infinite.values) == ((), (1.0, math.inf))
    assert failed.reason == "the objective returned NaN, which cannot be compared"
    assert archive.get_run(failed.run_id).status is RunStatus.FAILED
    without_runs = archive.create_study("no runs")
    without_runs.optimize(lambda trial: math.nan, 2, start_runs=False)
    assert states(without_runs) == ["fail", "fail"]


@pytest.mark.parametrize("returned", [None, "text", "0.5", [1.0, 2.0], [None]])
def test_a_value_that_is_none_fails_the_trial(archive: Archive, returned: Any) -> None:
    study = archive.create_study("values")
    with pytest.raises(InvalidValueError):
        study.optimize(lambda trial: returned, 1)
    (trial,) = study.failed_trials()
    assert trial.reason
    assert trial.values == ()


def test_a_failure_tells_no_secret(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(trial: Trial) -> float:
        raise RuntimeError("refused: api_key=sk-abcdefghijklmnopqrstuvwx")

    study = archive.create_study("secret")
    study.optimize(objective, 1, on_error="continue")
    assert "sk-abcdefghijklmnopqrstuvwx" not in str(study.failed_trials()[0].reason)


def test_ctrl_c_interrupts_the_run_and_leaves_nothing_running(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        raise KeyboardInterrupt

    study = archive.create_study("ctrl-c")
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, 3, on_error="continue")
    (trial,) = study.trials
    assert trial.state is TrialState.FAIL
    assert archive.show_run(str(trial.run_id)).summary.status is RunStatus.INTERRUPTED


def test_leaving_the_interpreter_ends_the_trial(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        raise SystemExit(3)

    study = archive.create_study("exit")
    with pytest.raises(SystemExit):
        study.optimize(objective, 3, on_error="continue")
    assert states(study) == ["fail"]


# Limits


def test_max_trials_bounds_the_study_over_several_calls(archive: Archive) -> None:
    study = archive.create_study("bounded", max_trials=5)
    study.optimize(parabola, 3)
    study.optimize(parabola, 3)
    study.optimize(parabola)
    assert len(study.trials) == 5
    with pytest.raises(InvalidValueError, match="5 trials"):
        study.ask()


def test_max_trials_bounds_threads_too(archive: Archive) -> None:
    study = archive.create_study("threads", max_trials=7, sampler=Sampler.random(seed=1))
    study.optimize(parabola, jobs=4)
    assert [trial.number for trial in study.completed_trials()] == list(range(7))


def test_no_time_means_no_second_trial(archive: Archive) -> None:
    study = archive.create_study("time", time_limit=1e-9)
    study.optimize(parabola, 5)
    assert len(study.trials) <= 1


def test_a_stop_lets_the_trial_under_way_end(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        if trial.number == 2:
            archive.study("stopped").stop()
        return 1.0

    study = archive.create_study("stopped")
    study.optimize(objective, 10)
    assert states(study) == ["complete"] * 3
    study.optimize(lambda trial: 0.0, 2)
    assert len(study.trials) == 5


def test_after_is_told_of_each_trial(archive: Archive) -> None:
    told: list[tuple[int, str]] = []
    study = archive.create_study("told")
    study.optimize(parabola, 3, after=lambda trial: told.append((trial.number, trial.state)))
    assert told == [(0, "complete"), (1, "complete"), (2, "complete")]


# Going on


def test_a_study_is_resumed_by_name_with_its_settings(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        made = archive.create_study(
            "again", "maximize", sampler=Sampler.random(seed=5), max_trials=9, base={"a": 1}
        )
        made.optimize(parabola, 4)
    with Archive(tmp_path / "lab.db") as archive:
        study = archive.study("again")
        assert (study.directions, study.settings["max_trials"]) == (("maximize",), 9)
        study.optimize(parabola)
        drawn = [trial.params["x"] for trial in study.trials]
        assert (
            len(drawn) == len(set(drawn)) == 9
        )  # the second session does not draw the first one's numbers again
        assert archive.show_run(str(study.trials[-1].run_id)).config["a"] == 1


def test_two_studies_of_one_name_are_refused(archive: Archive) -> None:
    archive.create_study("one")
    with pytest.raises(StudyExistsError, match="'one'"):
        archive.create_study("one")


def test_enqueued_params_are_tried_first(archive: Archive) -> None:
    study = archive.create_study("queue")
    study.enqueue({"x": 2.0})
    assert states(study) == ["waiting"]
    study.optimize(parabola, 1)
    assert (study.best_params, study.best_value) == ({"x": 2.0}, 0.0)


def test_ask_and_tell(archive: Archive) -> None:
    study = archive.create_study("by hand")
    for ending in ({"values": 1.5}, {"pruned": True}, {"reason": "no licence"}):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.report(0, 3.0)
        study.tell(trial, **ending)  # type: ignore[arg-type]
    assert states(study) == ["complete", "pruned", "fail"]
    assert study.failed_trials()[0].reason == "no licence"
    with pytest.raises(InvalidValueError, match="cannot be ended"):
        study.tell(trial, 1.0)
    with pytest.raises(InvalidValueError, match="one of them"):
        study.tell(study.ask(), 1.0, pruned=True)


def test_a_study_that_optuna_made_goes_on_as_one_of_ours(archive: Archive) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    theirs = optuna.create_study(storage=archive.optuna_storage(), study_name="theirs", direction="maximize")
    theirs.optimize(lambda trial: trial.suggest_float("x", -10, 10), n_trials=2)
    study = archive.study("theirs")
    study.optimize(lambda trial: trial.suggest_float("x", -10, 10), 2)
    assert [trial.run_id is None for trial in study.trials] == [True, True, False, False]
    assert study.metrics == ("objective",)
    assert study.best_value == theirs.best_value


def test_a_read_only_archive_shows_its_studies(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.create_study("seen").optimize(parabola, 2)
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert archive.studies()[0].trials == 2
        assert archive.study("seen").best_value == min(t.values[0] for t in archive.trials("seen"))
        with pytest.raises(exptrack.ArchiveReadOnlyError):
            archive.study("seen").optimize(parabola, 1)


# Several objectives, constraints


def test_several_objectives_have_a_front_instead_of_a_best(archive: Archive) -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x = trial.suggest_int("x", 0, 4)
        return float(x), float(x)

    study = archive.create_study("two", ["minimize", "maximize"], metric=["loss", "acc"], sampler="random")
    study.optimize(objective, 10)
    assert {trial.values for trial in study.best_trials} == {trial.values for trial in study.completed_trials()}
    with pytest.raises(InvalidValueError, match="best_trials"):
        study.best_trial  # noqa: B018
    run = archive.show_run(str(study.trials[0].run_id))
    assert (run.summary.metrics["loss"], run.summary.metrics["acc"]) == study.trials[0].values


def test_the_best_trial_meets_its_constraints(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_int("x", 0, 9)
        trial.optuna_trial.set_constraint("even", float(x % 2))  # type: ignore[union-attr]
        return float(x)

    study = archive.create_study("constrained", "maximize", sampler=Sampler.grid())
    study.optimize(objective)
    assert study.best_value == 8.0 == study.info.best_value


# What cannot be


@pytest.mark.parametrize(
    "make",
    [
        lambda archive: archive.create_study(""),
        lambda archive: archive.create_study("s", "down"),
        lambda archive: Study.create("s", archive="lab.db"),
        lambda archive: archive.create_study("s", []),
        lambda archive: archive.create_study("s", max_trials=0),
        lambda archive: archive.create_study("s", max_trials=True),
        lambda archive: archive.create_study("s", time_limit=-1),
        lambda archive: archive.create_study("s", metric=["a", "b"]),
        lambda archive: archive.create_study("s", sampler=3),
        lambda archive: archive.create_study("s", pruner=object()),
        lambda archive: archive.create_study("s", base={"x": object()}),
        lambda archive: archive.create_study("s", sampler="tpe2").optimize(parabola, 1),
        lambda archive: archive.create_study("s", pruner="BasePruner").optimize(parabola, 1),
        lambda archive: archive.create_study("s", sampler=Sampler.tpe(wrong=1)).optimize(parabola, 1),
        lambda archive: archive.create_study("s").optimize(parabola, 0),
        lambda archive: archive.create_study("s").optimize(parabola, 1, jobs=0),
        lambda archive: archive.create_study("s").optimize(parabola, 1, on_error="ignore"),
        lambda archive: archive.create_study("s").best_trial,
        lambda archive: archive.create_study("s").trial(0),
        lambda archive: archive.create_study("s").trial(2**70),
        lambda archive: archive.create_study("s", None),
        lambda archive: archive.create_study("s", {"minimize": 1}),
        lambda archive: archive.create_study("s", metric=3),
        lambda archive: archive.create_study("s", time_limit=10**400),
        lambda archive: archive.create_study("s", time_limit=1e300),
        lambda archive: archive.create_study("s").optimize(parabola, 1, time_limit=1e300),
        lambda archive: archive.create_study("s", sampler="tpe2"),
        lambda archive: archive.create_study("s", sampler=Sampler.tpe(seed="one")),  # type: ignore[arg-type]
        lambda archive: archive.create_study("s", sampler=Sampler.tpe(seed=-1)),
        lambda archive: archive.create_study("s", sampler=Sampler.tpe(gamma=min)),
        lambda archive: archive.create_study("s", sampler=Sampler(3)),  # type: ignore[arg-type]
        lambda archive: archive.create_study("s", pruner=Pruner("median", 3)),  # type: ignore[arg-type]
        lambda archive: Sampler.grid(5),  # type: ignore[arg-type]
        lambda archive: Sampler.grid({"x": 5}),  # type: ignore[dict-item]
        lambda archive: archive.create_study("s").optimize(3, 1),
        lambda archive: archive.create_study("s").optimize(parabola, 1, after=3),
        lambda archive: archive.create_study("s").optimize(lambda trial: b"1", 1),
        lambda archive: archive.create_study("s").enqueue(None),
        lambda archive: archive.create_study("s").enqueue({"x": object()}),
        lambda archive: archive.create_study("s").enqueue({"x": math.nan}),
        lambda archive: archive.create_study("s").enqueue({"x": 2**70}),
        lambda archive: archive.create_study("s").enqueue({3: 1}),
        lambda archive: archive.create_study("s").enqueue({"a..b": 1}),
        lambda archive: archive.create_study("s").tell(0, 1.0),
        lambda archive: archive.create_study("s").slices(3),
        lambda archive: archive.trials(archive.create_study("s").name, "done"),
    ],
)
def test_what_cannot_be_is_refused_in_words(archive: Archive, make: Callable[[Archive], object]) -> None:
    with pytest.raises(InvalidValueError) as refused:
        make(archive)
    assert str(refused.value)


def test_a_trial_is_told_to_its_own_study_only(archive: Archive) -> None:
    study, other = archive.create_study("one"), archive.create_study("other")
    trial = study.ask()
    other.ask()
    with pytest.raises(InvalidValueError, match="does not belong to study 'other'"):
        other.tell(trial, 1.0)
    assert states(other) == ["running"]


def test_a_grid_ends_by_ask_and_tell_too(archive: Archive) -> None:
    for sampler in (Sampler.grid(GRID), Sampler.grid()):
        study = archive.create_study(f"grid {sampler.options}", sampler=sampler)
        for _ in range(4):
            trial = study.ask()
            study.tell(trial, sum(trial.suggest_choice(name, values) for name, values in GRID.items()))
        assert sorted(trial.values[0] for trial in study.completed_trials()) == [4, 5, 5, 6]


# Processes


WORKER = """
import sys, exptrack
archive = exptrack.Archive(sys.argv[1])
study = archive.study("shared")
study.optimize(lambda trial: trial.suggest_float("x", 0, 1))
archive.close()
"""


def test_processes_share_a_study_and_its_bound(archive: Archive, tmp_path: Path) -> None:
    archive.create_study("shared", sampler=Sampler.random(seed=1), max_trials=24)
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, archive.path], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(worker.communicate()[1], worker.returncode) for worker in workers] == [("", 0)] * 4
    study = archive.study("shared")
    assert [trial.number for trial in study.completed_trials()] == list(range(24))
    assert len({trial.params["x"] for trial in study.trials}) == 24
    assert len({trial.run_id for trial in study.trials}) == 24
    assert archive.verify().ok


KILLED = """
import os, signal, sys, exptrack
study = exptrack.Archive(sys.argv[1]).create_study("killed")
def objective(trial):
    trial.suggest_float("x", 0, 1)
    trial.report(0, 0.5)
    if trial.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0
study.optimize(objective, 3)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_a_failed_trial_and_an_interrupted_run(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert done.returncode == -signal.SIGKILL
    with Archive(path) as archive:
        study = archive.study("killed")
        assert states(study) == ["complete", "fail"]
        (dead,) = study.failed_trials()
        assert (dead.reason, dead.reports, list(dead.params)) == ("its process died", {0: 0.5}, ["x"])
        run = archive.show_run(str(dead.run_id))
        assert run.summary.status is RunStatus.INTERRUPTED
        assert run.config == dead.params
        study.optimize(lambda trial: 1.0, 1)
        assert states(study) == ["complete", "fail", "complete"]
        assert archive.verify().ok


# The script that is a trial


def test_threads_may_search_and_read_at_once(archive: Archive) -> None:
    study = archive.create_study("busy", sampler=Sampler.random(seed=1))
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(len(archive.trials("busy")))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        study.optimize(parabola, 40, jobs=3)
    finally:
        done.set()
        reader.join()
    assert seen == sorted(seen)
    assert len(study.completed_trials()) == 40
