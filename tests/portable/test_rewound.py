"""A run that was rewound is still the same run to a file that has it from before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exptrack import Archive


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, str]:
    """A file with a run that was rewound and went on, a copy from before that, and the id of the run."""
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    with Archive(new) as archive:
        with archive.start_run({"lr": 0.1}) as run:
            for step in range(10):
                run.log({"loss": 10.0 - step, "acc": 0.1}, step)
            run.log({"late": 1.0}, 9)
        archive.backup(old)
        with archive.resume_run(run.run_id, from_step=4) as again:
            for step in range(5, 8):
                again.log({"loss": 0.5}, step)
    return new, old, run.run_id


def test_the_older_copy_is_known_in_either_direction(files: tuple[Path, Path, str], tmp_path: Path) -> None:
    new, old, run_id = files
    shutil.copy(old, tmp_path / "other.db")
    with Archive(new) as archive:
        before = archive.digest()
        report = archive.merge(old)
        assert archive.digest() == before
        assert (report.files[0].new, report.files[0].updated, report.files[0].forked) == ((), (), ())
    with Archive(tmp_path / "other.db") as archive:
        report = archive.merge(new)
        assert report.files[0].updated == (run_id,)
        assert archive.digest() == before
        assert [one.name for one in archive.list_rewound(run_id)] == [
            f"exptrack:rewound/1/{name}" for name in ("acc", "late", "loss")
        ]
        assert archive.verify().problems == ()


def test_twice_rewound_it_is_known_too(files: tuple[Path, Path, str]) -> None:
    new, old, run_id = files
    with Archive(new) as archive:
        with archive.resume_run(run_id, from_step=0):
            pass
        before = archive.digest()
        archive.merge(old)
        assert (archive.digest(), len(archive.list_runs())) == (before, 1)


def test_a_copy_that_went_on_by_itself_becomes_a_fork(files: tuple[Path, Path, str], tmp_path: Path) -> None:
    new, old, run_id = files
    with Archive(old) as archive, archive.resume_run(run_id) as run:
        run.log({"loss": 7.0}, 10)
    digests = set()
    for name, first, second in (("a.db", new, old), ("b.db", old, new)):
        shutil.copy(first, tmp_path / name)
        with Archive(tmp_path / name) as archive:
            report = archive.merge(second)
            assert len(report.files[0].forked) == 1
            assert len(archive.list_runs()) == 2
            digests.add(archive.digest())
            assert archive.verify().problems == ()
    assert len(digests) == 1, "the order of merging does not matter"


def test_a_point_that_the_rewound_copy_never_had_makes_a_fork(
    files: tuple[Path, Path, str], tmp_path: Path
) -> None:
    new, old, run_id = files
    with Archive(old) as archive:
        archive.get_run(run_id).log_rows([("loss", 3.0, 50)])
    with Archive(new) as archive:
        assert len(archive.merge(old).files[0].forked) == 1


def test_extract_pack_and_salvage_keep_what_is_hidden(files: tuple[Path, Path, str], tmp_path: Path) -> None:
    import exptrack

    new, _old, run_id = files
    with Archive(new) as archive:
        hidden = archive.list_rewound(run_id)
        archive.extract(tmp_path / "part.db", [run_id])
        archive.pack(tmp_path / "packed.db")
    exptrack.salvage(new, tmp_path / "saved.db")
    for name in ("part.db", "packed.db", "saved.db"):
        with Archive(tmp_path / name, mode="ro") as archive:
            assert archive.list_rewound(run_id) == hidden
            assert archive.verify().problems == ()
