"""Alignment: series of several runs side by side hold exactly what was logged."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    InvalidTypeError,
    InvalidValueError,
    RunNotFoundError,
)
from tests.effort import tries
from tests.metrics.points import POINTS, logged, same


def test_runs_align_by_step_in_an_outer_join_where_the_last_repetition_wins(archive: Archive) -> None:
    nan = math.nan
    with logged(archive, [(0, 1.0), (2, 2.0), (2, 3.0)]) as a, logged(archive, [(1, nan), (2, 5.0)]) as b:
        found = archive.align([a, b], ["loss", "acc"])
        assert found.index.tolist() == [0, 1, 2]
        assert same(found.columns[f"{a.run_id}/loss"].tolist(), [1.0, nan, 3.0])
        assert same(found.columns[f"{b.run_id}/loss"].tolist(), [nan, nan, 5.0])
        assert found.logged[f"{b.run_id}/loss"].tolist() == [False, True, True]
        assert found.logged[f"{a.run_id}/acc"].tolist() == [False] * 3
        assert list(found.arrays()) == ["step", *found.columns]
        assert found.index.dtype == "int64"
        coarse = archive.align(a, "loss", every=2, stop=2)
        assert coarse.index.tolist() == [0]
    assert archive.align([], "loss").index.tolist() == []


def test_runs_align_by_relative_time(archive: Archive) -> None:
    with archive.start_run() as a, archive.start_run() as b:
        for run, seconds in ((a, (0.5, 1.25, 1.75)), (b, (1.25, 9.0))):
            for position, second in enumerate(seconds):
                run.log({"loss": second}, 10 - position, run.started_at.timestamp() + second)
        exact = archive.align([a, b], "loss", by="time")
        assert exact.index.tolist() == [0.5, 1.25, 1.75, 9.0]
        binned = archive.align([a, b], "loss", by="time", every=1)
        assert binned.index.tolist() == [0.0, 1.0, 9.0]
        assert same(binned.columns[f"{a.run_id}/loss"].tolist(), [0.5, 1.75, math.nan])
        assert same(binned.columns[f"{b.run_id}/loss"].tolist(), [math.nan, 1.25, 9.0])
        assert next(iter(binned.arrays())) == "time_s"


@settings(max_examples=tries(100), deadline=None)
@given(series_points=st.lists(POINTS, min_size=1, max_size=3))
def test_alignment_holds_every_series(lab: Archive, series_points: list[list[tuple[int, float]]]) -> None:
    runs = [logged(lab, points) for points in series_points]
    found = lab.align(runs, "loss")
    assert found.index.tolist() == sorted({step for points in series_points for step, _ in points})
    for run, points in zip(runs, series_points, strict=True):
        column, there = found.columns[f"{run.run_id}/loss"], found.logged[f"{run.run_id}/loss"]
        assert found.index[there].tolist() == sorted({step for step, _ in points})
        assert same(column[there].tolist(), [dict(points)[step] for step in found.index[there].tolist()])
        assert numpy.isnan(column[~there]).all()
        run.complete()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda archive: archive.align([], "loss", by="epoch"), InvalidValueError),
        (lambda archive: archive.align([], "loss", every=0), InvalidValueError),
        (lambda archive: archive.align([], "loss", every=math.nan), InvalidValueError),
        (lambda archive: archive.align([], "loss", every=1.5), InvalidTypeError),
        (lambda archive: archive.align([], "loss", every=2**63), InvalidValueError),
        (lambda archive: archive.align([], "loss", by="time", every=0.0004), InvalidValueError),
        (lambda archive: archive.align([], "loss", by="time", every=5e-324), InvalidValueError),
        (lambda archive: archive.align([], 3), InvalidTypeError),
        (lambda archive: archive.tail([], [""]), InvalidValueError),
        (lambda archive: archive.tail("none"), RunNotFoundError),
    ],
)
def test_wrong_questions_are_refused(
    archive: Archive, call: Callable[[Archive], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(archive)


def test_steps_and_times_at_the_edges_are_rounded_down_exactly(archive: Archive) -> None:
    steps = [-(2**63), -(2**53) - 1, -1, 0, 2**53 + 1, 2**63 - 2, 2**63 - 1]
    with archive.start_run() as run:
        run.log_many("loss", steps, [1.0] * len(steps))
        start = run.started_at.timestamp()
        run.log_many("late", None, [1.0] * 3, [start + 0.459, start - 0.459, start + 1e9 + 0.001])
    for every in (1, 2, 3, 2**53 + 1, 2**62, 2**63 - 1):
        found = archive.align(run, "loss", every=every).index.tolist()
        assert found == sorted({max(step // every * every, -(2**63)) for step in steps})
    for every_ms in (1, 10, 100, 250, 1000):
        found = archive.align(run, "late", by="time", every=every_ms / 1000).index.tolist()
        milliseconds = (-459, 459, 10**12 + 1)
        assert found == sorted({ms // every_ms * every_ms / 1000 for ms in milliseconds})
