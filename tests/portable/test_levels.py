"""Stored levels in copies of an archive: they come along if they say what the points say, or are made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import exptrack
from exptrack import Archive, Run
from exptrack.metrics import levels
from tests.levels import RISING, change, let_short_series_have_levels, log, rows_of, scanning
from tests.older_formats import making_format

BOTH = [("step", 8), ("time", 8)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    let_short_series_have_levels(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "lab.db") as archive:
        for _ in range(2):
            with archive.start_run() as run:
                log(run, RISING)
        yield archive


def check(path: Path) -> None:
    """Each run has its levels, which say what its points say."""
    with Archive(path, mode="ro") as archive:
        assert rows_of(archive) == BOTH * len(archive.list_runs())
        assert archive.verify().problems == ()
        answers = [[curve.lists() for curve in archive.curves(archive.runs(), "y", width=8)]]
        with scanning():
            answers.append([curve.lists() for curve in archive.curves(archive.runs(), "y", width=8)])
        assert answers[0] == answers[1]


def test_copies_have_the_levels(source: Archive, tmp_path: Path) -> None:
    source.backup(tmp_path / "backup.db")
    source.extract(tmp_path / "extracted.db", [run.run_id for run in source.list_runs()])
    source.pack(tmp_path / "packed.db")
    with Archive(tmp_path / "merged.db") as archive:
        archive.merge(tmp_path / "lab.db")
    exptrack.unpack(tmp_path / "packed.db", tmp_path / "unpacked.db")
    for name in ("backup", "extracted", "packed", "merged", "unpacked"):
        check(tmp_path / f"{name}.db")


def test_merging_takes_no_level_that_does_not_say_what_the_points_say(source: Archive, tmp_path: Path) -> None:
    first, second = (row[0] for row in source._connection.all("SELECT id FROM metric_series"))
    level = levels.read_level(source._connection, first, "step", 8)
    assert level is not None
    level.cells.greatest[0] += 1
    row = levels.encode_level(level, source._connection.value("SELECT checksum FROM metric_series"))
    update = "UPDATE metric_level SET data = ?, checksum = ? WHERE axis = 'step' AND series = ?"
    change(source, update, row.data, row.checksum, first)
    change(source, "UPDATE metric_level SET codec = 'raw' WHERE axis = 'time' AND series = ?", second)
    with Archive(tmp_path / "merged.db") as archive:
        assert archive.merge(tmp_path / "lab.db").ok
        assert rows_of(archive) == []
        assert archive.verify().ok
        assert len(archive.list_runs()) == 2


def test_a_run_of_which_two_copies_are_joined_has_levels_of_all_points(source: Archive, tmp_path: Path) -> None:
    run_id = source.list_runs()[0].run_id
    source.backup(tmp_path / "copy.db")
    with Archive(tmp_path / "copy.db") as copy, copy.resume_run(run_id) as run:
        log(run, [(step, 1.0) for step in range(40, 60)])
    with source:
        assert source.merge(tmp_path / "copy.db").ok
        (curve,) = source.curves(run_id, "y", width=8)
        assert sum(curve.lists()["count"]) == 60
    check(tmp_path / "lab.db")


def test_salvage_makes_levels_anew(source: Archive, tmp_path: Path) -> None:
    change(source, "UPDATE metric_level SET data = x'00' WHERE axis = 'step'")
    change(source, "DELETE FROM metric_level WHERE axis = 'time'")
    assert source.digest() == digest_without_levels(source, tmp_path)
    source.close()
    report = exptrack.salvage(tmp_path / "lab.db", tmp_path / "salvaged.db")
    assert report.ok
    check(tmp_path / "salvaged.db")


def digest_without_levels(source: Archive, folder: Path) -> str:
    source.backup(folder / "without.db")
    with Archive(folder / "without.db") as archive:
        change(archive, "DELETE FROM metric_level")
        return archive.digest()


def test_a_file_of_an_older_format_is_merged_and_extracted_without_levels(tmp_path: Path) -> None:
    def record() -> Run:
        with making_format(2), Archive(tmp_path / "old.db") as archive, archive.start_run() as run:
            log(run, RISING[:3])
        return run

    run_id = record().run_id
    with Archive(tmp_path / "old.db", mode="ro") as old:
        old.extract(tmp_path / "extracted.db", [run_id])
    with Archive(tmp_path / "merged.db") as archive:
        assert archive.merge(tmp_path / "old.db").ok
    for name in ("extracted", "merged"):
        with Archive(tmp_path / f"{name}.db", mode="ro") as archive:
            assert archive.verify().ok
            assert len(archive.get_run(run_id).get_metric("y")) == 3
