"""A metric is named by itself or as in a filter, wherever it is asked for."""

from __future__ import annotations

import pytest

from exptrack import Archive, InvalidValueError, MetricNotFoundError
from tests.analysis.runs import finished


@pytest.fixture
def trained(archive: Archive) -> Archive:
    """Two runs: the first has the least last loss, the second the least loss ever."""
    for name, losses in (("first", (9.0, 1.0)), ("second", (0.5, 2.0))):
        with archive.start_run({"lr": len(name)}, name=name) as run:
            for loss in losses:
                run.log({"loss": loss, "val loss": loss})
    return archive


def best(archive: Archive, metric: str, by: str = "last") -> str | None:
    found = archive.best_run(metric, "min", by=by)
    return None if found is None else found.name


@pytest.mark.parametrize("name", ["loss", "metrics.loss", "metric.loss", "metrics.loss.last", "loss.last"])
def test_the_last_value_counts_in_each_spelling(trained: Archive, name: str) -> None:
    assert best(trained, name) == "first"
    assert best(trained, name, by="min") == "second"
    assert [group.mean for group in trained.group_by("lr", name)] == [1.0, 2.0]
    assert trained.count_left_out(name).total == 0


@pytest.mark.parametrize("name", ["loss.min", "metrics.loss.min", 'metrics."val loss".min', '"val loss".min'])
def test_the_name_may_say_which_value_counts(trained: Archive, name: str) -> None:
    assert best(trained, name) == best(trained, name, by="min") == "second"
    assert [group.mean for group in trained.group_by("lr", name)] == [1.0, 0.5]
    with pytest.raises(InvalidValueError, match="means the min of the metric, but max was asked for"):
        best(trained, name, by="max")


def test_a_metric_of_that_very_name_is_meant(trained: Archive) -> None:
    finished(trained, {"lr": 0}, name="third", **{"loss.min": 7.0, "metrics.loss": 8.0})
    assert best(trained, "loss.min") == "third"
    assert [value for _run, value in trained.best_runs("metrics.loss", "max")] == [8.0]


def test_max_is_short_for_maximize_and_min_for_minimize(trained: Archive) -> None:
    for short, long in (("min", "minimize"), ("max", "maximize")):
        assert trained.best_runs("loss", short) == trained.best_runs("loss", long)
    study = trained.create_study("s", "max")
    assert study.results().info.directions == ("maximize",)
    with pytest.raises(InvalidValueError, match="direction must be one of minimize, maximize, min, max"):
        trained.best_runs("loss", "up")


def test_what_no_run_has_logged_is_refused_with_similar_names(trained: Archive) -> None:
    for name in ("los", "metrics.los", "metrics.los.min"):
        with pytest.raises(MetricNotFoundError, match="did you mean 'loss'"):
            best(trained, name)
    with pytest.raises(InvalidValueError, match="last, min, max"):
        best(trained, "loss.mean")
