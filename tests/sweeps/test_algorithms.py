"""Samplers and pruners by name: they are those of Optuna, in this process and the next."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from exptrack import Archive, InvalidValueError, Pruner, Sampler, Trial
from tests.sweeps.objectives import parabola


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


def test_an_object_has_to_be_given_again(archive: Archive) -> None:
    theirs = optuna.samplers.RandomSampler(seed=1)
    archive.create_study("object", sampler=theirs).optimize(parabola, 1)
    with pytest.raises(InvalidValueError, match="give it again"):
        archive.study("object").optimize(parabola, 1)
    archive.study("object", sampler=theirs).optimize(parabola, 1)
    assert len(archive.study("object").completed_trials()) == 2
