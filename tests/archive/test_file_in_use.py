"""What a script or another program does to the files of an open archive loses nothing that was acknowledged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveCorruptError, ArchiveIOError, ArchiveMovedError
from exptrack.database import hold, side_files
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS

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


def delete_both(path: Path) -> None:
    os.unlink(f"{path}-wal")
    os.unlink(f"{path}-shm")


def empty_wal(path: Path) -> None:
    os.unlink(f"{path}-wal")
    Path(f"{path}-wal").touch()


@pytest.mark.parametrize("locks", ["of open files", "of processes"])
@pytest.mark.parametrize("change", [copy, copy_all, read, delete_wal, empty_wal, delete_both])
def test_every_acknowledged_change_is_there(
    tmp_path: Path, change: Callable[[Path], None], locks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if locks == "of processes":  # as on macOS
        for module in (hold, side_files):
            monkeypatch.setattr(module, "HAS_OPEN_FILE_LOCKS", False)
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


@pytest.mark.parametrize("change", [delete_wal, delete_both, empty_wal])
@pytest.mark.parametrize("use", ["reads", "writes"])
def test_a_connection_that_opens_after_the_wal_was_deleted_has_everything(
    tmp_path: Path, change: Callable[[Path], None], use: str
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.add_tag("before")
        for handle in list(archive._connection._handles):
            handle.close()  # SQLite opens the WAL again at the next statement
        change(path)
        if use == "reads":
            assert run.tags == ("before",)
        run.add_tag("after")
    with Archive(path, mode="ro") as archive:
        assert archive.get_run(run.run_id).tags == ("after", "before")
        assert archive.verify().ok


@pytest.mark.parametrize("change", [delete_wal, empty_wal])
@pytest.mark.parametrize("nth", range(1, 8))
def test_a_wal_that_is_deleted_while_a_connection_opens_is_put_back(
    tmp_path: Path, change: Callable[[Path], None], nth: int
) -> None:
    path = tmp_path / "lab.db"
    statements = []

    def meddle(statement: str) -> None:
        statements.append(statement)
        if len(statements) == nth:
            change(path)
            tags_seen_elsewhere(path)

    with Archive(path) as archive, archive.start_run() as run:
        run.add_tag("before")
        for handle in list(archive._connection._handles):
            handle.close()
        archive._connection.trace = meddle
        assert run.tags == ("before",)
        run.add_tag("after")
        archive._connection.trace = None
    with Archive(path, mode="ro") as archive:
        assert archive.get_run(run.run_id).tags == ("after", "before")
        assert archive.verify().ok


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


LOOKING = """
import sys, exptrack
archive = exptrack.Archive(sys.argv[1], mode="ro")
def look():
    print(*archive.list_runs()[0].tags, flush=True)
look()
for _ in sys.stdin:
    look()
