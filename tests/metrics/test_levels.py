"""Levels of ended runs answer what a scan of the points answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, Buckets, RecordedRun, Run
from exptrack.database import migrations
from exptrack.metrics import buckets as bucket_calls
from exptrack.metrics import curves, levels
from exptrack.metrics.level_cells import Cells
from tests.effort import tries
from tests.levels import RISING, change, let_short_series_have_levels, log, rows_of, scanning
from tests.metrics.points import VALUES, same
from tests.older_formats import making_format
from tests.strategies import INT64

NEAR = st.integers(-3, 40)
FAR = st.one_of(NEAR, st.integers(-(10**6), 10**6), INT64)
TIMES_MS = st.sampled_from([0, 1, 7, 999, 1000, 1001, 5000, 10**7])
HUGE = 2.0**900


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    let_short_series_have_levels(monkeypatch)


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


@settings(max_examples=tries(30), deadline=None)
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
    with lab.start_run() as run:
        for at, (step, value, ms) in enumerate(points):
            run.log({"y": value}, step, run.started_at + timedelta(milliseconds=ms))
            if at == cut:
                run.flush()
    steps = [step for step, *_ in points]
    wide = max(1, (max(steps) - min(steps)) // 1000)
    width = min(1 << (wide.bit_length() + shift), 1 << 62)
    found = answers(lab, run, width, 1 << shift)
    with scanning():
        expected = answers(lab, run, width, 1 << shift)
    for one, other in zip(found, expected, strict=True):
        compare(one, other)
    assert lab.verify().ok


START = datetime(2026, 1, 1, tzinfo=UTC)


class ScanError(Exception):
    """The points were read."""


def scan(*_: object) -> None:
    raise ScanError


def test_runs_that_end_and_runs_that_are_recorded_have_levels(archive: Archive) -> None:
    with archive.start_run() as run:
        log(run, RISING)
        assert rows_of(archive) == []
    assert rows_of(archive) == [("step", 8), ("time", 8)]
    times = [START + timedelta(milliseconds=step) for step, _ in RISING]
    recorded = RecordedRun({}, START, 1.0, metrics={"y": (*zip(*RISING, strict=True), times)})
    archive.record_runs([recorded])
    assert rows_of(archive) == [("step", 8), ("time", 8)] * 2


def test_the_level_answers_and_not_the_points(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.start_run() as run:
        log(run, RISING)
    whole = archive.curves(run, "y", width=8)[0].lists()
    for module, name in ((curves, "read_cells_of_steps"), (curves, "fill_cells"), (bucket_calls, "fill_cells")):
        monkeypatch.setattr(module, name, scan)
    assert archive.curves(run, "y", width=8)[0].lists() == whole
    assert archive.curves(run, "y", width=16)[0].lists()["count"] == [16, 16, 8]
    assert archive.curves(run, "y", by="time", width=0.016)[0].lists()["count"] == [16, 16, 8]
    assert run.series("y", buckets=5).lists()["max"] == [3.5, 7.5, 11.5, 15.5, 19.5]
    ways: list[dict[str, Any]] = [
        {"width": 4},
        {"width": 24},
        {"width": 8, "start": 1},
        {"width": 8, "stop": 39},
    ]
    for asked in ways:
        with pytest.raises(ScanError):
            archive.curves(run, "y", **asked)


def test_a_run_that_goes_on_loses_its_levels_until_it_ends_again(archive: Archive) -> None:
    with archive.start_run() as run:
        log(run, RISING)
    with archive.resume_run(run.run_id) as again:
        assert rows_of(archive) == []
        log(again, [(step, 1.0) for step in range(40, 90)])
        assert sum(archive.curves(again, "y", width=16)[0].lists()["count"]) == 90
    assert rows_of(archive) == [("step", 16), ("time", 16)]
    assert sum(archive.curves(again, "y", width=16)[0].lists()["count"]) == 90
    assert archive.verify().ok


@pytest.mark.parametrize(
    ("points", "axes"),
    [
        ([*RISING, (99, HUGE * 2)], []),
        ([(-step, 1.0) for step in range(40)], ["step"]),
        (RISING[:3], []),
        ([(step, math.nan) for step in range(40)], ["step", "time"]),
    ],
    ids=["huge", "times decrease by step", "short", "NaN"],
)
def test_not_every_series_has_levels(
    archive: Archive, points: list[tuple[int, float]], axes: list[str]
) -> None:
    with archive.start_run() as run:
        for at, (step, value) in enumerate(points):
            run.log({"y": value}, step, run.started_at + timedelta(milliseconds=at))
    assert [axis for axis, _ in rows_of(archive)] == axes
    assert sum(archive.curves(run, "y", width=64)[0].lists()["count"]) == len(points)
    assert archive.verify().ok


@pytest.mark.parametrize(
    "damage",
    [
        "data = zeroblob(length(data))",
        "data = x'00'",
        "width = 2 * width",
        "width = 3",
        "points = points + 1",
        "codec = 'raw'",
        "buckets = 1",
    ],
)
def test_a_damaged_level_answers_nothing_and_is_told(archive: Archive, damage: str) -> None:
    with archive.start_run() as run:
        log(run, RISING)
    expected = archive.curves(run, "y", width=8)[0].lists()
    change(archive, f"UPDATE metric_level SET {damage} WHERE axis = 'step'")
    assert archive.curves(run, "y", width=8)[0].lists() == expected
    (found,) = archive.verify().problems
    assert (found.part, found.message[:29]) == ("metric", "a level of it cannot be read:")
    change(archive, "DELETE FROM metric_level")


@pytest.mark.parametrize("column", Cells._fields)
def test_a_level_that_lies_is_told(archive: Archive, column: str) -> None:
    with archive.start_run() as run:
        log(run, [*RISING, (40, math.inf)])
    connection = archive._connection
    rows: list[tuple[int, int]] = connection.fold("SELECT id, checksum FROM metric_series", (), list)
    ((series, points),) = rows
    level = levels.read_level(connection, series, "step", 8)
    assert level is not None
    getattr(level.cells, column)[2] += 1
    lying, stale = levels.encode_level(level, points), levels.encode_level(level, points + 1)
    update = "UPDATE metric_level SET points = ?, data = ?, checksum = ? WHERE axis = 'step'"
    for row, said in ((lying, "does not say what its points say"), (stale, "was made of other points")):
        change(archive, update, row.points, row.data, row.checksum)
        assert [one.message for one in archive.verify().problems] == [f"its level by step {said}"]
    assert archive.curves(run, "y", width=8)[0].lists()["count"] == [8, 8, 8, 8, 8, 1]
    change(archive, "DELETE FROM metric_level")


@pytest.mark.parametrize("axis", ["step", "time"])
@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        ("cells", {0: -(2**62)}),
        ("cells", {-1: 2**62}),
        ("cells", {1: 2, 2: 1}),
        ("counts", {0: 2**63 - 1, 1: 2**63 - 1}),
        ("counts", {0: 0}),
        ("nan_counts", {0: -1}),
        ("nan_counts", {0: 2**63 - 1, 1: 2**63 - 1}),
        ("first_steps", {0: -(2**63)}),
        ("first_ms", {0: -(2**63)}),
        ("last_steps", {-1: 2**63 - 1}),
        ("last_ms", {-1: 2**63 - 1}),
    ],
)
def test_a_level_that_no_points_can_make_answers_nothing_and_is_told(
    archive: Archive, axis: str, column: str, numbers: dict[int, int]
) -> None:
    with archive.start_run() as run:
        log(run, RISING)
    connection = archive._connection
    rows: list[tuple[int, int]] = connection.fold("SELECT id, checksum FROM metric_series", (), list)
    ((series, points),) = rows
    level = levels.read_level(connection, series, axis, 8)
    assert level is not None
    for place, number in numbers.items():
        getattr(level.cells, column)[place] = number
    expected = [curve.lists() for curve in answers(archive, run, 8, 1)]
    row = levels.encode_level(level, points)
    update = "UPDATE metric_level SET data = ?, checksum = ?, codec = ? WHERE axis = ?"
    change(archive, update, row.data, row.checksum, row.codec, axis)
    found = [curve.lists() for curve in answers(archive, run, 8, 1)]
    # The other axis answers with these, which are only copied there.
    if not column.endswith("_ms" if axis == "step" else "_steps"):
        assert found == expected
    assert [one.message for one in archive.verify().problems] == [
        f"its level by {axis} does not say what its points say"
    ]
    change(archive, "DELETE FROM metric_level")


def test_what_an_end_stores_is_stored_whole_or_not_at_all(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = archive.start_run()
    log(run, RISING)
    with monkeypatch.context() as patch:
        patch.setattr(levels, "encode_level", None)
        with pytest.raises(TypeError):
            run.complete()
    assert rows_of(archive) == []
    assert archive.show_run(run.run_id).summary.status == "running"
    run.complete()
    assert rows_of(archive) == [("step", 8), ("time", 8)]
    assert archive.verify().ok


def test_a_deleted_run_takes_its_levels_along(archive: Archive) -> None:
    with archive.start_run() as run:
        log(run, RISING)
    assert archive.info().level_bytes > 0
    archive.delete_run(run.run_id)
    assert rows_of(archive) == []
    assert archive.info().level_bytes == 0


def test_an_older_file_that_is_only_read_answers_from_its_points(tmp_path: Path) -> None:
    with making_format(2), Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        log(run, [(0, 1.0)])
    assert migrations.latest_version() > 2
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert archive.info().level_bytes == 0
        assert archive.curves(run.run_id, "y")[0].lists()["count"] == [1]
        assert archive.verify().ok
    with Archive(tmp_path / "lab.db") as archive:
        assert rows_of(archive) == []
        with archive.resume_run(run.run_id) as again:
            log(again, RISING)
        assert len(rows_of(archive)) == 2
