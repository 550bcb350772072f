"""Levels of ended runs answer what a scan of the points answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, Buckets, Run
from exptrack.metrics import buckets as bucket_calls
from exptrack.metrics import curves, level_builder, levels, store, summary
from tests.metrics.points import VALUES, same
from tests.strategies import INT64

NEAR = st.integers(-3, 40)
FAR = st.one_of(NEAR, st.integers(-(10**6), 10**6), INT64)
TIMES_MS = st.sampled_from([0, 1, 7, 999, 1000, 1001, 5000, 10**7])
HUGE = 2.0**900


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let short series have levels of few buckets, and read and collect them in small parts."""
    for module in (levels, store, summary, bucket_calls):
        monkeypatch.setattr(module, "LEVEL_POINTS", 4)
    monkeypatch.setattr(levels, "MOST_BUCKETS", 8)
    monkeypatch.setattr(level_builder, "MOST_BUCKETS", 8)
    monkeypatch.setattr(levels, "POINTS_A_BUCKET", 1)
    monkeypatch.setattr(levels, "BATCH", 3)
    monkeypatch.setattr(store, "CHECKSUM_BATCH", 3)
    monkeypatch.setattr(bucket_calls, "MANY_BUCKETS", 2)


def rows_of(archive: Archive) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = archive._connection.fold(
        "SELECT axis, width FROM metric_level ORDER BY series, axis", (), list
    )
    return found


@contextmanager
def scanning(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no level answer in the block."""
    with monkeypatch.context() as patch:
        patch.setattr(curves, "has_levels", lambda _connection: False)
        patch.setattr(bucket_calls, "has_levels", lambda _connection: False)
        yield


def compare(one: Buckets, other: Buckets) -> None:
    found, expected = one.lists(), other.lists()
    assert list(found) == list(expected)
    sizes = [
        max(map(abs, ends)) * count
        for *ends, count in zip(expected["finite_min"], expected["finite_max"], expected["count"], strict=True)
    ]
    for name, column in found.items():
        if name != "sum":
            assert same(column, expected[name]), name
    for total, wanted, size in zip(found["sum"], expected["sum"], sizes, strict=True):
        assert same([total], [wanted]) or total == pytest.approx(wanted, rel=0, abs=1e-14 * size + 5e-324)


def answers(lab: Archive, run: Run, width: int, times: int) -> list[Buckets]:
    return [
        *lab.curves(run, "y", width=width),
        *lab.curves(run, "y", by="time", width=2**14 * times / 1000),
        *lab.curves(run, "y", buckets=5),
        *lab.curves(run, "y", by="time", buckets=5),
        *lab.curves(run, "y", by="step", buckets=3, start=2),
        run.series("y", buckets=4),
        run.series("y", buckets=4, stop=17),
    ]


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(FAR, VALUES, TIMES_MS), min_size=1, max_size=40),
    order=st.sampled_from(["by step", "by time too", "as drawn"]),
    shift=st.integers(0, 4),
    cut=st.integers(1, 40),
)
def test_a_level_answers_what_a_scan_answers(
    lab: Archive, points: list[tuple[int, float, int]], order: str, shift: int, cut: int
) -> None:
    points = [
        (step, value if abs(value) <= HUGE or math.isinf(value) else 1e300 / value, ms)
        for step, value, ms in points
    ]
    if order != "as drawn":
        points.sort(key=lambda point: point[0])
    if order == "by time too":
        times = sorted(ms for *_, ms in points)
        points = [(step, value, ms) for (step, value, _), ms in zip(points, times, strict=True)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        with lab.start_run() as run:
            for at, (step, value, ms) in enumerate(points):
                run.log({"y": value}, step, run.started_at + timedelta(milliseconds=ms))
                if at == cut:
                    run.flush()
        steps = [step for step, *_ in points]
        wide = max(1, (max(steps) - min(steps)) // 1000)
        width = min(1 << (wide.bit_length() + shift), 1 << 62)
        found = answers(lab, run, width, 1 << shift)
        with scanning(monkeypatch):
            expected = answers(lab, run, width, 1 << shift)
    for one, other in zip(found, expected, strict=True):
        compare(one, other)
    assert lab.verify().ok
