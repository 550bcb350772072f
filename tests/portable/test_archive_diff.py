"""Two archives are compared by what they say: it is what a merge would have to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArchiveNotFoundError,
    ArtifactRef,
    DifferingRun,
    InvalidTypeError,
    NotAnArchiveError,
    Sampler,
    diff_archives,
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with two ended runs, one of them in a group, and a study."""
    path = tmp_path_factory.mktemp("diff") / "first.db"
    with Archive(path) as archive:
        for lr in (0.1, 0.2):
            with archive.start_run({"lr": lr}, group="g" if lr < 0.2 else None) as run:
                run.log({"loss": lr}, 0)
                run.artifacts.register_data("weights", f"{lr}")
        study = archive.create_study("widths", sampler=Sampler.random(seed=1))
        study.ask()
    return path


@pytest.fixture
def second(first: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(first, tmp_path / "second.db"))


CHANGES: dict[str, tuple[Callable[[Archive, str], object], tuple[str, ...]]] = {
    "tag": (lambda archive, run: archive.get_run(run).add_tag("a"), ("tags", "events")),
    "note": (lambda archive, run: archive.get_run(run).add_note("a"), ("notes", "events")),
    "attribute": (lambda archive, run: archive.get_run(run).set_attribute("a", 1), ("attributes",)),
    "artifact": (
        lambda archive, run: archive.get_run(run).artifacts.register_data("new", "x"),
        ("events", "artifacts"),
    ),
    "alias": (
        lambda archive, run: archive.get_run(run).artifacts.set_alias("weights", "best"),
        ("events", "aliases"),
    ),
    "input": (
        lambda archive, run: archive.get_run(run).use_artifact(f"{archive.list_runs()[-1].run_id}/weights"),
        ("events", "inputs"),
    ),
    "name": (lambda archive, run: archive.get_run(run).rename("a"), ("facts, config or metrics", "events")),
    "points": (
        lambda archive, run: archive.get_run(run).log_rows([("loss", 1.0)], source="w", sequence=1),
        ("facts, config or metrics", "events", "batches of rows"),
    ),
    "config": (
        lambda archive, run: archive.get_run(run).update_config({"more": 1}),
        ("facts, config or metrics", "events"),
    ),
    "resumed": (
        lambda archive, run: archive.resume_run(run, owner="lease", lease_s=1e6),
        ("facts, config or metrics", "the process that writes it", "events"),
    ),
}


def test_equal_files_say_the_same_and_stay_as_they_are(first: Path, second: Path) -> None:
    with closing(sqlite3.connect(second)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    before = second.read_bytes()
    found = diff_archives(first, second)
    assert found.same
    assert (found.a, found.b, found.digest_a) == (str(first), str(second), found.digest_b)
    assert not any(found[4:])
    assert second.read_bytes() == before
    assert os.listdir(second.parent) == ["second.db"]


def test_each_change_of_a_run_is_named(first: Path, second: Path) -> None:
    for name, (change, differs) in CHANGES.items():
        shutil.copy(first, second)
        with Archive(second) as archive:
            run_id = archive.list_runs()[0].run_id
            change(archive, run_id)
            points = archive.info(count_rows=True).rows["metric_point"]
        found = diff_archives(first, second)
        (run,) = found.runs_differ
        assert (run.run_id, {*run.differs}) == (run_id, {*differs}), name
        assert (run.points_a, run.points_b) == (1, points - 1), name
        assert (found.runs_only_a, found.runs_only_b) == ((), ())
        assert [one.name for one in found.artifacts_only_b] == ["new"] * (name == "artifact")


def test_what_only_one_of_them_has_is_listed_on_its_side(first: Path, second: Path) -> None:
    with Archive(second) as archive:
        new = archive.start_run()
        new.artifacts.register_data("more", "x")
        new.complete()
        gone, kept = (run.run_id for run in archive.list_runs()[1:])
        archive.delete_run(gone)
        archive.get_run(kept).artifacts.remove("weights")
        archive.create_study("depths")
        archive.study("widths").ask()
        archive.create_group("h")
        archive.set_group_attribute("g", "owner", "ada")
    there = diff_archives(first, second)
    assert (there.runs_only_a, there.runs_only_b) == ((gone,), (new.run_id,))
    assert there.runs_differ == (DifferingRun(kept, ("events", "artifacts"), 1, 1),)
    assert [(one.run_id, one.name) for one in there.artifacts_only_a] == sorted(
        [(gone, "weights"), (kept, "weights")]
    )
    (more,) = there.artifacts_only_b
    assert isinstance(more, ArtifactRef)
    assert more[:3] == (new.run_id, "more", 1)
    assert more.hash.startswith("sha256:")
    assert (there.studies_only_a, there.studies_only_b, there.studies_differ) == ((), ("depths",), ("widths",))
    assert there.groups_differ == ("g", "h")
    back = diff_archives(second, first)
    assert (back.runs_only_a, back.runs_only_b) == (there.runs_only_b, there.runs_only_a)
    assert (back.artifacts_only_a, back.studies_only_a) == (there.artifacts_only_b, there.studies_only_b)


def test_after_merging_both_ways_nothing_differs(first: Path, second: Path) -> None:
    other = Path(shutil.copy(first, second.with_name("other.db")))
    for path, tag in ((second, "a"), (other, "b")):
        with Archive(path) as archive:
            archive.start_run({"tag": tag}).complete()
            archive.get_run(archive.list_runs()[-1].run_id).add_tag(tag)
    assert not diff_archives(second, other).same
    for one, more in ((second, other), (other, second)):
        with Archive(one) as archive:
            archive.merge(more)
    assert diff_archives(second, other).same


def test_what_is_no_archive_is_refused(first: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("a text")
    broken = bytearray(first.read_bytes())
    broken[4096:] = bytes(len(broken) - 4096)
    (tmp_path / "broken.db").write_bytes(broken)
    for error, path in (
        (ArchiveNotFoundError, tmp_path / "missing.db"),
        (NotAnArchiveError, tmp_path / "text.db"),
        (ArchiveCorruptError, tmp_path / "broken.db"),
        (InvalidTypeError, 3),
    ):
        for pair in ((first, path), (path, first)):
            with pytest.raises(error):
                diff_archives(*pair)  # type: ignore[arg-type]
    assert sorted(os.listdir(tmp_path)) == ["broken.db", "text.db"]
