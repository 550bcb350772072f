"""Configs of studies: what is stored of them, and what is refused before there is a study."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from exptrack import Archive, ExpConfig, InvalidValueError, Pruner, Sampler, StudyConfig


def test_a_study_that_cannot_search_is_not_made(archive: Archive) -> None:
    for options in ({"sampler": "tpe2"}, {"pruner": "fast"}, {"sampler": Sampler.tpe(wrong=1)}):
        with pytest.raises(InvalidValueError):
            archive.create_study("s", **options)
    assert archive.studies() == []


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


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        (Sampler.grid(), "none"),
        ("grid", "none"),
        (optuna.samplers.GridSampler({"x": [1, 2]}), "none"),
        (None, "median"),
        ("random", "median"),
    ],
)
def test_a_grid_is_not_pruned_unless_asked(sampler: Any, pruner: str, archive: Archive) -> None:
    study = archive.create_study("by default", sampler=sampler)
    assert study.settings["pruner"] == {"name": pruner, "options": {}}
    asked = archive.create_study("asked", sampler=sampler, pruner="hyperband")
    assert asked.settings["pruner"]["name"] == "hyperband"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": Sampler.tpe(sed=1)}, "sampler 'tpe' has no option sed; did you mean seed"),
        ({"pruner": Pruner.median(n_warmup=1)}, "has no option n_warmup; did you mean n_warmup_steps"),
        ({"pruner": Pruner.of("PercentilePruner", zz=1)}, "has no option zz; there are percentile, "),
    ],
)
def test_a_misspelt_option_is_named_with_the_one_that_is_meant(
    options: dict[str, Any], words: str, archive: Archive
) -> None:
    with pytest.raises(InvalidValueError, match=words):
        archive.create_study("s", **options)
