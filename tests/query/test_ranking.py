"""The best runs are completed ones with a finite value, and of equal runs the one stored first wins."""

from __future__ import annotations

import math

from exptrack import Archive
from tests.analysis.runs import finished


def test_the_best_run_is_completed_and_finite(archive: Archive) -> None:
    values = {"good": 0.9, "nan": math.nan, "inf": math.inf, "poor": 0.1}
    for name, value in values.items():
        with archive.start_run(name=name) as run:
            run.log_metric("acc", value)
    unfinished = archive.start_run(name="unfinished")
    unfinished.log_metric("acc", 1.0)
    best, worst = archive.best_run("acc", "maximize"), archive.best_run("acc", "minimize")
    assert best is not None
    assert worst is not None
    assert (best.name, worst.name) == ("good", "poor")
    unfinished.complete()
    assert archive.best_run("acc", "maximize").name == "unfinished"  # type: ignore[union-attr]


def test_of_runs_that_tie_the_first_is_best_and_nan_never(archive: Archive) -> None:
    finished(archive, name="nan", acc=math.nan)
    for name in ("first", "second"):
        finished(archive, name=name, acc=0.5)
    finished(archive, name="infinite", acc=math.inf)
    for direction in ("minimize", "maximize"):
        assert [run.name for run, _ in archive.best_runs("acc", direction)] == ["first", "second"]


def test_nothing_is_best_where_every_value_is_nan(archive: Archive) -> None:
    finished(archive, acc=math.nan)
    assert archive.best_run("acc", "maximize", by="max") is None
    assert archive.best_runs("acc", "minimize") == []
