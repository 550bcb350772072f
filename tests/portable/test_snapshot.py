"""A copy of a live archive is one whole file of one moment, or it is not there."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from exptrack import (
    Archive,
    ArchiveClosedError,
    ArchiveCorruptError,
    ArchiveError,
    ArchiveFullError,
    ExportError,
    InvalidTypeError,
    InvalidValueError,
    OwnFileError,
    RunStatus,
)
from exptrack.database import copying
from exptrack.metrics.journal_file import list_journals
from tests.changes import changing


def fill(archive: Archive, size: int = 2_000_000) -> str:
    """Store a completed run with points and an artifact."""
    with archive.start_run({"lr": 0.1}, ["a"]) as run:
        for step in range(100):
            run.log({"loss": float(step)}, step)
        run.artifacts.register_data("weights", os.urandom(size))
    return run.run_id


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_the_copy_holds_all_in_one_file_while_the_archive_is_written(archive: Archive, tmp_path: Path) -> None:
    done = fill(archive)
    live = archive.start_run(name="live")
    for step in range(50):
        live.log({"loss": float(step)}, step)  # partly in the journal only
    folder = tmp_path / "there"
    folder.mkdir()
    report = archive.backup(folder / "copy.db")
    live.log({"loss": 50.0}, 50)
    live.complete()
    assert names(folder) == ["copy.db"]
    assert (report.path, report.waiting) == (str(folder / "copy.db"), ())
    assert report.file_bytes == (folder / "copy.db").stat().st_size
    with Archive(folder / "copy.db") as copy:
        assert copy.verify().ok
        assert copy.get_run(done).artifacts.get_blob("weights") == archive.get_run(done).artifacts.get_blob(
            "weights"
        )
        run = copy.get_run(live.run_id)
        assert (run.status, len(run.get_metric("loss"))) == ("running", 50)
    assert names(folder) == ["copy.db"]
    assert len(archive.get_run(live.run_id).get_metric("loss")) == 51


def test_a_reader_of_a_copy_goes_on_beside_those_who_begin_to_write_it(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(archive)
    folder = tmp_path / "there"
    folder.mkdir()
    copy = folder / "copy.db"
    archive.backup(copy)
    before = copy.read_bytes()
    with Archive(copy, mode="ro") as reader:
        runs = len(reader.list_runs())
        assert names(folder) == [
            "copy.db"
        ]  # not in WAL mode, so that it can be read where nothing can be written
        assert copy.read_bytes() == before
        for count in (1, 2):
            with Archive(copy) as writer:
                writer.start_run().complete()
                assert len(reader.list_runs()) == runs + count
            assert len(reader.list_runs()) == runs + count
        assert reader.verify().ok
    assert names(folder) == ["copy.db"]
    assert caplog.messages == []


def test_it_has_the_mode_of_the_archive(archive: Archive, tmp_path: Path) -> None:
    for mode in (0o600, 0o644):
        os.chmod(archive.path, mode)
        report = archive.backup(tmp_path / f"{mode}.db")
        assert stat.S_IMODE(os.stat(report.path).st_mode) == mode


WRITES = """
import sys, exptrack
with exptrack.Archive(sys.argv[1]) as archive:
    with archive.start_run() as run:
        n = 0
        print("begun", flush=True)
        while not sys.stdin.closed and n < 100_000:
            run.add_tag(f"t{n}"); run.append_event("n", {"n": n}); n += 1
            if n % 50 == 0: print(n, flush=True)
