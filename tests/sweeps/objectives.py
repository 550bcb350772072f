"""Objectives and readings that several tests of sweeps share."""

from __future__ import annotations

from exptrack import Study, Trial

GRID = {"x": [1, 2], "n": [3, 4]}


def parabola(trial: Trial) -> float:
    x = trial.suggest_float("x", -10, 10)
    return (x - 2) ** 2


def states(study: Study) -> list[str]:
    return [trial.state.value for trial in study.trials]
