"""A file whose side files belong to another file, or lie elsewhere, is not opened."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveIOError, ArchiveMovedError
from exptrack.database import places
from exptrack.database.file_locks import HAS_OPEN_FILE_LOCKS

pytestmark = pytest.mark.skipif(not HAS_OPEN_FILE_LOCKS, reason="the system has no open-file locks")

KEEP_OPEN = """
import sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run(name="open elsewhere", tags=["kept"])
print("open", flush=True)
for line in sys.stdin:
    try:
        run.add_tag(line.strip())
        print("stored", flush=True)
    except exptrack.ExptrackError as error:
        print(type(error).__name__, error, flush=True)
"""


@pytest.fixture(autouse=True)
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PATIENCE_S", 0.1)


@contextmanager
def open_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Keep an archive open in another process."""
    code = [sys.executable, "-c", KEEP_OPEN, str(path)]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        if process.poll() is None:
            process.communicate()


def tell(process: subprocess.Popen[str], tag: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    print(tag, file=process.stdin, flush=True)
    return process.stdout.readline()


def make_another(folder: Path) -> Path:
    """Make an archive with more pages than an empty one."""
    with Archive(folder / "another.db") as archive, archive.start_run(name="another") as run:
        run.log({f"name {number}": 1.0 for number in range(500)})
    return folder / "another.db"


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_file_in_the_place_of_an_open_one_is_not_read_with_the_wal_of_that(tmp_path: Path, mode: str) -> None:
    path, another = tmp_path / "lab.db", make_another(tmp_path)
    bytes_of_another = another.read_bytes()
    with open_elsewhere(path) as process:
        os.replace(another, path)
        with pytest.raises(ArchiveMovedError, match="in the place of a file that a process still has open"):
            Archive(path, mode=mode)
        assert "all that was committed is in" in tell(process, "refused")
        with Archive(path, mode=mode) as opened:  # that process has taken its WAL away
            assert [run.name for run in opened.list_runs()] == ["another"]
            assert opened.verify().problems == ()
    assert mode == "rw" or path.read_bytes() == bytes_of_another
    (copy,) = tmp_path.glob("lab.db.rescued-*[0-9]")
    with Archive(copy) as rescued:
        assert [run.tags for run in rescued.list_runs()] == [("kept",)]
        assert rescued.verify().problems == ()


def test_the_same_process_does_not_open_it_either(tmp_path: Path) -> None:
    path, another = tmp_path / "lab.db", make_another(tmp_path)
    with Archive(path) as archive:
        # Not left running: a heartbeat could find the file gone first, and take its WAL away.
        archive.start_run(tags=["kept"]).complete()
        os.replace(another, path)
        with pytest.raises(ArchiveMovedError, match="in the place of"):
            Archive(path)
    with Archive(path) as opened:
        assert [run.name for run in opened.list_runs()] == ["another"]
        assert opened.verify().problems == ()


def test_a_process_that_only_closes_takes_its_wal_away_too(tmp_path: Path) -> None:
    path, another = tmp_path / "lab.db", make_another(tmp_path)
    Archive(path).close()
    reader = Archive(path, mode="ro")
    with Archive(path) as writer:
        writer.start_run(tags=["kept"]).complete()
    os.replace(another, path)
    reader.close()
    assert not [name for name in os.listdir(tmp_path) if name in ("lab.db-wal", "lab.db-shm")]
    with Archive(path) as opened:
        assert [run.name for run in opened.list_runs()] == ["another"]
        assert opened.verify().problems == ()
    (copy,) = tmp_path.glob("lab.db.rescued-*[0-9]")
    with Archive(copy) as rescued:
        assert [run.tags for run in rescued.list_runs()] == [("kept",)]


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_file_that_is_open_by_another_name_elsewhere_is_refused(tmp_path: Path, mode: str) -> None:
    path, link = tmp_path / "lab.db", tmp_path / "link.db"
    with open_elsewhere(path) as process:
        os.link(path, link)
        with pytest.raises(ArchiveMovedError, match="open by another name"):
            Archive(link, mode=mode)
        assert tell(process, "more") == "stored\n"
    assert not [name for name in os.listdir(tmp_path) if name.startswith("link.db-")]
    with Archive(link, mode=mode) as archive:
        assert archive.list_runs()[0].tags == ("kept", "more")
        assert archive.verify().problems == ()


@pytest.mark.parametrize("end", ["", "-shm"])
def test_a_bare_client_that_dropped_its_own_locks_is_no_reason_to_refuse(tmp_path: Path, end: str) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    code = """
import shutil, sqlite3, sys
client = sqlite3.connect(sys.argv[1])
client.execute("SELECT count(*) FROM run").fetchall()
shutil.copyfile(sys.argv[1] + sys.argv[2], sys.argv[1] + ".copy")
print("open", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(path), end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "open\n"
        with Archive(path) as archive:
            assert len(archive.list_runs()) == 1
        client.communicate()


def test_looking_drops_no_lock_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    with closing(sqlite3.connect(path)) as own:
        own.execute("SELECT count(*) FROM run").fetchall()
        places.require_own_side_files(path)
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA journal_mode = DELETE')"
        command = [sys.executable, "-c", code, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "locked" in done.stderr


def test_a_copy_beside_no_open_file_is_opened_at_once(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
        archive.backup(tmp_path / "copy.db")
        shutil.copyfile(tmp_path / "copy.db", tmp_path / "second.db")
        with Archive(tmp_path / "second.db") as second:
            assert second.verify().problems == ()


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have names on POSIX only")
@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("a FIFO", os.mkfifo),
        ("a folder", os.mkdir),
        ("a link", lambda path: os.symlink("/dev/zero", path)),
        ("a link", lambda path: os.symlink(path, path)),
    ],
)
def test_what_is_no_file_beside_the_archive_is_refused_by_name(
    tmp_path: Path, end: str, kind: str, make: Callable[[str], None]
) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    make(f"{path}{end}")
    for mode in ("rw", "ro"):
        with pytest.raises(ArchiveIOError, match=f"lab.db{end} is {kind} and not a file"):
            Archive(path, mode=mode)
    damaged = path.read_bytes()[:4096]
    path.write_bytes(damaged + bytes(4096))
    with pytest.raises(ArchiveIOError, match="not a file"):
        Archive(path)


@pytest.mark.parametrize("begin", [b"garbage", bytes.fromhex("377f0682002de218") + bytes(24), b""])
@pytest.mark.parametrize("end", ["-wal", "-journal"])
def test_of_a_huge_file_of_holes_little_is_read(tmp_path: Path, end: str, begin: bytes) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.start_run().complete()
    with open(f"{path}{end}", "wb") as file:
        file.write(begin)
        file.truncate(20 << 30)
    with Archive(path) as archive:
        assert len(archive.list_runs()) == 1
        assert archive.verify().ok