archive.close()
"""


@pytest.mark.parametrize("ends", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_deleted_side_file_is_made_good_for_the_writer_a_reader_and_a_newcomer(
    tmp_path: Path, ends: tuple[str, ...]
) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run(tags=["t0"])
    with subprocess.Popen(
        [sys.executable, "-c", LOOKING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "t0\n"
        expected = "t0"
        for number in range(1, 4):
            for end in ends:
                os.unlink(f"{path}{end}")
            run.add_tag(f"t{number}")
            expected += f" t{number}"
            assert tags_seen_elsewhere(path) == expected
            print(file=reader.stdin, flush=True)
            assert reader.stdout.readline() == f"{expected}\n"
        reader.stdin.close()
    assert reader.returncode == 0
    run.complete()
    archive.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["lab.db"]
    with Archive(path) as again:
        assert again.verify().problems == ()


def test_what_was_committed_to_a_deleted_file_is_in_a_rescued_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run(tags=["kept"])
    os.unlink(path)
    for _ in range(2):
        with pytest.raises(ArchiveMovedError, match=r"all that was committed is in .*rescued"):
            run.add_tag("refused")
    (copy,) = (entry for entry in tmp_path.iterdir() if "rescued" in entry.name and entry.suffix[-4:] != "-wal")
    assert tags_seen_elsewhere(copy) == "kept"


def test_what_was_committed_before_another_wal_came_is_in_a_rescued_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run(tags=["kept"])
    os.unlink(f"{path}-wal")
    Path(f"{path}-wal").write_bytes(b"another" * 1000)
    with pytest.raises(ArchiveMovedError, match=r"all that was committed is in .*rescued"):
        run.add_tag("refused")
    (copy,) = (entry for entry in tmp_path.iterdir() if "rescued" in entry.name and entry.suffix[-4:] != "-wal")
    assert tags_seen_elsewhere(copy) == "kept"


@pytest.mark.parametrize("share", [0, 0.5])
def test_nothing_is_written_behind_the_end_of_a_wal_that_was_cut(tmp_path: Path, share: float) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run(tags=["kept"])
    archive._connection.checkpoint()
    for number in range(5):
        run.add_tag(f"t{number}")
    os.truncate(f"{path}-wal", int(os.stat(f"{path}-wal").st_size * share))
    size = os.stat(f"{path}-wal").st_size
    for _ in range(2):
        with pytest.raises((ArchiveCorruptError, ArchiveIOError)):
            run.add_tag("refused")
    assert os.stat(f"{path}-wal").st_size == size
    archive.close()
    with Archive(path) as again:
        assert "kept" in again.list_runs()[0].tags
        assert again.verify().problems == ()


def test_what_is_left_of_a_cut_wal_does_not_cover_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run()
    for number in range(5):
        run.add_tag(f"t{number}")
    archive._connection.checkpoint()
    assert os.stat(f"{path}-wal").st_size > 100_000
    os.truncate(f"{path}-wal", os.stat(f"{path}-wal").st_size // 2)
    with pytest.raises((ArchiveCorruptError, ArchiveIOError)):
        run.add_tag("refused")
    archive.close()
    with Archive(path) as again:
        assert again.list_runs()[0].tags == ("t0", "t1", "t2", "t3", "t4")
        assert again.verify().problems == ()


def test_a_close_tells_of_a_wal_that_was_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "lab.db"
    archive = Archive(path)
    run = archive.start_run(tags=["first"])
    archive._connection.checkpoint()
    run.add_tag("second")
    os.truncate(f"{path}-wal", 0)
    archive._connection.close()
    assert "cut" in caplog.text


def test_points_logged_after_an_older_wal_came_wait_for_the_rescued_copy(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    code = """
import os, shutil, exptrack
archive = exptrack.Archive("lab.db")
archive.record_runs([])
for end in ("-wal", "-shm"):
    shutil.copyfile(f"lab.db{end}", f"early{end}")
run = archive.start_run()
run.log({"loss": 0.5})
run.flush()
for end in ("-wal", "-shm"):
    os.replace(f"early{end}", f"lab.db{end}")
for call in (lambda: run.add_tag("refused"), run.flush, run.complete):
    run.log({"loss": 0.4})
    try:
        call()
    except exptrack.ArchiveMovedError:
        print("told")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["told"] * 3
    (copy,) = tmp_path.glob("*.rescued-*-wal")
    for end in ("", "-wal"):
        os.replace(f"{str(copy)[:-4]}{end}", f"{path}{end}")
    (tmp_path / "lab.db-shm").unlink(missing_ok=True)
    with Archive(path) as archive:
        (run,) = archive.list_runs()
        assert [point.value for point in archive.get_run(run.run_id).get_metric("loss")] == [0.5] + [0.4] * 3
        assert archive.verify().problems == ()


def test_a_thread_that_comes_late_reads_no_other_archive_in_the_place(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(tmp_path / "other.db") as other:
        other.start_run(tags=["foreign"]).complete()
    archive = Archive(path)
    archive.start_run(tags=["own"])
    os.rename(tmp_path / "other.db", path)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ArchiveMovedError):
        pool.submit(lambda: archive._connection.value("SELECT count(*) FROM tags")).result()


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_hard_link_to_an_open_archive_is_refused_by_its_other_name(tmp_path: Path, mode: str) -> None:
    with Archive(tmp_path / "lab.db"):
        os.link(tmp_path / "lab.db", tmp_path / "link.db")
        with pytest.raises(ArchiveMovedError, match=r"link\.db is a hard link to .*lab\.db"):
            Archive(tmp_path / "link.db", mode=mode)
    with Archive(tmp_path / "link.db") as archive:
        assert archive.list_runs() == []


