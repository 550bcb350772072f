"""Trials: what they suggest, report and refuse, and the script that is one."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import exptrack
from exptrack import Archive, InvalidTypeError, InvalidValueError, Pruner, RunStatus, Sampler, Trial, TrialState
from tests.sweeps.objectives import states


def test_suggestions_come_in_the_types_and_bounds_asked_for(archive: Archive) -> None:
    seen: list[tuple[Any, ...]] = []

    def objective(trial: Trial) -> float:
        seen.append(
            (
                trial.suggest_float("lr", 1e-5, 1e-1, log=True),
                trial.suggest_float("dropout", 0, 0.5, step=0.25),
                trial.suggest_int("layers", 2, 8, step=2),
                trial.suggest_int("width", 1, 1000, log=True),
                trial.suggest_choice("act", ["relu", None, True, 3, 2.5]),
            )
        )
        return 0.0

    study = archive.create_study("types", sampler=Sampler.random(seed=1))
    study.optimize(objective, 60)
    lr, dropout, layers, width, act = map(list, zip(*seen, strict=True))
    assert all(type(x) is float and 1e-5 <= x <= 1e-1 for x in lr)
    assert sum(x < 1e-3 for x in lr) > 15
    assert set(dropout) == {0.0, 0.25, 0.5}
    assert {type(x) for x in dropout} == {float}
    assert set(layers) == {2, 4, 6, 8}
    assert {type(x) for x in layers} == {int}
    assert all(1 <= x <= 1000 for x in width)
    assert {repr(x) for x in act} == {"'relu'", "None", "True", "3", "2.5"}
    assert [tuple(trial.params.values()) for trial in study.trials] == seen


def test_the_pruner_gives_up_what_is_worse_than_the_others(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        for step in range(5):
            trial.report(step, float(trial.number))
            if trial.should_prune():
                trial.prune()
        return float(trial.number)

    study = archive.create_study("median", pruner=Pruner.median(n_startup_trials=2))
    study.optimize(objective, 6)
    assert states(study) == ["complete", "complete", "pruned", "pruned", "pruned", "pruned"]


@pytest.mark.parametrize(
    "suggest",
    [
        lambda trial: trial.suggest_float("x", 2, 1),
        lambda trial: trial.suggest_float("x", 0, 1, log=True),
        lambda trial: trial.suggest_float("x", 1, 2, log=True, step=0.5),
        lambda trial: trial.suggest_float("x", "a", 1),
        lambda trial: trial.suggest_int("x", 0, 5, step=0),
        lambda trial: trial.suggest_choice("x", []),
        lambda trial: trial.suggest_choice("x", "abc"),
        lambda trial: trial.suggest_choice("x", [[1]]),
        lambda trial: trial.suggest_float("", 0, 1),
        lambda trial: trial.suggest_float(3, 0, 1),
        lambda trial: trial.report(-1, 0.5),
        lambda trial: trial.report(0.5, 0.5),
        lambda trial: trial.report(0, "x"),
        lambda trial: trial.suggest_float("x", 0, math.inf),
        lambda trial: trial.suggest_float("x", math.nan, 1),
        lambda trial: trial.suggest_float("x", 0, 10**400),
        lambda trial: trial.suggest_float("x", -1.7e308, 1.7e308),
        lambda trial: trial.suggest_int("x", 1.5, 3.5),
        lambda trial: trial.suggest_int("x", 0, 2**53 + 1),
        lambda trial: trial.suggest_choice("x", [True, 1]),
        lambda trial: trial.suggest_choice("x", [math.nan]),
        lambda trial: trial.suggest_choice("x", [2**70]),
    ],
)
def test_what_no_trial_can_do_is_refused_in_words(archive: Archive, suggest: Callable[[Trial], object]) -> None:
    study = archive.create_study("s")
    with pytest.raises((InvalidValueError, InvalidTypeError)):
        suggest(study.ask())


def test_a_trial_that_has_ended_takes_nothing_more(archive: Archive) -> None:
    study = archive.create_study("over")
    trial = study.ask()
    study.tell(trial, 1.0)
    late: list[Callable[[], object]] = [
        lambda: trial.suggest_float("x", 0, 1),
        lambda: trial.report(0, 1.0),
        lambda: trial.prune(),
        lambda: study.tell(trial, reason="too late"),
        lambda: study.tell(trial, 2.0),
    ]
    for call in late:
        with pytest.raises(InvalidValueError):
            call()
    (ended,) = study.trials
    assert (ended.state, ended.values, ended.reason) == (TrialState.COMPLETE, (1.0,), None)


def test_bounds_may_be_numbers_of_other_libraries(archive: Archive) -> None:
    trial = archive.create_study("s").ask()
    assert type(trial.suggest_float("x", numpy.float32(0), numpy.float64(1), step=numpy.float32(0.5))) is float
    assert type(trial.suggest_int("n", numpy.int64(1), numpy.int8(3))) is int


def test_a_param_that_no_config_can_hold_fails_the_trial(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_float("a", 0, 1)
        return trial.suggest_float("a.b", 0, 1)

    study = archive.create_study("clash")
    with pytest.raises(InvalidValueError, match=r"a\.b"):
        study.optimize(objective, 1)
    assert states(study) == ["fail"]
    assert archive.verify().ok


# The script that is a trial


SCRIPT = """
import exptrack
trial = exptrack.current_trial()
with exptrack.start_run(trial.config) as run:
    for step in range(3):
        run.log({"acc": 0.1 * step}, step=step)
        trial.should_prune()
