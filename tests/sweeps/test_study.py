"""Studies and trials: each trial a run, whatever becomes of it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import optuna
import pytest

import exptrack
from exptrack import (
    Archive,
    ArchiveClosedError,
    ExpConfig,
    InvalidTypeError,
    InvalidValueError,
    Pruner,
    RunStatus,
    Sampler,
    Study,
    StudyConfig,
    StudyExistsError,
    StudyNotFoundError,
    Trial,
    TrialPruned,
    TrialState,
)

GRID = {"x": [1, 2], "n": [3, 4]}


def parabola(trial: Trial) -> float:
    x = trial.suggest_float("x", -10, 10)
    return (x - 2) ** 2


def states(study: Study) -> list[str]:
    return [trial.state.value for trial in study.trials]


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


@pytest.mark.parametrize(
    ("sampler", "theirs"),
    [
        (Sampler.random(seed=3), optuna.samplers.RandomSampler(seed=3)),
        (Sampler.tpe(seed=3, n_startup_trials=4), optuna.samplers.TPESampler(seed=3, n_startup_trials=4)),
        (Sampler.of("NSGAIISampler", seed=3), optuna.samplers.NSGAIISampler(seed=3)),
        (
            Sampler.grid({"x": [1, 2], "n": [3, 4]}, seed=3),
            optuna.samplers.GridSampler({"x": [1, 2], "n": [3, 4]}, 3),
        ),
    ],
)
def test_a_sampler_draws_what_optuna_draws_in_memory(archive: Archive, sampler: Sampler, theirs: Any) -> None:
    def draw(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 10) + trial.suggest_int("n", 1, 9))

    study = archive.create_study("s", sampler=sampler, pruner=Pruner.none())
    study.optimize(draw, 12)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    in_memory = optuna.create_study(sampler=theirs)
    in_memory.optimize(draw, 12)
    assert [trial.params for trial in study.trials] == [trial.params for trial in in_memory.trials]
    assert [list(trial.values) for trial in study.trials] == [trial.values for trial in in_memory.trials]


def test_a_grid_without_a_space_tries_every_combination_once(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        size, width = trial.suggest_choice("size", ["s", "m"]), trial.suggest_int("width", 1, 3)
        return width + len(size)

    study = archive.create_study("grid", sampler=Sampler.grid(seed=1))
    study.optimize(objective)
    tried = sorted((trial.params["size"], trial.params["width"]) for trial in study.completed_trials())
    assert tried == [("m", 1), ("m", 2), ("m", 3), ("s", 1), ("s", 2), ("s", 3)]


def test_the_default_archive_is_where_create_puts_a_study(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "here.db"))
    Study.create("here", "maximize").optimize(parabola, 1)
    with Archive(tmp_path / "here.db") as archive:
        assert [study.name for study in archive.studies()] == ["here"]


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


def test_the_config_says_which_keys_the_study_set(archive: Archive) -> None:
    study = archive.create_study("origin", base={"seed": 1})
    study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), 1)
    run = archive.get_run(str(study.trials[0].run_id))
    assert (run.config.source_of("lr").kind, run.config.source_of("lr").name) == ("trial", "origin")
    assert run.config.source_of("seed").kind == "code"


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


@pytest.mark.parametrize("returned", [None, "text", math.nan, [1.0, 2.0], [None]])
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


def test_an_unknown_study_is_named_with_a_suggestion(archive: Archive) -> None:
    archive.create_study("digits")
    with pytest.raises(StudyNotFoundError, match="did you mean 'digits'"):
        archive.study("digit")


def test_an_object_has_to_be_given_again(archive: Archive) -> None:
    theirs = optuna.samplers.RandomSampler(seed=1)
    archive.create_study("object", sampler=theirs).optimize(parabola, 1)
    with pytest.raises(InvalidValueError, match="give it again"):
        archive.study("object").optimize(parabola, 1)
    archive.study("object", sampler=theirs).optimize(parabola, 1)
    assert len(archive.study("object").completed_trials()) == 2


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


def test_a_deleted_study_leaves_its_runs(archive: Archive) -> None:
    study = archive.create_study("gone")
    study.optimize(parabola, 2)
    assert archive.delete_study("gone") == 2
    assert archive.studies() == []
    assert len(archive.list_runs()) == 2
    assert archive.verify().ok


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
        lambda archive: archive.create_study("s", base={"x": math.nan}),
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


def test_a_study_that_cannot_search_is_not_made(archive: Archive) -> None:
    for options in ({"sampler": "tpe2"}, {"pruner": "fast"}, {"sampler": Sampler.tpe(wrong=1)}):
        with pytest.raises(InvalidValueError):
            archive.create_study("s", **options)
    assert archive.studies() == []


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


def test_a_trial_is_told_to_its_own_study_only(archive: Archive) -> None:
    study, other = archive.create_study("one"), archive.create_study("other")
    trial = study.ask()
    other.ask()
    with pytest.raises(InvalidValueError, match="no trial of study 'other'"):
        other.tell(trial, 1.0)
    assert states(other) == ["running"]


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


def test_a_grid_ends_by_ask_and_tell_too(archive: Archive) -> None:
    for sampler in (Sampler.grid(GRID), Sampler.grid()):
        study = archive.create_study(f"grid {sampler.options}", sampler=sampler)
        for _ in range(4):
            trial = study.ask()
            study.tell(trial, sum(trial.suggest_choice(name, values) for name, values in GRID.items()))
        assert sorted(trial.values[0] for trial in study.completed_trials()) == [4, 5, 5, 6]


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


def test_optuna_is_as_talkative_after_a_search_as_before(archive: Archive) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = archive.create_study("quiet")
    study.optimize(lambda trial: archive.create_study("inner").optimize(parabola, 1) or 1.0, 1)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING


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


def test_a_study_config_makes_the_same_study(archive: Archive) -> None:
    config = StudyConfig(
        "config", "maximize", Sampler.tpe(seed=2), Pruner.hyperband(), 10, 60, "acc", ExpConfig({"a": 1})
    )
    study = archive.create_study(config)
    assert study.settings == {
        "sampler": {"name": "tpe", "seed": 2, "options": {}},
        "pruner": {"name": "hyperband", "options": {}},
        "max_trials": 10,
        "time_limit_s": 60,
        "base": {"a": 1},
    }
    assert (study.directions, study.metrics) == (("maximize",), ("acc",))
