"""What becomes of the copies of one run when the files that hold them are merged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exptrack import Archive, MergedFile, StudyConfig


def copy(path: Path, name: str) -> Path:
    return Path(shutil.copyfile(path, path.with_name(name)))


def merge(out: Path, *paths: Path) -> list[MergedFile]:
    """Merge files, and once more, which must change nothing."""
    with Archive(out) as archive:
        report = archive.merge(*paths)
        assert report.ok
        assert archive.verify().problems == ()
        before = archive.data_version()
        again = archive.merge(*paths)
        assert not any(one.new or one.updated or one.forked or one.studies for one in again.files)
        assert archive.data_version() == before
    return list(report.files)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A file with a run that has ended."""
    path = tmp_path / "first.db"
    with Archive(path) as archive, archive.start_run(name="one", tags=["begun"]) as run:
        run.log({"loss": 0.5}, 0)
    return path


@pytest.mark.parametrize("turned", [False, True])
def test_what_was_said_in_two_files_comes_together_in_the_order_of_time(first: Path, turned: bool) -> None:
    other = copy(first, "other.db")
    for path, note, tag in ((other, "earlier", "mine"), (first, "later", "yours")):
        with Archive(path) as archive:
            (run,) = (archive.get_run(one) for one in archive.list_runs())
            run.add_note(note)
            run.add_tag(tag)
            run.remove_tag("begun")
            run.rename(note)
            run.set_attributes({"score": note})
    merge(first.with_name("all.db"), *sorted([first, other], reverse=turned))
    with Archive(first.with_name("all.db")) as archive:
        (run,) = (archive.get_run(one) for one in archive.list_runs())
        assert [note.text for note in run.notes] == ["earlier", "later"]
        assert [event.kind for event in run.read_events()][:2] == ["start", "end"]
        (summary,) = archive.list_runs()
        assert (summary.name, summary.tags, run.attributes) == ("later", ("mine", "yours"), {"score": "later"})


def test_the_lowest_id_keeps_an_external_id(tmp_path: Path) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    ids = []
    for path in paths:
        with Archive(path) as archive, archive.start_run(external_id="wandb:x") as run:
            ids.append(run.run_id)
    for out, order in (("ab.db", paths), ("ba.db", paths[::-1])):
        merge(tmp_path / out, *order)
        with Archive(tmp_path / out) as archive:
            assert archive.find_run(external_id="wandb:x").run_id == min(ids)
            assert len(archive.list_runs()) == 2


def test_a_run_that_was_resumed_elsewhere_leaves_the_trash(first: Path) -> None:
    other = copy(first, "other.db")
    with Archive(first) as archive:
        (run_id,) = archive.trash_run(archive.list_runs()[0])
    with Archive(other) as archive, archive.resume_run(run_id) as run:
        run.log({"loss": 0.25}, 1)
    for out, order in (("1.db", (first, other)), ("2.db", (other, first))):
        merge(first.with_name(out), *order)
        with Archive(first.with_name(out)) as archive:
            assert [one.run_id for one in archive.list_runs()] == [run_id]
            assert archive.sql("SELECT count(*) FROM points").rows == ((2,),)


def test_both_results_of_a_trial_that_two_files_told_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    with Archive(paths[0]) as archive:
        archive.create_study(StudyConfig(name="widths", direction="minimize")).enqueue({"x": 1.0})
    shutil.copyfile(*paths)
    for number, path in enumerate(paths):
        with Archive(path) as archive:
            study = archive.study("widths")
            study.optimize(lambda trial, told=number: trial.suggest_float("x", 0, 2) + told, n_trials=1)
    digests = set()
    for out, order in (("ab.db", paths), ("ba.db", paths[::-1])):
        merge(tmp_path / out, *order)
        with Archive(tmp_path / out) as archive:
            digests.add(archive.digest())
            assert sorted(one.values[0] for one in archive.trials("widths")) == [1.0, 2.0]
            assert [one.number for one in archive.trials("widths")] == [0, 1]
    assert len(digests) == 1
