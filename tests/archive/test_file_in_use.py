"""What a script or another program does to the files of an open archive loses nothing that was acknowledged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveMovedError
from exptrack.database.hold import HAS_OPEN_FILE_LOCKS

pytestmark = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

VISIT = """
import sqlite3, sys
visitor = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in visitor.execute("SELECT tag FROM tags ORDER BY tag")))
visitor.close()
"""


def tags_seen_elsewhere(path: Path) -> str:
    """Read the tags in another process, which folds the WAL as it leaves, if no lock keeps it from that."""
    done = subprocess.run([sys.executable, "-c", VISIT, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def copy(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy.db"))


def copy_all(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        shutil.copyfile(f"{path}{end}", path.with_name(f"copy.db{end}"))


def read(path: Path) -> None:
    path.read_bytes()


def delete_wal(path: Path) -> None:
    os.unlink(f"{path}-wal")


def empty_wal(path: Path) -> None:
    os.unlink(f"{path}-wal")
    Path(f"{path}-wal").touch()


@pytest.mark.parametrize("change", [copy, copy_all, read, delete_wal, empty_wal])
def test_every_acknowledged_change_is_there(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run()
    expected = []
    for number in range(3):
        change(path)
        run.add_tag(f"t{number}")
        expected.append(f"t{number}")
        assert tags_seen_elsewhere(path) == " ".join(expected)
    run.complete()
    archive.close()
    assert tags_seen_elsewhere(path) == " ".join(expected)
    with Archive(path) as again:
        assert again.verify().problems == ()


def test_an_emptied_file_is_told_before_anything_more_is_acknowledged(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lab.db")
    run = archive.start_run()
    os.truncate(tmp_path / "lab.db", 0)
    with pytest.raises(ArchiveMovedError, match="emptied"):
        archive._connection.section(run.beat)


def test_the_file_alone_holds_everything_once_the_last_run_has_ended(tmp_path: Path) -> None:
    code = """
import os, exptrack
for number in range(3):
    with exptrack.start_run(name=f"run {number}") as run:
        run.log({"loss": 1.0})
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    shutil.copyfile(tmp_path / "exptrack.db", tmp_path / "copy.db")
    with Archive(tmp_path / "copy.db") as copied:
        assert len(copied.list_runs()) == 3
        assert copied.verify().problems == ()


def test_a_reader_that_leaves_last_folds_the_log_of_others(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    Archive(path).close()
    reader = Archive(path, mode="ro")
    reader.list_runs()
    code = "import exptrack, sys\nwith exptrack.Archive(sys.argv[1]) as a: a.start_run().complete()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    reader.close()
    assert sorted(os.listdir(tmp_path)) == ["lab.db"]
