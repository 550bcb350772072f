"""Curves of many runs tell what was logged, in buckets that lie above one another."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exptrack import Archive, Buckets, Curves, InvalidValueError, Run, RunNotFoundError
from exptrack.metrics import cells, curves
from tests.effort import tries
from tests.metrics.points import STEPS, VALUES, logged, same

TIMES_MS = st.sampled_from([0, 1, 7, 999, 1000, 1001, 5000, 10**7])
LOGGED = st.lists(st.tuples(STEPS, VALUES, VALUES, TIMES_MS), min_size=1, max_size=40)


@pytest.fixture(autouse=True)
def _cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges are cut down to two points and few are kept, so that short series take every way."""
    monkeypatch.setattr(cells, "FEW_POINTS", 2)
    monkeypatch.setattr(cells, "PARTS", 2)
    monkeypatch.setattr(curves, "KEPT_RANGES", 0)


def expected_cells(
    curve: Buckets, points: list[tuple[Any, int, int, float]], width: Any, start: Any
) -> Iterator[tuple[int, list[tuple[Any, int, int, float]]]]:
    """The points of each bucket, in key order, in the simplest way."""
    found: dict[int, list[tuple[Any, int, int, float]]] = defaultdict(list)
    for point in points:
        if point[0] is not None and (start is None or point[0] >= start):
            found[math.floor(Fraction(point[0]) / Fraction(width))].append(point)
    assert len(curve) == len(found)
    yield from sorted(found.items())


def check(curve: Buckets, points: list[tuple[Any, int, int, float]], width: Any, start: Any = None) -> None:
    """Each column of a curve is what its points say; each is (position, step, ms, value)."""
    columns = curve.lists()
    for at, (cell, held) in enumerate(expected_cells(curve, points, width, start)):
        row = {name: column[at] for name, column in columns.items()}
        values = [value for *_, value in held if value == value]
        finite = [value for value in values if math.isfinite(value)]
        nan = math.nan
        infinities = [value for value in values if math.isinf(value)]
        total = sum(infinities) if infinities else float(sum(map(Fraction, finite)))
        got = [row[name] for name in ("first", "last", "min", "max", "finite_min", "finite_max")]
        assert same(
            got,
            [
                held[0][3],
                held[-1][3],
                min(values, default=nan),
                max(values, default=nan),
                min(finite, default=nan),
                max(finite, default=nan),
            ],
        )
        # Adding n doubles errs by at most n roundings of the sum of their magnitudes (Higham 1993).
        error = len(finite) * Fraction(2) ** -53 * sum(abs(Fraction(value)) for value in finite)
        assert same([row["sum"]], [total]) or abs(Fraction(row["sum"]) - Fraction(total)) <= 2 * error
        assert (row["count"], row["nan_count"]) == (len(held), len(held) - len(values))
        assert (row["first_step"], row["last_step"]) == (held[0][1], held[-1][1])
        assert [row["first_time_s"], row["last_time_s"]] == [held[0][2] / 1000, held[-1][2] / 1000]
        begin = cell * width / 1000 if curve.by == "time" else cell * width
        assert row["start"] == pytest.approx(max(begin, -(2**63)) if curve.by == "step" else begin)


def log_all(lab: Archive, points: list[tuple[int, float, float, int]]) -> tuple[Run, list[Any]]:
    """Log y and x together; return the run and its points in key order."""
    with lab.start_run() as run:
        for step, y, x, time_ms in points:
            run.log({"y": y, "x": x}, step, run.started_at + timedelta(milliseconds=time_ms))
    return run, sorted(points, key=lambda point: point[0])


TAME = st.floats(-1e100, 1e100)


@settings(max_examples=tries(40), deadline=None)
@given(
    several=st.lists(
        st.lists(st.tuples(STEPS, TAME | st.sampled_from([math.nan, math.inf, -math.inf]), TAME, TIMES_MS)),
        min_size=1,
        max_size=3,
    ),
    buckets=st.integers(1, 12),
)
@example(several=[[(step, 1.0, 2.0, 0) for step in [*range(60), -1, 2**63 - 1]]], buckets=1)
@example(several=[[(step, 1.0, 2.0, 0) for step in [*range(60), -(2**63), 2**63 - 1]]], buckets=2)
def test_curves_hold_every_point_in_common_buckets(
    lab: Archive, several: list[list[tuple[int, float, float, int]]], buckets: int
) -> None:
    runs, ordered = zip(*(log_all(lab, points) for points in several), strict=True)
    by_step = lab.curves(runs, "y", buckets=buckets)
    for curve, points in zip(by_step, ordered, strict=True):
        assert len(curve) <= buckets + 1
        check(curve, [(step, step, ms, y) for step, y, _, ms in points], by_step.width)
    by_time = lab.curves(runs, "y", buckets=buckets, by="time", start=0.999)
    width_ms = round(by_time.width * 1000)
    for curve, points in zip(by_time, ordered, strict=True):
        assert len(curve) <= buckets + 1
        check(curve, [(ms, step, ms, y) for step, y, _, ms in points], width_ms, start=999)
    by_metric = lab.curves(runs, ["y"], buckets=buckets, by="x")
    for curve, points in zip(by_metric, ordered, strict=True):
        last_of = {step: x for step, _, x, _ in points}
        check(curve, [(last_of[step], step, ms, y) for step, y, _, ms in points], by_metric.width)


