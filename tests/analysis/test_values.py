"""Analyses refuse metrics, filters and config keys that no run has, and read values through an index."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from exptrack import (
    Archive,
    FilterError,
    InvalidTypeError,
    InvalidValueError,
    MetricNotFoundError,
    RunNotFoundError,
)
from exptrack.analysis import values
from tests.analysis.runs import finished


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: a.group_by("learning", "loss"), InvalidValueError, "no run has a config key"),
        (lambda a: a.group_by("config.lr", "loss"), InvalidValueError, "did you mean lr"),
        (lambda a: a.group_by([], "loss"), InvalidValueError, "no config key"),
        (lambda a: a.group_by(3, "loss"), InvalidTypeError, "keys must be a list, like"),
        (lambda a: a.group_by([3], "loss"), InvalidTypeError, "text"),
        (lambda a: a.group_by("lr", "los"), MetricNotFoundError, "loss"),
        (lambda a: a.group_by("lr", "loss", statistic="median"), InvalidValueError, "nan_count"),
        (lambda a: a.group_by("lr", "loss", where="lr <"), FilterError, "config.lr"),
        (lambda a: a.group_by("lr", "loss", where=3), InvalidTypeError, "filter"),
        (lambda a: a.group_by("lr", "loss", where="config.lrr = 1"), FilterError, "config.lr"),
        (lambda a: a.importance("los"), MetricNotFoundError, "loss"),
        (lambda a: a.importance("loss", where="metrics.loss <"), FilterError, "value"),
    ],
)
def test_wrong_questions_are_refused(
    archive: Archive, call: Callable[[Archive], object], error: type[Exception], message: str
) -> None:
    finished(archive, {"lr": 0.1}, loss=1.0)
    with pytest.raises(error, match=message):
        call(archive)


def test_an_empty_archive_knows_neither_runs_nor_metrics(archive: Archive) -> None:
    with pytest.raises(RunNotFoundError):
        archive.compare(["any"])
    with pytest.raises(RunNotFoundError):
        archive.what_changed("any")
    for ask in (archive.importance, lambda metric: archive.best_run(metric, "maximize")):
        with pytest.raises(MetricNotFoundError):
            ask("loss")
    with pytest.raises(InvalidValueError, match="no run has a config key"):
        archive.group_by("lr", "loss")


BINDINGS = {"metric": 1, "runs": json.dumps([1])}


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("VALUES", "SEARCH s USING INDEX metric_series_by_"),
        ("VALUES_OF_RUNS", "SEARCH s USING INDEX sqlite_autoindex_metric_series_1"),
    ],
)
def test_every_statement_reads_an_index(archive: Archive, name: str, search: str) -> None:
    sql = vars(values)[name].format(value="s.last_value")
    plan = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}", BINDINGS)]
    assert any(step.startswith(search) for step in plan), plan
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
