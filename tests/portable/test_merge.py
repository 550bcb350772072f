"""Several processes may merge into one archive at once: nothing is lost or doubled, and no error is raised."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.portable import run_copier
from exptrack.portable.merge import _SourceMerge
from exptrack.portable.run_copier import RunCopier
from exptrack.portable.run_rows import RunRows
from tests.portable.hostile.journals import journal


@pytest.fixture
def parted(tmp_path: Path) -> list[Path]:
    """Three files with copies of four runs, which went on in two of them."""
    first, longer, other = (tmp_path / name for name in ("first.db", "longer.db", "other.db"))
    with Archive(first) as archive:
        for number in range(4):
            with archive.start_run({"n": number}, system_metrics=False) as run:
                run.log({"loss": number})
    for path in (longer, other):
        shutil.copyfile(first, path)
        with Archive(path) as archive:
            for number, known in enumerate(archive.list_runs()):
                with archive.resume_run(known.run_id, system_metrics=False) as run:
                    run.log({"loss": number}, step=1)
                    run.artifacts.register_data("words", f"{path.name} {number}")
                archive.get_run(known.run_id).add_tag(path.stem)
    return [first, longer, other]


def digest_of_all(folder: Path, paths: list[Path]) -> str:
    with Archive(folder / "expected.db") as archive:
        archive.merge(*paths)
        return archive.digest()


@pytest.mark.parametrize("order", ["012", "021", "102", "120", "201", "210"])
def test_a_file_that_comes_while_another_one_is_merged_counts_too(
    parted: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    expected = digest_of_all(tmp_path, parted)
    monkeypatch.setattr(run_copier, "RUNS_AT_ONCE", 1)
    first, second, third = (parted[int(place)] for place in order)
    with Archive(tmp_path / "all.db") as archive, Archive(tmp_path / "all.db") as another:
        merged: list[Path] = []

        def merge_more(_file: str, done: int, _total: int) -> None:
            for path in (second, third)[len(merged) : done]:
                merged.append(path)
                assert another.merge(path).ok

        assert archive.merge(first, progress=merge_more).ok
        assert merged == [second, third]
        assert archive.digest() == expected
        assert archive.verify().ok


def test_the_points_of_a_journal_come_once_though_two_merge_them(
    parted: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = parted[0], tmp_path / "all.db"
    with Archive(source) as archive:
        run = archive.start_run(system_metrics=False)
        run.log({"loss": 0.5})
        run.flush()
        stopped = tmp_path / "stopped.db"
        archive.backup(stopped)
        run.complete()
    take = _SourceMerge._take_waiting_points
    with Archive(target) as archive, Archive(target) as another:
        archive.merge(stopped)
        journal(stopped, loss=(run.run_id, 99, 1.0, 1.0))

        def merge_before(merge: _SourceMerge, run_ids: Collection[str]) -> None:
            monkeypatch.undo()
            assert [file.points for file in another.merge(stopped).files] == [1]
            take(merge, run_ids)

        monkeypatch.setattr(_SourceMerge, "_take_waiting_points", merge_before)
        assert [file.points for file in archive.merge(stopped).files] == [0]
        assert [point.step for point in archive.get_run(run.run_id).get_metric("loss")] == [0, 99]


def test_a_trial_merge_counts_the_points_of_journals(tmp_path: Path) -> None:
    """Of a run that is new, of one that is here as it is in the file, and of one that went on there."""
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    with Archive(tmp_path / "lab.db") as archive, archive.start_run(system_metrics=False) as run:
        run.log({"loss": 0.5})
        run.flush()
        archive.backup(first)
        run.log({"loss": 0.25})
        run.flush()
        archive.backup(second)
    journal(first, loss=(run.run_id, 98, 1.0, 1.0))
    journal(second, loss=(run.run_id, 99, 1.0, 1.0))
    plain = tmp_path / "plain.db"
    shutil.copyfile(first, plain)
    for name, before, source, points in (
        ("new.db", (), first, 2),
        ("same.db", (plain,), first, 1),
        ("older.db", (plain,), second, 2),
    ):
        with Archive(tmp_path / name) as archive:
            archive.merge(*before)
            dry = archive.merge(source, dry_run=True)
            merged = archive.merge(source)
            assert dry.files == merged.files
            assert [file.points for file in merged.files] == [points]


def test_contents_that_another_merge_removes_meanwhile_are_stored_again(
    parted: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were here, held for a merge that did not need them in the end."""
    with Archive(tmp_path / "all.db") as archive:
        find, calls = RunCopier.find_missing, []

        def find_none_at_first(copier: RunCopier, runs: list[RunRows]) -> set[str]:
            calls.append(runs)
            return set() if len(calls) == 1 else find(copier, runs)

        monkeypatch.setattr(RunCopier, "find_missing", find_none_at_first)
        (file,) = archive.merge(parted[1]).files
        assert (len(file.new), file.blobs, file.left_out) == (4, 4, ())
        assert archive.verify().ok