def open_elsewhere(path: Path, mode: str) -> str:
    """Open the archive in another process and begin a run, or list the runs; return the names, or the error."""
    code = """
import sys
from exptrack import Archive, ExptrackError
try:
    with Archive(sys.argv[1], mode=sys.argv[2]) as archive:
        if sys.argv[2] == "rw":
            archive.start_run(name="elsewhere").complete()
        print(*sorted(str(run.name) for run in archive.list_runs()))
except ExptrackError as error:
    print(type(error).__name__)
"""
    command = [sys.executable, "-c", code, str(path), mode]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("give_name", [os.link, os.rename])
def test_another_process_is_refused_by_another_name(
    tmp_path: Path, give_name: Callable[[Path, Path], None], mode: str
) -> None:
    path, other = tmp_path / "lab.db", tmp_path / "other.db"
    archive = Archive(path)
    run = archive.start_run(name="first")
    run.log({"loss": 0.5})
    run.flush()
    give_name(path, other)
    assert open_elsewhere(other, mode) == "ArchiveMovedError"
    if give_name is os.rename:
        os.rename(other, path)
    assert open_elsewhere(path, "rw") == "elsewhere first"
    run.complete()
    archive.close()
    with Archive(path) as again:
        assert {run.name: str(run.status) for run in again.list_runs()} == {
            "first": "completed",
            "elsewhere": "completed",
        }
        assert again.verify().problems == ()


def test_a_file_renamed_while_it_was_open_holds_everything_by_its_new_name(tmp_path: Path) -> None:
    path, other = tmp_path / "lab.db", tmp_path / "other.db"
    archive = Archive(path)
    run = archive.start_run(name="first")
    run.log({"loss": 0.5})
    run.flush()
    os.rename(path, other)
    with pytest.raises(ArchiveMovedError):
        run.add_tag("late")
    archive.close()
    with sqlite3.connect(other) as plain:  # in this process, where the run would still count as running
        assert plain.execute("SELECT count(*) FROM points").fetchone() == (1,)
    plain.close()
    assert open_elsewhere(other, "rw") == "elsewhere first"
    os.rename(other, path)  # the log that lies there must not come back over what was stored since
    assert open_elsewhere(path, "ro") == "elsewhere first"
    with Archive(path) as again:
        assert again.verify().problems == ()


def test_opening_and_closing_leaves_no_descriptor_and_no_thread_behind(tmp_path: Path) -> None:
    code = """
import os, sys, time, exptrack

def count():
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

def use(mode):
    archive = exptrack.Archive(sys.argv[1], mode=mode)
    if mode == "rw":
        with archive.start_run() as run:
            run.log({"x": 1.0})
    archive.list_runs()
    archive.close()

use("rw")
before = count()
for number in range(100):
    use("rw")
    use("ro")
while count()[1] > before[1]:
    time.sleep(0.01)
after = count()
# A thread of the first use may still have been ending when it was counted.
assert after[0] == before[0] and after[1] <= before[1], (before, after)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lab.db")], check=True, timeout=120)


def test_a_descriptor_of_another_thread_noted_as_sqlites_stops_no_change(tmp_path: Path) -> None:
    """It was opened and closed while SQLite opened its own, and is not the lowest of them."""
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        held = archive._connection._hold
        assert held is not None
        alien = os.open(tmp_path / "lab.db", os.O_RDONLY)
        for handle in list(archive._connection._handles):
            if handle.numbers:
                handle.numbers = {**handle.numbers, alien: held.main_id}
        os.close(alien)
        run.add_tag("there")
        assert run.tags == ("there",)
        run.complete()