"""


def test_it_is_of_one_moment_beside_writers_and_lets_them_write(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive, 8_000_000)
    monkeypatch.setattr(copying, "STEP_PAGES", 16)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITES, archive.path], stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE
    )
    with writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "begun\n"
            steps: list[int] = []

            def progress(done: int, total: int) -> None:
                steps.append(done)
                assert done <= total
                if len(steps) == 20:  # the writer goes on: two changes of it come meanwhile
                    assert writer.stdout is not None
                    writer.stdout.readline()
                    writer.stdout.readline()

            archive.backup(tmp_path / "copy.db", progress=progress)
        finally:
            writer.kill()
    assert steps == sorted(steps)
    assert len(steps) > 100
    with Archive(tmp_path / "copy.db", mode="ro") as copy:
        assert copy.verify().ok
        (run,) = [run for run in copy.list_runs() if run.status != RunStatus.COMPLETED]
        tags = len(copy.get_run(run.run_id).tags)
        events = sum(event.kind == "n" for event in copy.read_events(run.run_id))
        assert tags - events in (0, 1)


def test_nothing_that_exists_is_replaced(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    before = names(tmp_path)
    for name in ("there", "folder", "link"):
        with pytest.raises(ExportError, match="it exists; remove it or choose another name"):
            archive.backup(tmp_path / name)
    with pytest.raises(ExportError, match="folder is missing"):
        archive.backup(tmp_path / "absent" / "copy.db")
    assert (tmp_path / "there").read_bytes() == b"kept"
    assert names(tmp_path) == before


def test_a_file_that_another_program_makes_meanwhile_is_kept(archive: Archive, tmp_path: Path) -> None:
    place = tmp_path / "copy.db"
    with pytest.raises(ExportError, match="exists"):
        archive.backup(place, progress=lambda _done, _total: place.write_bytes(b"kept") and None)
    assert place.read_bytes() == b"kept"
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal", ".0a1b2c3d-7-0a1b2c3d.points"])
def test_the_archive_itself_is_no_target(archive: Archive, tmp_path: Path, ending: str) -> None:
    fill(archive, 10)
    (tmp_path / "link.db").symlink_to(archive.path)
    for place in (f"{archive.path}{ending}", *(["link.db"] if not ending else [])):
        with pytest.raises(OwnFileError):
            archive.backup(tmp_path / place)
    assert archive.verify().ok


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal", ".0a1b2c3d-7-0a1b2c3d.points"])
def test_files_left_by_an_earlier_archive_do_not_become_parts_of_the_copy(
    archive: Archive, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"copy.db{ending}").write_bytes(b"old")
    with pytest.raises(ExportError, match="remove it"):
        archive.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_no_file_is_made_that_sqlite_would_take_for_a_part_of_another(
    archive: Archive, tmp_path: Path, ending: str
) -> None:
    Archive(tmp_path / "other.db").close()
    place = tmp_path / f"other.db{ending}"
    with pytest.raises(ExportError, match=r"SQLite would take it for a part of other\.db"):
        archive.backup(place)
    with pytest.raises(InvalidValueError, match=r"a part of other\.db; choose another name"):
        Archive(place)
    assert not place.exists()
    archive.backup(tmp_path / f"alone{ending}")


@pytest.mark.parametrize("wrong", [None, 3, b"a\0b", "", object()])
def test_what_is_no_path_is_refused(archive: Archive, wrong: object) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError)):
        archive.backup(wrong)  # type: ignore[arg-type]


def test_a_closed_or_moved_archive_is_not_copied(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lab.db")
    os.rename(tmp_path / "lab.db", tmp_path / "old.db")
    with pytest.raises(ArchiveError, match="moved"):
        archive.backup(tmp_path / "copy.db")
    os.rename(tmp_path / "old.db", tmp_path / "lab.db")
    archive.close()
    with pytest.raises(ArchiveClosedError):
        archive.backup(tmp_path / "copy.db")
    assert names(tmp_path) == ["lab.db"]


@pytest.mark.parametrize("after", [0, 3])
def test_ctrl_c_and_errors_of_the_caller_leave_nothing(
    archive: Archive, tmp_path: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive)
    monkeypatch.setattr(copying, "STEP_PAGES", 8)
    before = names(tmp_path)
    seen: list[int] = []

    def interrupt(_done: int, _total: int) -> None:
        seen.append(1)
        if len(seen) > after:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        archive.backup(tmp_path / "copy.db", progress=interrupt)
    with pytest.raises(ZeroDivisionError):
        archive.backup(tmp_path / "copy.db", progress=lambda done, _total: print(1 // (done - done)))
    assert names(tmp_path) == before
    with changing(archive._connection):
        pass
    archive.backup(tmp_path / "copy.db")


def test_a_full_disk_is_an_error_that_leaves_nothing(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive)
    real = copying._open_draft

    def small(draft: Path) -> sqlite3.Connection:
        copy = real(draft)
        copy.execute("PRAGMA max_page_count = 20")
        return copy

    monkeypatch.setattr(copying, "_open_draft", small)
    before = names(tmp_path)
    with pytest.raises(ArchiveFullError, match=r"copy\.db"):
        archive.backup(tmp_path / "copy.db")
    assert names(tmp_path) == before


LIMITED = """
import resource, signal, sys, exptrack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
archive = exptrack.Archive(sys.argv[1], mode="ro")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    archive.backup(sys.argv[2])
except exptrack.ArchiveError as error:
    print(error.path)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files here")
