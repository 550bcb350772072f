"""What was acknowledged is there after a SIGKILL, and the run says interrupted."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.kill_loss import WAYS, trial
from exptrack import Archive, ArchiveCorruptError, NotAnArchiveError, RunFilter, RunStatus
from exptrack.database.opening import JOURNAL_MAGIC, read_identity
from tests.effort import IS_THOROUGH

WRITER = """
import sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run({"lr": 0.1})
print(run.run_id, flush=True)
for step in range(1_000_000):
    run.log({"loss": 1.0 / (step + 1), "acc": float(step)}, step)
    if step % 50 == 0:
        run.artifacts.register_data("weights", str(step) * 1000)
    print(step, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_process_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "lab.db"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.6))
    process.kill()
    acknowledged = [
        int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")
    ]
    process.wait()
    process.stdout.close()
    with Archive(path, mode="ro") as archive:
        assert archive.show_run(run_id).summary.status is RunStatus.INTERRUPTED
        assert [r.run_id for r in archive.list_runs(RunFilter.by_status("interrupted"))] == [run_id]
        assert archive.list_runs(RunFilter.by_status("running")) == []
    with Archive(path) as archive:
        summary = archive.show_run(run_id).summary
        assert (summary.status, summary.reason) == (
            RunStatus.INTERRUPTED,
            "its process died without ending the run",
        )
        steps = [point.step for point in archive.get_run(run_id).get_metric("loss")]
        assert steps == list(range(len(steps)))
        assert len(steps) > max(acknowledged, default=0)
        assert archive.verify().problems == ()
        with archive.resume_run(run_id) as run:
            run.log({"loss": 0.0})
            assert run.get_last_metric("loss").step == len(steps)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS)
def test_wherever_a_writer_or_a_replay_is_killed_nothing_acknowledged_is_lost(way: str, seed: int) -> None:
    """By itself, from outside, in a drain, in the replay; 200 of these are in ``benchmarks.kill_loss``."""
    trial(way, seed, stride=9 if IS_THOROUGH else 27)


def test_a_file_left_half_copied_by_a_killed_checkpoint_opens_through_its_wal(tmp_path: Path) -> None:
    live, dead = tmp_path / "live.db", tmp_path / "dead.db"
    with Archive(live) as archive, archive.start_run() as run:
        for step in range(2000):
            run.log({"loss": float(step), "acc": 1.0}, step)
        archive._connection.checkpoint()
        run.artifacts.register_data("weights", random.Random(0).randbytes(300_000))
        shutil.copyfile(live, dead)
        shutil.copyfile(f"{live}-wal", f"{dead}-wal")
    wal = Path(f"{dead}-wal").read_bytes()
    page_bytes = int.from_bytes(wal[8:12], "big")
    frame_bytes = 24 + page_bytes
    frames = [wal[at : at + frame_bytes] for at in range(32, len(wal), frame_bytes)]
    # Frames of an earlier generation, with another salt, may follow: they are not part of the log any more.
    current = [frame for frame in frames if frame[8:16] == wal[16:24]]
    first_pages = [frame[24:] for frame in current if int.from_bytes(frame[:4], "big") == 1]
    # A checkpoint copies page 1 first: the header then promises pages that are not there yet.
    with open(dead, "r+b") as file:
        file.write(first_pages[-1])
    promised = int.from_bytes(first_pages[-1][28:32], "big") * page_bytes
    assert promised > dead.stat().st_size

    with pytest.raises(ArchiveCorruptError):
        read_identity(dead)
    for mode in ("ro", "rw"):
        with Archive(dead, mode=mode) as archive:
            assert archive.verify().problems == ()
            assert len(archive.get_run(run.run_id).artifacts.get_blob("weights") or b"") == 300_000


def test_a_truncated_file_without_a_wal_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log({"loss": 1.0})
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ArchiveCorruptError, match="damaged"):
        Archive(path)


def half_created(path: Path, pages_before: int = 1) -> None:
    """What a power cut amid a creation leaves: some new pages, and the journal that undoes them.

    It undoes them to one page or to an empty file.
    """
    whole = path.with_name("whole.db")
    Archive(whole).close()
    begun = path.with_name("begun.db")
    connection = sqlite3.connect(begun, isolation_level=None)
    connection.execute("PRAGMA cache_size = 2")
    if pages_before:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA user_version = 0")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE filler (x)")
    connection.executemany("INSERT INTO filler VALUES (?)", [("x" * 3000,)] * 50)
    shutil.copyfile(f"{begun}-journal", f"{path}-journal")
    connection.close()
    path.write_bytes(whole.read_bytes()[: 10 * 4096])
    whole.unlink()
    begun.unlink()


@pytest.mark.parametrize("pages_before", [0, 1])
def test_a_creation_cut_short_is_done_again(tmp_path: Path, pages_before: int) -> None:
    path = tmp_path / "lab.db"
    half_created(path, pages_before)
    with pytest.raises(ArchiveCorruptError):
        read_identity(path)
    with pytest.raises(NotAnArchiveError):
        Archive(path, mode="ro")
    with Archive(path) as archive:
        assert archive.list_runs() == []
        assert archive.verify().problems == ()


def test_a_journal_that_names_another_file_is_not_undone(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    half_created(path)
    with open(f"{path}-journal", "ab") as file:
        file.write(b"third.db" + (8).to_bytes(4, "big") + sum(b"third.db").to_bytes(4, "big") + JOURNAL_MAGIC)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ArchiveCorruptError):
        Archive(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
