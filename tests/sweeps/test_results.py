"""What studies found, as tables: the same that Optuna's own drawings show, in types and whatever happened."""

from __future__ import annotations

import math
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
import polars
import pytest

from exptrack import (
    Archive,
    Frame,
    InvalidValueError,
    MissingPackageError,
    Pruner,
    Sampler,
    Study,
    StudyNotFoundError,
    StudyResults,
    Trial,
    TrialPruned,
    TrialState,
)

matplotlib.use("Agg")


def mixed(trial: Trial) -> float:
    """Params of every kind, learning curves, a failure and trials that are given up."""
    lr = trial.suggest_float("optim.lr", 1e-5, 1e-1, log=True)
    layers = trial.suggest_int("layers", 1, 6)
    kind = trial.suggest_choice("kind", ["adam", 3, None, True])
    if trial.number == 4:
        raise RuntimeError("no memory")
    value = (math.log10(lr) + 3) ** 2 + abs(layers - 3) / 4 + (kind == "adam")
    for step in range(5):
        trial.report(step, math.nan if step == 1 and trial.number == 2 else value + 4 - step)
        if trial.should_prune():
            raise TrialPruned
    return value


@pytest.fixture(scope="module")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "lab.db"
    with Archive(path) as archive:
        made = archive.create_study(
            "mixed", sampler=Sampler.random(seed=3), pruner=Pruner.median(n_startup_trials=4)
        )
        made.optimize(mixed, 24, on_error="continue")
        states = {trial.state for trial in made.trials}
    assert states == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    return path


@pytest.fixture
def studied(made_study: Path, tmp_path: Path) -> Iterator[Archive]:
    """A copy of the archive with the study, which is searched once."""
    shutil.copy(made_study, tmp_path / "studied.db")
    with Archive(tmp_path / "studied.db") as archive:
        yield archive
        assert archive.verify().problems == ()
    (tmp_path / "studied.db").unlink()  # see `_no_descriptors_left`


@pytest.fixture
def study(studied: Archive) -> Study:
    return studied.study("mixed")


