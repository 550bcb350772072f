"""A folder is merged as the archives in it; a spool is cleared of what the target holds, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exptrack import Archive, MergeReport, NotAnArchiveError, local_archive
from exptrack.cli.main import main
from exptrack.database import spooled_file
from exptrack.process import current_process
from tests.warm_python import run_code

KILLED = """
import os, signal, sys, exptrack
run = exptrack.local_archive(sys.argv[1]).start_run(name="killed", group="job")
for step in range(100):
    run.log({"loss": 1 / (1 + step)})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    spooled_file._own.pop(folder, None)


def record(spool: Path, name: str) -> Path:
    """Record a run in another file of the spool, as another process would."""
    spooled_file._own.pop(spool, None)
    with local_archive(spool) as archive:
        with archive.start_run(name=name, group="job") as run:
            run.log({"loss": 0.5})
        return Path(archive.path)


def kill(spool: Path) -> None:
    run_code(KILLED, spool)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def names(archive: Archive) -> list[str]:
    return sorted(f"{run.name} {run.status}" for run in archive.list_runs())


def left_out(report: MergeReport) -> list[tuple[str, str]]:
    return [(Path(file.path).name, one.what) for file in report.files for one in file.left_out]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a process is killed")
def test_a_folder_is_merged_whatever_its_processes_do(spool: Path, tmp_path: Path) -> None:
    ended = record(spool, "ended")
    (spool / "notes.txt").write_text("no archive")
    (spool / "damaged.db").write_bytes(b"no archive")
    kill(spool)
    spooled_file._own.pop(spool, None)
    with Archive(tmp_path / "lab.db") as lab, local_archive(spool) as mine:
        with mine.start_run(name="open", group="job") as run:
            run.log({"loss": 0.5})
            run.flush()
            before = content(spool)
            report = lab.merge(spool)
            assert content(spool) == before
            assert names(lab) == ["ended completed", "killed interrupted", "open running"]
            assert left_out(report) == [("damaged.db", "archive")]
            assert not report.ok
            killed = next(found for found in lab.list_runs() if found.name == "killed")
            assert len(lab.get_run(killed.run_id).series("loss")) == 100

            cleared = lab.merge(spool, remove=True)
            assert len(cleared.removed) == 2
            assert str(ended) in cleared.removed
            assert sorted(path.name for path in spool.glob("*.db")) == sorted(
                ["damaged.db", Path(mine.path).name]
            )
        last = lab.merge(spool, remove=True)
        assert last.removed == (mine.path,)
        assert names(lab) == ["ended completed", "killed interrupted", "open completed"]
        assert lab.verify().ok
        digest = lab.digest()
        assert lab.merge(spool).files[0].left_out
        assert lab.digest() == digest
    assert sorted(content(spool)) == ["damaged.db", "notes.txt"]


def test_a_dry_run_and_a_merge_without_removal_remove_nothing(spool: Path, tmp_path: Path) -> None:
    path = record(spool, "ended")
    before = content(spool)
    with Archive(tmp_path / "lab.db") as lab:
        assert [len(file.new) for file in lab.merge(spool, dry_run=True, remove=True).files] == [1]
        assert names(lab) == []
        assert lab.merge(str(spool)).removed == ()
        assert content(spool) == before
        assert lab.merge(spool, remove=True).removed == (str(path),)
    assert content(spool) == {}


def test_a_file_that_is_named_and_cannot_be_read_is_an_error(spool: Path, tmp_path: Path) -> None:
    (spool / "damaged.db").write_bytes(b"no archive")
    with Archive(tmp_path / "lab.db") as lab, pytest.raises(NotAnArchiveError):
        lab.merge(spool / "damaged.db")


def test_an_archive_in_the_folder_that_it_takes_is_passed_over(spool: Path) -> None:
    record(spool, "one")
    record(spool, "two")
    with Archive(spool / "lab.db") as lab:
        assert len(lab.merge(spool, spool, remove=True).removed) == 2
        assert names(lab) == ["one completed", "two completed"]
    assert list(content(spool)) == ["lab.db"]


def test_the_command_says_what_it_cannot_see(spool: Path, tmp_path: Path) -> None:
    path = record(spool, "copied")
    note = spool / f"{path.name}.open"
    spooled = spooled_file.SpooledFile(spool, path.name, tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    spooled.mark_open()
    note.write_text(note.read_text().replace(current_process().host_id, "f" * 16))
    done = CliRunner().invoke(
        main, ["merge", str(tmp_path / "lab.db"), str(spool), "--remove"], terminal_width=200
    )
    assert done.exit_code == 17
    said = " ".join(done.output.split())
    assert "1 new run" in said
    assert "the points since the last copy" in said
    assert "removed" not in said
    assert path.exists()
    os.unlink(note)
    done = CliRunner().invoke(main, ["merge", str(tmp_path / "lab.db"), str(spool), "--remove"])
    assert (done.exit_code, "removed 1 merged file from the spool" in done.output) == (0, True)
    assert content(spool) == {}
