"""Series in bulk: columns and buckets tell exactly what was logged."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import (
    Archive,
    ArchiveCorruptError,
    InvalidValueError,
    MissingPackageError,
    RunNotFoundError,
)
from exptrack.metrics import axes, cells, series, tail
from tests.effort import tries
from tests.metrics.points import POINTS, STEPS, VALUES, logged, same


@pytest.fixture(params=[1, 1000], ids=["in numpy", "in plain Python"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are read in numpy, or without."""
    monkeypatch.setattr(series, "NUMPY_FROM_POINTS", request.param)


# Columns


@pytest.mark.usefixtures("_either_way")
def test_columns_are_what_was_logged_repeats_and_extremes_included(archive: Archive) -> None:
    nan, inf = math.nan, math.inf
    points = [(3, 1.0), (1, nan), (3, inf), (-7, -inf), (2**53 - 1, 0.1), (3, 2.0)]
    with logged(archive, points) as run:
        found = run.series("loss")
        assert found.steps.tolist() == [-7, 1, 3, 3, 3, 2**53 - 1]
        assert same(found.values.tolist(), [-inf, nan, 1.0, inf, 2.0, 0.1])
        assert (found.steps.dtype, found.values.dtype, found.times.dtype) == ("int64", "float64", "float64")
        exact = [(p.time - run.started_at).total_seconds() for p in run.get_metric("loss")]
        assert found.times.tolist() == pytest.approx(exact, abs=1e-9)
        assert len(found) == 6
        assert found.lists()["step"] == found.steps.tolist()
        views = found.buffers()
        assert {name: view.format for name, view in views.items()} == {"step": "q", "value": "d", "time_s": "d"}
        assert views["step"].tolist() == found.lists()["step"]
        assert same(views["value"].tolist(), found.lists()["value"])
        assert (found.run_id, found.name, found.started_at) == (run.run_id, "loss", run.started_at)
        assert repr(found) == f"<Series 'loss' of run {run.run_id}: 6 points>"


@pytest.mark.usefixtures("_either_way")
@pytest.mark.parametrize("step", [2**53 + 1, 2**63 - 1, -(2**53) - 1, -(2**63)])
def test_steps_that_no_float_holds_come_back_exactly(archive: Archive, step: int) -> None:
    with logged(archive, [(0, 0.5), (step, 1.5)]) as run:
        assert sorted(run.series("loss").steps.tolist()) == sorted([0, step])


@pytest.mark.usefixtures("_either_way")
def test_a_range_of_steps_is_half_open(archive: Archive) -> None:
    with logged(archive, [(step, step / 2) for step in range(10)]) as run:
        assert run.series("loss", start=3, stop=6).steps.tolist() == [3, 4, 5]
        assert run.series("loss", start=8).steps.tolist() == [8, 9]
        assert run.series("loss", stop=2).values.tolist() == [0.0, 0.5]
        assert len(run.series("loss", start=5, stop=5)) == len(run.series("loss", stop=-(2**63))) == 0
        assert run.series("loss", start=3, stop=6, buckets=1).last.tolist() == [2.5]
        assert len(run.series("loss", start=20, buckets=4)) == 0


@settings(max_examples=tries(100), deadline=None)
@given(
    points=st.lists(st.tuples(STEPS, VALUES, st.sampled_from([-5000, 0, 1, 7, 10**7, 10**12])), min_size=1),
    bounds=st.tuples(STEPS, STEPS),
)
def test_numpy_reads_what_plain_python_reads(
    lab: Archive, points: list[tuple[int, float, int]], bounds: tuple[int, int]
) -> None:
    with lab.start_run() as run:
        for step, value, time_ms in points:
            run.log({"loss": value}, step, run.started_at + timedelta(milliseconds=time_ms))
    for chosen in ({}, {"start": min(bounds), "stop": max(bounds)}):
        expected = run.series("loss", **chosen).lists()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(series, "NUMPY_FROM_POINTS", 1)
            found = run.series("loss", **chosen).lists()
        assert found["step"] == expected["step"]
        assert same(found["value"], expected["value"])
        assert found["time_s"] == expected["time_s"]
    exact = [
        (p.step, round((p.time - run.started_at) / timedelta(milliseconds=1))) for p in run.get_metric("loss")
    ]
    everything = run.series("loss").lists()
    assert [
        (s, round(t * 1000)) for s, t in zip(everything["step"], everything["time_s"], strict=True)
    ] == exact