def test_a_limit_of_the_system_is_an_error_that_leaves_nothing(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    before = names(tmp_path)
    words = [sys.executable, "-c", LIMITED, archive.path, str(tmp_path / "copy.db")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == (str(tmp_path / "copy.db"), "")
    assert names(tmp_path) == before


def test_a_source_that_can_only_be_read_is_copied(tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    with Archive(folder / "lab.db") as archive:
        run_id = fill(archive)
    with Archive(folder / "lab.db", mode="ro") as archive:
        archive.backup(tmp_path / "copy.db")
    with Archive(tmp_path / "copy.db") as copy:
        assert copy.verify().ok
        assert copy.show_run(run_id).summary.status is RunStatus.COMPLETED


def test_a_copy_of_a_damaged_archive_is_told_to_be_damaged(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run_id = fill(archive)
    content = bytearray((tmp_path / "lab.db").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "lab.db").write_bytes(content)
    with Archive(tmp_path / "lab.db") as archive:
        archive.backup(tmp_path / "copy.db")
    with Archive(tmp_path / "copy.db") as copy:
        assert not copy.verify().ok
        with pytest.raises(ArchiveCorruptError):
            copy.get_run(run_id).artifacts.get_blob("weights")


def test_an_archive_that_was_cut_off_is_not_copied(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        fill(archive)
        os.truncate(archive.path, 60_000)
        with pytest.raises(ArchiveError):
            archive.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


DIES = """
import os, signal, sys, exptrack
run = exptrack.Archive(sys.argv[1]).start_run()
for step in range(500):
    run.log({"loss": float(step)}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_what_a_dead_process_left_is_in_the_copy_or_told(archive: Archive, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, archive.path], check=False)
    (journal,) = list_journals(Path(archive.path))
    kept = tmp_path / "kept"
    shutil.copyfile(journal, kept)
    with Archive(archive.path, mode="ro") as reader:
        assert reader.backup(tmp_path / "first.db").waiting == (str(journal),)
    report = archive.backup(tmp_path / "second.db")
    assert report.waiting == ()
    with Archive(tmp_path / "second.db", mode="ro") as copy:
        (run,) = copy.list_runs()
        assert run.status is RunStatus.INTERRUPTED
        assert len(copy.get_run(run.run_id).get_metric("loss")) == 500
        assert copy.verify().ok


def test_the_copy_leaves_the_journal_of_the_original_alone(archive: Archive, tmp_path: Path) -> None:
    """Beside the original, and while its run goes on."""
    run = archive.start_run()
    run.log({"loss": 0.0}, 0)
    journals = list_journals(Path(archive.path))
    archive.backup(tmp_path / "lab.db.bak")
    for step in range(1, 10):
        run.log({"loss": float(step)}, step)
    with Archive(tmp_path / "lab.db.bak") as copy:
        assert copy.get_run(run.run_id).status == "running"
        assert len(copy.get_run(run.run_id).get_metric("loss")) == 1
    assert list_journals(Path(archive.path)) == journals
    run.complete()
    assert len(archive.get_run(run.run_id).get_metric("loss")) == 10
    assert archive.verify().ok


def test_a_thread_may_copy_while_others_log(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    run = archive.start_run()
    stop = threading.Event()

    def log() -> None:
        step = 0
        while not stop.is_set():
            run.log({"loss": float(step)}, step)
            step += 1

    thread = threading.Thread(target=log)
    thread.start()
    try:
        for number in range(5):
            archive.backup(tmp_path / f"{number}.db")
    finally:
        stop.set()
        thread.join()
    for number in range(5):
        with Archive(tmp_path / f"{number}.db", mode="ro") as copy:
            assert copy.verify().ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_inside_progress_leaves_the_copy_whole(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive)
    monkeypatch.setattr(copying, "STEP_PAGES", 100)
    children: list[int] = []

    def fork(_done: int, _total: int) -> None:
        if not children:
            children.append(os.fork())
            if not children[0]:
                os._exit(0)

    archive.backup(tmp_path / "copy.db", progress=fork)
    assert os.waitpid(children[0], 0)[1] == 0
    with Archive(tmp_path / "copy.db", mode="ro") as copy:
        assert copy.verify().ok


KILLED = """
import os, signal, sys, exptrack
from exptrack.database import copying
copying.STEP_PAGES = 8
archive = exptrack.Archive(sys.argv[1])
archive.backup(sys.argv[2], progress=lambda done, _total: done and os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_kill_leaves_a_draft_that_may_be_deleted(archive: Archive, tmp_path: Path) -> None:
    run_id = fill(archive)
    folder = tmp_path / "there"
    folder.mkdir()
    words = [sys.executable, "-c", KILLED, archive.path, str(folder / "copy.db")]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    (draft,) = names(folder)
    assert draft.startswith(".exptrack-")
    (folder / draft).unlink()
    archive.backup(folder / "copy.db")
    assert names(folder) == ["copy.db"]
    with Archive(folder / "copy.db", mode="ro") as copy:
        assert copy.show_run(run_id).summary.status is RunStatus.COMPLETED


COPIES = """
import os, signal, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run(name="live")
archive.backup(sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_run_that_was_running_ends_in_the_copy_once_its_process_has(archive: Archive, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", COPIES, archive.path, str(tmp_path / "copy.db")], check=False)
    running = "SELECT status, heartbeat_at FROM run WHERE name = 'live'"
    with Archive(tmp_path / "copy.db", mode="ro") as copy:
        ((status, beat),) = copy.sql(running).rows
        assert status == "running"
    with Archive(tmp_path / "copy.db") as copy:
        (run,) = copy.list_runs()
        assert run.status is RunStatus.INTERRUPTED
        assert copy.sql("SELECT ended_at FROM run WHERE name = 'live'").rows == ((beat,),)
    with Archive(archive.path, mode="ro") as original:
        assert original.sql(running).rows == (("running", beat),)
