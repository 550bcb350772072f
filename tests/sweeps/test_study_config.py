"""Configs of studies: what is stored of them, and what is refused before there is a study."""

from __future__ import annotations

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