def test_a_metric_never_logged_has_no_points(archive: Archive) -> None:
    with archive.start_run() as run:
        assert run.series("nothing").steps.dtype == "int64"
        assert run.series("nothing").values.tolist() == []
        assert run.series("nothing", buckets=3).minimum.tolist() == []


def test_the_archive_reads_series_of_any_run(archive: Archive) -> None:
    with logged(archive, [(0, 1.0), (1, 2.0)]) as run:
        pass
    assert archive.series(run.run_id[:12], "loss").values.tolist() == [1.0, 2.0]
    assert archive.series(run, "loss", buckets=1).maximum.tolist() == [2.0]
    with pytest.raises(RunNotFoundError):
        archive.series("none", "loss")


@pytest.mark.parametrize("wrong", [{"start": "x"}, {"stop": 1.5}, {"buckets": 0}, {"buckets": True}])
def test_wrong_ranges_are_refused(archive: Archive, wrong: dict[str, object]) -> None:
    with archive.start_run() as run, pytest.raises(InvalidValueError):
        run.series("loss", **wrong)  # type: ignore[call-overload]


def test_without_numpy_there_are_lists_and_a_clear_word(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "NUMPY_FROM_POINTS", 1)
    with logged(archive, [(0, 1.0), (5, math.nan)]) as run:
        monkeypatch.setitem(sys.modules, "numpy", None)
        assert same(run.series("loss").lists()["value"], [1.0, math.nan])
        assert run.series("loss", buckets=1).lists()["nan_count"] == [1]
        assert archive.tail(run).read()[0].series.lists()["step"] == [0, 5]
        with pytest.raises(MissingPackageError, match=r"pip install 'exptrack-archive\[numpy\]'"):
            _ = run.series("loss").values
        with pytest.raises(MissingPackageError):
            archive.align(run, "loss")