print(trial.number, trial.params, run.config.get("depth"))
"""


def test_a_script_finds_the_trial_it_is_and_its_run_is_the_trials(archive: Archive) -> None:
    study = archive.create_study("script", "maximize", metric="acc", base={"depth": 3})
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    environment = os.environ | {"EXPTRACK_DB": archive.path, "EXPTRACK_TRIAL": f"script/{trial.number}"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"0 {{'x': {x!r}}} 3\n", "")
    study.tell(trial, 0.2)
    (record,) = study.completed_trials()
    assert record.reports == pytest.approx({0: 0.0, 1: 0.1, 2: 0.2})
    run = archive.show_run(str(record.run_id))
    assert (run.summary.name, run.summary.group) == ("script #0", "script")
    assert run.config == {"depth": 3, "x": x}


GIVES_UP = """
import sys, exptrack
trial = exptrack.current_trial()
with exptrack.start_run(trial.config, name="own") as run:
    trial.report(4, 0.5)
    {end}
"""


@pytest.mark.parametrize("end", ["trial.prune()", "raise exptrack.TrialPruned(step=4)"])
def test_a_script_that_gives_up_ends_with_0_and_its_run_says_so(end: str, archive: Archive) -> None:
    study = archive.create_study("script")
    trial = study.ask()
    environment = os.environ | {"EXPTRACK_DB": archive.path, "EXPTRACK_TRIAL": "script/0"}
    code = GIVES_UP.format(end=end)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    study.tell(trial, pruned=True)
    (record,) = study.pruned_trials()
    run = archive.show_run(str(record.run_id))
    assert (run.summary.name, run.summary.status) == ("own", RunStatus.COMPLETED)
    assert [event.data for event in run.events if event.kind == "prune"] == [{"step": 4}]


def test_outside_a_sweep_there_is_no_current_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPTRACK_TRIAL", raising=False)
    assert exptrack.current_trial() is None


def test_a_study_inside_a_trials_script_does_not_take_its_place(archive: Archive) -> None:
    code = """
import exptrack
inner = exptrack.Archive.default().create_study("inner")
inner.optimize(lambda trial: trial.suggest_float("x", 0, 1), 2)
exptrack.start_run(name="mine").complete()
"""
    outer = archive.create_study("outer")
    trial = outer.ask()
    environment = {**os.environ, "EXPTRACK_DB": str(archive.path), "EXPTRACK_TRIAL": "outer/0"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    outer.tell(trial, 1.0)
    assert archive.show_run(outer.trials[0].run_id).summary.name == "mine"
    names = [archive.show_run(one.run_id).summary.name for one in archive.trials("inner")]
    assert names == ["inner #0", "inner #1"]


def test_a_suggested_param_keeps_what_others_added_to_the_config(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        assert trial.run is not None
        other = archive.get_run(trial.run)
        other.update_config({"seen": {"batch": 32}})
        other.update_config({"width": 16}, allow_change=True)
        lr = trial.suggest_float("lr", 0.0, 1.0)
        depth = trial.suggest_int("model.depth", 1, 5)
        wanted = {"lr": lr, "width": 16, "seen": {"batch": 32}, "model": {"depth": depth}}
        assert archive.show_run(trial.run).config == trial.run.config.values == wanted
        sources = trial.run.config.sources
        kinds = [sources[key].kind for key in ("lr", "width", "seen.batch", "model.depth")]
        assert kinds == ["trial", "code", "code", "trial"]
        return 0.0

    study = archive.create_study("grows", base={"lr": 0.1, "width": 8})
    study.optimize(objective, 1)
    (record,) = study.completed_trials()
    kinds = [event.kind for event in archive.read_events(record.run_id)]
    assert kinds == ["start", "config", "config", "end"]  # the trial itself records the params


def test_choices_and_params_of_numpy_become_plain_ones(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        lr = trial.suggest_choice("lr", numpy.logspace(-3, -1, 3))
        width = trial.suggest_choice("width", [numpy.int64(8), numpy.int64(16)])
        assert (type(lr), type(width)) == (float, int)
        assert type(trial.suggest_int("depth", numpy.int64(1), numpy.int64(4))) is int
        return lr * width

    study = archive.create_study("numpy", sampler=Sampler.random(seed=1))
    study.enqueue({"lr": numpy.float64(0.01), "width": numpy.int32(16), "depth": numpy.int64(2)})
    study.optimize(objective, 3)
    assert study.trials[0].params == {"lr": 0.01, "width": 16, "depth": 2}
    grid = archive.create_study("grid", sampler=Sampler.grid({"lr": numpy.array([0.5, 0.25])}))
    grid.optimize(lambda trial: float(trial.suggest_float("lr", 0.0, 1.0)))
    assert sorted(trial.params["lr"] for trial in grid.trials) == [0.25, 0.5]
