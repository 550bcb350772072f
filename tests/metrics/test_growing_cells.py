"""Curves of a run that goes on: what is kept of an earlier look changes no answer, and only the end is read."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import Archive, Run
from exptrack.metrics import cells, growing_cells
from exptrack.metrics.axes import Range
from tests.effort import tries
from tests.metrics.points import STEPS, VALUES, same

CHUNKS = st.lists(st.lists(st.tuples(STEPS, VALUES), min_size=1, max_size=12), min_size=2, max_size=5)


@pytest.fixture(autouse=True)
def _of_short_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let series of any length be kept, whatever part of them is new."""
    monkeypatch.setattr(growing_cells, "LEVEL_POINTS", 1)
    monkeypatch.setattr(growing_cells, "END_PART", 1)


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[Range]:
    """The steps between which series are scanned."""
    found: list[Range] = []

    def scan(connection: Any, held: Any, bounds: Range, grid: Any) -> Any:
        found.append(bounds)
        return cells.scan_cells_of_steps(connection, held, bounds, grid)

    monkeypatch.setattr(growing_cells, "scan_cells_of_steps", scan)
    return found


def look(archive: Archive, run: Run, width: int = 8) -> dict[str, list[Any]]:
    return archive.curves(run, "y", width=width)[0].lists()


def look_afresh(archive: Archive, run: Run, width: int = 8) -> dict[str, list[Any]]:
    with Archive(archive.path, mode="ro") as other:
        return look(other, run, width)


def assert_same(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    assert list(found) == list(expected)
    for name, column in found.items():
        if name == "sum":
            assert column == pytest.approx(expected[name], nan_ok=True)
        else:
            assert same(column, expected[name]), name


@settings(max_examples=tries(40), deadline=None)
@given(chunks=CHUNKS, is_ordered=st.booleans(), width=st.sampled_from([1, 4, 8, 2**40]))
def test_each_look_answers_what_a_first_look_answers(
    lab: Archive, chunks: list[list[tuple[int, float]]], is_ordered: bool, width: int
) -> None:
    if is_ordered:
        steps = sorted(step for chunk in chunks for step, _ in chunk)
        chunks = [[(steps.pop(0), value) for _, value in chunk] for chunk in chunks]
    top = max(abs(step) for chunk in chunks for step, _ in chunk)
    width = max(width, top // 1000)
    with lab.start_run() as run:
        for chunk in chunks:
            for step, value in chunk:
                run.log({"y": value}, step)
            assert_same(look(lab, run, width), look_afresh(lab, run, width))


def test_only_the_end_is_scanned_again(archive: Archive, scanned: list[Range]) -> None:
    with archive.start_run() as run:
        run.log_many("y", range(20), [0.5] * 20)
        look(archive, run)
        run.log_many("y", range(20, 30), [0.25] * 10)
        assert look(archive, run)["count"] == [8, 8, 8, 6]
        assert look(archive, run)["count"] == [8, 8, 8, 6]
        assert scanned == [(0, 19), (16, 29), (24, 29)]
        run.log({"y": 7.0}, step=3)  # it repeats a step that was kept
        assert look(archive, run)["max"] == [7.0, 0.5, 0.5, 0.25]
        assert scanned[-1] == (0, 29)
        run.log({"y": 1.0}, step=-1)
        assert look(archive, run)["count"] == [1, 9, 8, 8, 6]
        assert scanned[-1] == (-1, 29)


def test_a_part_of_a_series_is_scanned(archive: Archive, scanned: list[Range]) -> None:
    with archive.start_run() as run:
        run.log_many("y", range(20), [0.5] * 20)
        for _ in range(2):
            assert archive.curves(run, "y", width=8, stop=15)[0].lists()["count"] == [8, 7]
        assert look(archive, run)["count"] == [8, 8, 4]
        assert archive.curves(run, "y", width=8, stop=15)[0].lists()["count"] == [8, 7]
        assert archive.curves(run, "y", width=8, start=1)[0].lists()["count"] == [7, 8, 4]
        assert archive.curves(run, "y", width=8, stop=18)[0].lists()["count"] == [8, 8, 2]
        assert look(archive, run)["count"] == [8, 8, 4]
    assert scanned == [(0, 14), (0, 14), (0, 19), (0, 14), (1, 19), (16, 17), (16, 19)]


def test_what_another_process_adds_counts(archive: Archive, scanned: list[Range]) -> None:
    with archive.start_run() as run:
        run.log_many("y", range(20), [0.5] * 20)
        with Archive(archive.path, mode="ro") as reader:
            look(reader, run)
            run.log_many("y", range(20, 30), [0.25] * 10)
            run.flush()
            assert look(reader, run)["count"] == [8, 8, 8, 6]
    assert scanned == [(0, 19), (16, 29)]


def test_a_rewound_run_that_logs_as_many_points_again_shows_the_new_ones(archive: Archive) -> None:
    with archive.start_run() as run:
        run.log_many("y", range(20), [0.5] * 20)
        look(archive, run)
    with archive.resume_run(run.run_id, from_step=3) as again:
        again.log_many("y", range(4, 20), [0.25] * 16)
        assert look(archive, again)["min"] == [0.25, 0.25, 0.25]
        assert_same(look(archive, again), look_afresh(archive, again))


def test_a_series_whose_end_is_long_is_scanned(
    archive: Archive, scanned: list[Range], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_cells, "END_PART", 4)
    with archive.start_run() as run:
        run.log_many("y", range(30), [0.5] * 30)
        look(archive, run)
        run.log_many("y", range(30, 50), [0.25] * 20)
        assert look(archive, run)["count"] == [8] * 6 + [2]
    assert scanned == [(0, 29), (0, 49)]


def test_what_is_kept_has_a_bound(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_cells, "MOST_SERIES", 3)
    monkeypatch.setattr(growing_cells, "MOST_CELLS", 20)
    values = random.Random(0)
    with archive.start_run() as run:
        for number in range(6):
            run.log_many(f"y{number}", range(64), [values.random() for _ in range(64)])
        for number in range(6):
            archive.curves(run, f"y{number}", width=8)
            archive.curves(run, f"y{number}", width=1)  # too many cells
        kept = growing_cells._kept[archive._connection]
        assert [len(full.columns["start"]) for full in kept.values()] == [7, 7, 7]