def drawn(name: str, study: Study, **options: Any) -> Any:
    """The axes of one of Optuna's drawings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(optuna.visualization.matplotlib, name)(study.optuna_study, **options)


def points(axes: Any) -> set[tuple[float, float]]:
    return {(float(x), float(y)) for found in axes.collections for x, y in found.get_offsets()}


# As Optuna shows it


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_history_is_what_optuna_draws(archive: Archive, direction: str) -> None:
    study = archive.create_study("h", direction, sampler=Sampler.random(seed=5))
    study.optimize(mixed, 15, on_error="continue")
    axes = drawn("plot_optimization_history", study)
    rows = study.history().to_dicts()
    complete = {(row["number"], row["value"]) for row in rows if row["state"] == "complete"}
    assert points(axes) == complete
    (line,) = axes.lines
    assert [row["best_value"] for row in rows] == list(line.get_ydata())
    assert rows[-1]["best_value"] == study.best_value


def test_slices_are_what_optuna_draws(study: Study) -> None:
    rows = [row for row in study.slices() if row["state"] == "complete"]
    for param in ("optim.lr", "layers"):
        axes = drawn("plot_slice", study, params=[param])
        assert points(axes) == {(row["setting"], row["value"]) for row in rows if row["param"] == param}


def test_reports_are_the_curves_that_optuna_draws(study: Study) -> None:
    frame = study.reports()
    lines = drawn("plot_intermediate_values", study).lines
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in frame:
        curves.setdefault(f"Trial{row['number']}", []).append((row["step"], row["value"]))
    theirs = {
        line.get_label(): list(zip(*map(np.ndarray.tolist, map(np.asarray, line.get_data())), strict=True))
        for line in lines
    }
    assert repr(theirs) == repr({name: curve for name, curve in curves.items() if name in theirs})
    assert math.isnan(next(row["value"] for row in frame if (row["number"], row["step"]) == (2, 1)))


def test_a_frame_has_what_optunas_own_has(study: Study) -> None:
    theirs = study.optuna_study.trials_dataframe()
    ours = study.frame()
    assert ours["number"] == list(theirs["number"])
    values = [math.nan if value is None else value for value in ours["value"]]
    np.testing.assert_array_equal(values, theirs["value"])
    for param in ("optim.lr", "layers", "kind"):
        assert ours[f"params.{param}"] == [trial.params[param] for trial in study.optuna_study.trials]
    assert ours["run_id"] == [trial.run_id for trial in study.trials]
    assert [number for number, best in zip(ours["number"], ours["is_best"], strict=True) if best] == [
        study.best_trial.number
    ]


@pytest.mark.parametrize("method", ["fanova", "mdi", "ped-anova"])
def test_importances_are_optunas(study: Study, method: str) -> None:
    evaluators = optuna.importance
    evaluator = {
        "fanova": lambda: evaluators.FanovaImportanceEvaluator(seed=0),
        "mdi": lambda: evaluators.MeanDecreaseImpurityImportanceEvaluator(seed=0),
        "ped-anova": evaluators.PedAnovaImportanceEvaluator,
    }[method]()
    theirs = evaluators.get_param_importances(study.optuna_study, evaluator=evaluator)
    ours = study.importances(method)
    assert dict(zip(ours["param"], ours["importance"], strict=True)) == theirs
    assert ours["importance"] == sorted(ours["importance"], reverse=True)
    assert sum(ours["importance"]) == pytest.approx(1)
    assert ours["trials"] == [len(study.completed_trials())] * 3
    assert study.importances(method).to_dicts() == ours.to_dicts()


def test_importances_of_one_of_several_objectives_follow_its_direction(archive: Archive) -> None:
    def objective(trial: Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x, y

    study = archive.create_study(
        "two", ["minimize", "maximize"], metric=["loss", "acc"], sampler=Sampler.random(1)
    )
    study.optimize(objective, 40)
    for method in ("fanova", "mdi", "ped-anova"):
        assert study.importances(method, metric="loss")["param"][0] == "x"
        assert study.importances(method, metric="acc")["param"][0] == "y"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = optuna.importance.get_param_importances(
            study.optuna_study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=lambda trial: -trial.values[1],
        )
        front = optuna.importance.get_param_importances(study.optuna_study)
    found = study.importances("ped-anova", metric="acc")
    assert dict(zip(found["param"], found["importance"], strict=True)) == theirs
    assert (
        dict(zip(*map(study.importances("ped-anova").__getitem__, ("param", "importance")), strict=True))
        == front
    )
    for method, metric in (("fanova", None), ("mdi", None), ("ped-anova", "other")):
        with pytest.raises(InvalidValueError, match="metric is one of loss, acc"):
            study.importances(method, metric=metric)


# Frames


def test_params_keep_their_types_in_every_frame(study: Study) -> None:
    frame = study.frame()
    pandas, polar = frame.to_pandas(), frame.to_polars()
    assert (str(pandas["params.layers"].dtype), polar["params.layers"].dtype) == ("Int64", polars.Int64)
    assert (str(pandas["params.optim.lr"].dtype), polar["params.optim.lr"].dtype) == ("Float64", polars.Float64)
    kinds = [trial.params["kind"] for trial in study.trials]
    assert {str, int, type(None), bool} == set(map(type, kinds))
    assert (
        list(map(repr, pandas["params.kind"]))
        == list(map(repr, polar["params.kind"]))
        == list(map(repr, kinds))
    )
    assert (str(pandas["started_at"].dtype), str(pandas["is_best"].dtype)) == ("datetime64[us, UTC]", "boolean")
    for made in (
        study.history(),
        study.slices(),
        study.reports(),
        study.importances(),
        study.results().space(),
    ):
        assert list(made.to_pandas().columns) == made.to_polars().columns == made.columns
        assert len(made.to_pandas()) == made.to_polars().height == len(made) == len(made.to_dicts())


def test_slices_hold_settings_of_several_types_as_they_are(study: Study) -> None:
    settings = study.slices().to_pandas()["setting"]
    assert [repr(one) for one in settings] == [
        repr(value) for trial in study.trials for value in trial.params.values()
    ]


def test_a_param_that_a_trial_did_not_take_is_missing(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        return trial.suggest_float(f"only_{trial.number % 2}", 0, 1)

    study = archive.create_study("conditional", sampler=Sampler.random(seed=1))
    study.optimize(objective, 12)
    column = study.frame().to_pandas()["params.only_0"]
    assert list(column.isna()) == [number % 2 == 1 for number in range(12)]
    assert [row["param"] for row in study.slices()][:3] == ["only_0", "only_1", "only_0"]
    for method in ("fanova", "mdi"):
        with pytest.raises(InvalidValueError, match="params that all trials have"):
            study.importances(method)
    assert study.importances("ped-anova")["trials"] == [6, 6]


def test_the_space_says_where_params_were_drawn_from(study: Study) -> None:
    assert [tuple(row.values()) for row in study.results().space()] == [
        ("optim.lr", "float", 1e-5, 1e-1, None, True, None),
        ("layers", "int", 1.0, 6.0, 1.0, False, None),
        ("kind", "choice", None, None, None, False, ["adam", 3, None, True]),
    ]


def test_a_study_without_trials_has_empty_tables(archive: Archive) -> None:
    study = archive.create_study("empty")
    results = archive.study_results("empty")
    for frame in (study.frame(), study.history(), study.slices(), study.reports(), results.space()):
        assert isinstance(frame, Frame)
        assert (len(frame), frame.to_dicts()) == (0, [])
        assert frame.to_pandas().empty
        assert frame.to_polars().is_empty()
    assert (results.best, results.best_trials, results.params) == (None, [], [])
    with pytest.raises(InvalidValueError, match="'empty' has 0"):
        study.importances()
    with pytest.raises(StudyNotFoundError):
        archive.study_results("empti")


# Constraints, several objectives, what is not finite


def test_a_trial_that_broke_a_constraint_never_becomes_the_best(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_int("x", 0, 9)
        trial.optuna_trial.set_constraint("even", float(x % 2))  # type: ignore[union-attr]
        return float(x)

    study = archive.create_study("constrained", "maximize", sampler=Sampler.grid({"x": range(10)}, seed=2))
    study.optimize(objective)
    history, best = study.history().to_dicts(), None
    for row in history:
        assert row["feasible"] is (row["value"] % 2 == 0)
        if row["feasible"]:
            best = row["value"] if best is None else max(best, row["value"])
        assert row["best_value"] == best
    assert (history[-1]["best_value"], study.results().best) == (8.0, study.best_trial)
    line = drawn("plot_optimization_history", study).lines[0].get_ydata()
    assert [row["best_value"] for row in history] == [None if math.isinf(value) else value for value in line]


@pytest.mark.parametrize("constrained", [False, True])
def test_the_front_is_optunas(archive: Archive, constrained: bool) -> None:
    def objective(trial: Trial) -> tuple[float, float, float]:
        x, y, z = (trial.suggest_int(name, 0, 3) for name in "xyz")
        if constrained:
            trial.optuna_trial.set_constraint("sum", float(x + y - 4))  # type: ignore[union-attr]
        return float(x + z), float(y - z), float(x * y)

    study = archive.create_study("three", ["minimize", "maximize", "minimize"], sampler=Sampler.random(seed=4))
    study.optimize(objective, 60)
    front = study.results().best_trials
    assert front == study.best_trials
    frame = study.frame()
    assert sum(frame["is_best"]) == len(front) > 1
    assert frame.columns[2:5] == ["values.objective_0", "values.objective_1", "values.objective_2"]
    assert "best_value" not in study.history().columns


def test_infinite_values_stand_in_tables_but_do_not_count_for_importances(archive: Archive) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(0, -math.inf)
        return math.inf if trial.number == 1 else x

    study = archive.create_study("infinite", sampler=Sampler.random(seed=1))
    study.optimize(objective, 2)
    assert study.frame()["value"][1] == math.inf
    assert study.reports()["value"] == [-math.inf] * 2
    with pytest.raises(InvalidValueError, match="finite values, and study 'infinite' has 1"):
        study.importances()
    study.optimize(objective, 8)
    assert study.importances()["trials"] == [9]


@pytest.mark.parametrize("method", ["groups", "fanova", "mdi", "ped-anova"])
def test_importances_say_why_there_are_none(archive: Archive, method: str) -> None:
    def run(name: str, objective: Any, trials: int = 4) -> Study:
        study = archive.create_study(name, sampler=Sampler.random(seed=1))
        study.optimize(objective, trials)
        return study

    with pytest.raises(InvalidValueError, match="have the same value"):
        run("constant", lambda trial: trial.suggest_float("x", 0, 1) * 0).importances(method)
    with pytest.raises(InvalidValueError, match="no param varies"):
        run("paramless", lambda trial: trial.number).importances(method)
    with pytest.raises(InvalidValueError, match="no param varies"):
        run("fixed", lambda trial: trial.number + trial.suggest_int("x", 1, 1)).importances(method)
    with pytest.raises(InvalidValueError, match="has 1"):
        run("single", lambda trial: trial.suggest_float("x", 0, 1), 1).importances(method)
    with pytest.raises(InvalidValueError, match="method must be one of groups, fanova, mdi, ped-anova"):
        archive.study_results("single").importances("shapley")


def test_importances_by_trees_need_scikit_learn(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_options: Any) -> None:
        raise ImportError("sklearn")

    monkeypatch.setattr(optuna.importance, "FanovaImportanceEvaluator", missing)
    with pytest.raises(MissingPackageError, match=r"scikit-learn.*ped-anova needs none"):
        study.importances("fanova")
    assert len(study.importances("ped-anova")) == 3


def test_tables_need_no_optuna(study: Study, studied: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = study.frame().to_dicts()
    monkeypatch.setitem(sys.modules, "optuna", None)
    results = studied.study_results("mixed")
    assert isinstance(results, StudyResults)
    assert results.frame().to_dicts() == expected
    with pytest.raises(MissingPackageError, match="optuna"):
        results.importances("ped-anova")
    assert results.importances()["method"][0] == "groups"


def test_results_stay_as_they_were_read(study: Study) -> None:
    results = study.results()
    before = results.history().to_dicts()
    study.optimize(mixed, 2, on_error="continue")
    assert results.history().to_dicts() == before
    assert len(study.history()) == len(before) + 2