def test_damage_is_told_by_what_reads_in_bulk(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, logged(archive, [(step, 0.5) for step in range(2000)]) as run:
        pass
    page_bytes = 4096
    with open(path, "r+b") as file:
        # The points are most of the file; what is before them stays as it is.
        file.seek(path.stat().st_size - 8 * page_bytes)
        file.write(b"\xff" * 8 * page_bytes)
    with Archive(path) as archive, pytest.raises(ArchiveCorruptError):
        archive.series(run, "loss")


# Buckets


def test_each_bucket_keeps_its_first_last_least_and_greatest_value(archive: Archive) -> None:
    values = [5.0, 1.0, 9.0, 4.0, 2.0, 2.0, 7.0, -3.0]
    with logged(archive, list(enumerate(values))) as run:
        found = run.series("loss", buckets=2)
        assert repr(found) == f"<Buckets 'loss' of run {run.run_id}: 2 of 4 steps>"
        assert found.lists() == {
            "first_step": [0, 4],
            "last_step": [3, 7],
            "first_time_s": found.first_times.tolist(),
            "last_time_s": found.last_times.tolist(),
            "first": [5.0, 2.0],
            "last": [4.0, -3.0],
            "min": [1.0, -3.0],
            "max": [9.0, 7.0],
            "finite_min": [1.0, -3.0],
            "finite_max": [9.0, 7.0],
            "nan_count": [0, 0],
            "count": [4, 4],
            "sum": [19.0, 8.0],
            "start": [0, 4],
        }
        times = run.series("loss").times
        assert found.first_times.tolist() == times[[0, 4]].tolist()
        assert found.last_times.tolist() == times[[3, 7]].tolist()


def test_gaps_are_said(archive: Archive) -> None:
    nan, inf = math.nan, math.inf
    with logged(archive, list(enumerate([nan, nan, 1.0, nan, inf, 2.0, -inf, inf]))) as run:
        found = run.series("loss", buckets=4)
        assert found.nan_counts.tolist() == [2, 1, 0, 0]
        assert same(found.minimum.tolist(), [nan, 1.0, 2.0, -inf])
        assert same(found.maximum.tolist(), [nan, 1.0, inf, inf])
        assert same(found.finite_minimum.tolist(), [nan, 1.0, 2.0, nan])
        assert same(found.finite_maximum.tolist(), [nan, 1.0, 2.0, nan])
        assert same(found.first.tolist(), [nan, 1.0, inf, -inf])
        assert same(found.last.tolist(), [nan, nan, 2.0, inf])


@settings(max_examples=tries(100), deadline=None)
@given(points=POINTS, buckets=st.integers(1, 12))
def test_buckets_lose_no_extreme_and_no_gap(
    lab: Archive, points: list[tuple[int, float]], buckets: int
) -> None:
    with logged(lab, points) as run:
        pass
    found = lab.series(run, "loss", buckets=buckets)
    ordered = sorted(points, key=lambda point: point[0])
    low = ordered[0][0]
    expected: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for step, value in ordered:
        expected[(step - low) // found.width].append((step, value))
    assert len(found) == len(expected) <= buckets
    groups = list(expected.values())
    numbers = [[v for _, v in group if v == v] for group in groups]
    drawn = [[v for v in group if math.isfinite(v)] for group in numbers]
    nan = math.nan
    assert found.first_steps.tolist() == [group[0][0] for group in groups]
    assert found.last_steps.tolist() == [group[-1][0] for group in groups]
    assert same(found.first.tolist(), [group[0][1] for group in groups])
    assert same(found.last.tolist(), [group[-1][1] for group in groups])
    assert same(found.minimum.tolist(), [min(group, default=nan) for group in numbers])
    assert same(found.maximum.tolist(), [max(group, default=nan) for group in numbers])
    assert same(found.finite_minimum.tolist(), [min(group, default=nan) for group in drawn])
    assert same(found.finite_maximum.tolist(), [max(group, default=nan) for group in drawn])
    missing = [len(group) - len(rest) for group, rest in zip(groups, numbers, strict=True)]
    assert found.nan_counts.tolist() == missing


def test_one_bucket_reaches_over_every_step_there_is(archive: Archive) -> None:
    with archive.start_run() as run:
        for step in (-(2**63), 0, 2**63 - 1):
            run.log_metric("loss", step / 2**63, step)
        found = run.series("loss", buckets=1)
    assert found.width == 2**64
    assert found.lists()["first_step"] == [-(2**63)]
    assert found.lists()["last_step"] == [2**63 - 1]
    assert (found.lists()["min"], found.lists()["max"]) == ([-1.0], [1.0])


# Statements


STATEMENTS = {
    series: ("POINTS", "POINTS_PACKED", "STEP_BOUNDS"),
    tail: ("POINTS_AFTER",),
    axes: ("AGGREGATES", "AGGREGATES_WITH_TIMES", "POINTS_BY_STEP", "POINTS_BY_METRIC", "EXTENTS_BY_METRIC"),
    cells: ("FINITE_EXTREMES", "VALUES", "ENDS"),
}


def test_every_statement_reads_a_range_of_the_key(archive: Archive) -> None:
    names = ("series", "other", "low", "high", "step", "seq", "span")
    named = dict.fromkeys(names, 1) | {"ranges": "[[1, 2]]"}
    for module, statements in STATEMENTS.items():
        for name in statements:
            sql = getattr(module, name)
            values = named if ":" in sql else (1, 1, 2)
            steps = [row[3] for row in archive._connection.all(f"EXPLAIN QUERY PLAN {sql}", values)]
            reads = [step for step in steps if "PRIMARY KEY" in step]
            assert reads
            assert all(" USING PRIMARY KEY (series=? AND " in step for step in reads), name
            assert not [step for step in steps if "TEMP B-TREE" in step], name
