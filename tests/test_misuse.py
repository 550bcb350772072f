"""What a user must not do to the files of an archive, and what happens then; docs/durability.md tells both."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveError
from tests.metrics.points import journals, killed, values_of

LEAVES = """
archive.close()
archive = exptrack.Archive("{path}")
run = archive.start_run(name="second")
run.add_tag("t")
run.log_metric("x", 1.0)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows lets no program delete an open file")


def leave(folder: Path) -> Path:
    """Leave a file that holds one run, and a WAL with another, of which a point waits in the journal."""
    path = folder / "lab.db"
    killed(folder, LEAVES.format(path=path))
    assert len(journals(folder)) == 1
    return path


def run_names(path: Path) -> list[str | None]:
    with Archive(path) as archive:
        assert archive.verify().problems == ()
        return [run.name for run in archive.list_runs()]


def test_a_plain_copy_of_a_live_archive_lacks_what_is_in_the_wal(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run(name="live")
    run.log({"x": 1.0})
    subprocess.run(["cp", archive.path, tmp_path / "copy.db"], check=True)
    archive.backup(tmp_path / "snapshot.db")
    run.complete()
    assert run_names(tmp_path / "copy.db") == []
    assert run_names(tmp_path / "snapshot.db") == ["live"]
    assert run_names(Path(archive.path)) == ["live"]


@pytest.mark.parametrize("how", ["deleted", "cut"])
def test_the_wal_of_a_killed_process_is_a_part_of_the_archive(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = leave(tmp_path)
    if how == "deleted":
        os.unlink(f"{path}-wal")
    else:
        os.truncate(f"{path}-wal", os.stat(f"{path}-wal").st_size // 2)
    assert "second" not in run_names(path), "and verify cannot know of what is gone"
    (aside,) = [name for name in journals(tmp_path) if name.suffix == ".unclaimed"]
    assert str(aside) in caplog.text


def test_the_shm_of_a_killed_process_is_made_again(tmp_path: Path) -> None:
    path = leave(tmp_path)
    os.unlink(f"{path}-shm")
    assert "second" in run_names(path)
    assert journals(tmp_path) == []


def test_points_that_are_not_stored_yet_are_gone_with_the_journal_of_a_killed_process(tmp_path: Path) -> None:
    path = leave(tmp_path)
    for journal in journals(tmp_path):
        journal.unlink()
    with Archive(path) as archive:
        run = archive.get_run(archive.list_runs()[0].run_id)
        assert (run.tags, run.status) == (("t",), "interrupted")
        assert run.get_metric("x") == []


def test_a_copy_lacks_the_points_of_a_journal_until_it_is_brought_too(tmp_path: Path) -> None:
    path, away = leave(tmp_path), tmp_path / "away"
    away.mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"{path}{end}", away / f"lab.db{end}")
    assert "second" in run_names(away / "lab.db")
    for place in (away, tmp_path):
        for journal in journals(tmp_path) if place is away else []:
            shutil.copy(journal, away)
        with Archive(place / "lab.db") as archive:
            (run_id,) = [run.run_id for run in archive.list_runs() if run.name == "second"]
            assert values_of(archive.get_run(run_id), "x") == [(0, 1.0)]
        assert journals(place) == []


def test_a_row_that_is_edited_by_sql_is_told_by_verify(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.add_note("as it was")
    editor = sqlite3.connect(tmp_path / "lab.db")
    editor.execute("UPDATE note SET text = 'as it should have been'")
    editor.commit()
    editor.close()
    with Archive(tmp_path / "lab.db") as archive:
        assert any(run.run_id in str(problem) for problem in archive.verify().problems)


def test_the_wal_of_a_killed_process_damages_another_file_in_its_place(tmp_path: Path) -> None:
    path = leave(tmp_path)
    with Archive(tmp_path / "another.db") as archive, archive.start_run(name="another") as run:
        run.log({f"name {number}": 1.0 for number in range(500)})
    os.replace(tmp_path / "another.db", path)
    try:
        with Archive(path) as archive:
            sound = archive.verify().ok and [run.name for run in archive.list_runs()] == ["another"]
    except ArchiveError:
        sound = False
    assert not sound


def test_a_backup_that_is_written_into_the_open_file_is_told_by_verify(tmp_path: Path) -> None:
    path, old = tmp_path / "lab.db", tmp_path / "old.db"
    with Archive(path) as archive:
        archive.backup(old)
        with archive.start_run({f"key{number}": "x" * 500 for number in range(2000)}):
            pass
        subprocess.run(["cp", old, path], check=True)
        with archive.start_run():
            pass
    with Archive(path) as archive:
        assert archive.verify().problems != ()


CUTS_THE_SHARED_MEMORY = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
for number in range(5):
    run.add_tag(f"t{number}")
    print(f"t{number}", flush=True)
    if number == 2:
        os.truncate(f"{sys.argv[1]}-shm", 0)
"""


def test_a_process_whose_shm_is_cut_ends_and_loses_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CUTS_THE_SHARED_MEMORY, str(tmp_path / "lab.db")]
    done = subprocess.run(command, capture_output=True, text=True)
    acknowledged = done.stdout.split()
    assert (done.returncode, len(acknowledged)) == (-signal.SIGBUS, 3)
    with Archive(tmp_path / "lab.db") as archive:
        assert list(archive.list_runs()[0].tags) == acknowledged
        assert archive.verify().problems == ()