@settings(max_examples=tries(30), deadline=None)
@given(points=st.lists(st.tuples(st.integers(0, 40), VALUES, st.booleans()), max_size=30))
def test_a_point_lies_where_the_other_metric_was_last(
    lab: Archive, points: list[tuple[int, float, bool]]
) -> None:
    with lab.start_run() as run:
        for step, value, is_other in points:
            run.log({"epoch" if is_other else "loss": value}, step)
    (curve,) = lab.curves(run, "loss", by="epoch", width=2.0**1010)
    ordered = sorted(points, key=lambda point: point[0])
    known = [(step, value) for step, value, is_other in ordered if is_other and math.isfinite(value)]
    placed = []
    for step, value, is_other in ordered:
        if not is_other:
            before = [x for at, x in known if at <= step]
            placed.append((before[-1] if before else None, step, value))
    expected: dict[float, int] = defaultdict(int)
    for x, _, _ in placed:
        if x is not None:
            expected[math.floor(Fraction(x) / Fraction(2.0**1010)) * 2.0**1010] += 1
    assert dict(zip(curve.lists()["start"], curve.lists()["count"], strict=True)) == expected


def test_buckets_of_several_reads_lie_above_one_another(archive: Archive) -> None:
    first = logged(archive, [(step, float(step)) for step in range(3, 100)])
    second = logged(archive, [(step, float(step)) for step in range(0, 50, 7)])
    with first, second:
        found = archive.curves([first, second], "loss", buckets=10)
        assert isinstance(found, Curves)
        assert (found.by, found.width, len(found)) == ("step", 16, 2)
        assert found[0].lists()["start"] == list(range(0, 100, 16))
        assert found[1].lists()["start"] == [0, 16, 32, 48]
        assert found[0].lists()["count"] == [13, *[16] * 5, 4]
        later = archive.curves([first, second], "loss", width=16, start=32, stop=64)
        assert later[0].lists()["sum"] == found[0].lists()["sum"][2:4]
        assert [list(one.starts) for one in later] == [[32, 48], [32, 48]]
        assert found[0].sums.tolist() == found[0].lists()["sum"]
        assert found[0].counts.tolist() == found[0].lists()["count"]
        narrow = archive.curves(first, "loss", by="time", width=0.25)
        assert repr(narrow[0]).endswith("of 0.25 s>")
        assert repr(archive.curves(first, "loss", by="loss")[0]).endswith(" of 'loss'>")


def test_curves_come_in_the_order_asked_for_and_may_be_empty(archive: Archive) -> None:
    with logged(archive, [(0, 1.0)]) as one, logged(archive, [(0, 2.0), (5, 3.0)], "acc") as other:
        found = archive.curves([other, one], ["loss", "acc", "never"])
        assert [(curve.run_id, curve.name, len(curve)) for curve in found] == [
            (other.run_id, "loss", 0),
            (other.run_id, "acc", 2),
            (other.run_id, "never", 0),
            (one.run_id, "loss", 1),
            (one.run_id, "acc", 0),
            (one.run_id, "never", 0),
        ]
        assert found[0].starts.dtype == "int64"
        for by in ("time", "never", "metrics.step"):
            assert [len(curve) for curve in archive.curves([one, other], "never", by=by)] == [0, 0]
        assert len(archive.curves([], "loss")) == 0
        assert len(archive.curves(archive.runs(), "acc", start=4)[0]) == 1
        with pytest.raises(RunNotFoundError):
            archive.curves("none", "loss")


def test_a_metric_may_be_called_step_or_time(archive: Archive) -> None:
    with archive.start_run() as run:
        for step in range(4):
            run.log({"step": 100.0 * step, "loss": 1.0}, step)
    assert archive.curves(run, "loss", width=100.0, by="metrics.step")[0].lists()["count"] == [1, 1, 1, 1]
    assert archive.curves(run, "loss", width=100, by="step")[0].lists()["count"] == [4]


def test_columns_are_buffers_without_numpy(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with logged(archive, [(step, step / 2) for step in range(100)]) as run:
        (curve,) = archive.curves(run, "loss", buckets=4)
        series = archive.series(run, "loss").buffers()
    held = curve.buffers()
    assert held.keys() == curve.lists().keys()
    assert {name: view.format for name, view in held.items() if view.format == "q"}.keys() == {
        "start",
        "first_step",
        "last_step",
        "count",
        "nan_count",
    }
    assert held["max"].tolist() == [15.5, 31.5, 47.5, 49.5]
    assert (series["step"].format, series["value"].format, series["value"].nbytes) == ("q", "d", 800)


def test_a_sum_beyond_every_double_is_infinite(archive: Archive) -> None:
    huge, inf = sys.float_info.max, math.inf
    runs = [
        logged(archive, list(enumerate(values)))
        for values in ([huge] * 40, [huge, -huge] * 20, [inf] * 40, [inf, -inf] * 20, [-inf, 1.0] * 20)
    ]
    found = [archive.series(run, "loss", buckets=1).sums[0] for run in runs]
    assert same(found, [inf, 0.0, inf, math.nan, -inf])


WRONG: tuple[dict[str, Any], ...] = (
    {"buckets": 0},
    {"width": 0},
    {"width": 1.5},
    {"width": 1},
    {"start": 0.5},
    {"by": "time", "width": 0.0001},
    {"by": "time", "start": math.nan},
    {"by": "epoch", "width": -1.0},
    {"by": "epoch", "stop": math.inf},
    {"by": ""},
    {"by": "loss", "width": 1e-300},
    {"by": "time", "width": "wide"},
)


def test_what_cannot_be_drawn_is_refused(archive: Archive) -> None:
    with logged(archive, [(0, 0.0), (10**6, 1.0)]) as run:
        for wrong in WRONG:
            with pytest.raises(InvalidValueError):
                archive.curves(run, "loss", **wrong)
        for by in ("time", "loss"):
            wide = archive.curves(run, "loss", by=by, width=1e308, start=-1e308, stop=1e308)
            assert wide[0].lists()["count"] == [2]
        assert archive.curves(run, "loss", width=2**63 - 1)[0].lists()["count"] == [2]
