"""Opening: created once, refused untouched when the file is not ours, read where nothing can be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArchiveNotFoundError,
    ArchiveTooNewError,
    InvalidValueError,
    NotAnArchiveError,
)
from exptrack.database import opening
from exptrack.database.migrations import migrations

CREATOR = """
import sys, exptrack
print("imported", flush=True)
for path in sys.stdin:
    with exptrack.Archive(path.strip()) as archive:
        with archive.start_run() as run:
            run.log({"x": 1.0})
    print("created", flush=True)
"""


def test_sixteen_processes_create_one_archive(tmp_path: Path) -> None:
    """Again and again, as each creation is another race."""
    command = [sys.executable, "-c", CREATOR]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(16)]

    def await_all(word: str) -> None:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{word}\n"

    await_all("imported")
    for attempt in range(5):
        path = tmp_path / f"lab{attempt}.db"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{path}\n")
            process.stdin.flush()
        await_all("created")
        with Archive(path) as archive:
            assert archive.sql("SELECT number, name FROM migration").rows == tuple(
                (one.number, one.name) for one in migrations()
            )
            assert len(archive.list_runs()) == 16
            assert archive.verify().ok
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert errors == [""] * 16


def test_a_file_that_stays_damaged_is_told_at_the_second_look(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a file that another process changes meanwhile is looked at for longer."""
    damaged = tmp_path / "damaged.db"
    archive.backup(damaged)
    with open(damaged, "r+b") as file:
        file.seek(100)  # the head of the page that holds the schema
        file.write(b"\xff" * 8)
    monkeypatch.setattr(opening, "CREATION_GRACE_S", 3600)
    for mode in ("rw", "ro"):
        with pytest.raises(ArchiveCorruptError):
            Archive(damaged, mode=mode)  # type: ignore[arg-type]


def test_a_newer_file_is_read_but_not_written(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run(name="from the future"):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ArchiveTooNewError, match="upgrade exptrack"):
        Archive(path)
    with Archive(path, mode="ro") as archive:
        assert archive.list_runs()[0].name == "from the future"


def foreign_sqlite(path: Path, journal: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()


FOREIGN = {
    "text": lambda path: path.write_text("not a database, " * 100),
    "png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000)),
    "short": lambda path: path.write_bytes(b"x"),
    "sqlite": lambda path: foreign_sqlite(path, "DELETE"),
    "sqlite in wal mode": lambda path: foreign_sqlite(path, "WAL"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_foreign_file_is_refused_untouched(tmp_path: Path, kind: str, mode: str) -> None:
    path = tmp_path / "other.db"
    FOREIGN[kind](path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with pytest.raises(NotAnArchiveError, match=r"other\.db"):
        Archive(path, mode=mode)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [p.name for p in tmp_path.iterdir()] == ["other.db"]


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_pipe_or_device_is_refused(tmp_path: Path, mode: str) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    for place in (tmp_path / "pipe.db", Path("/dev/null")):
        with pytest.raises(NotAnArchiveError, match="device or pipe"):
            Archive(place, mode=mode)


def test_a_link_to_nothing_is_named_as_the_reason(tmp_path: Path) -> None:
    (tmp_path / "lab.db").symlink_to("absent.db")
    with pytest.raises(ArchiveNotFoundError, match=r"it is a link.*absent\.db"):
        Archive(tmp_path / "lab.db")
    assert [path.name for path in tmp_path.iterdir()] == ["lab.db"]


def test_an_empty_file_becomes_an_archive_only_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.touch()
    with pytest.raises(NotAnArchiveError, match="empty"):
        Archive(path, mode="ro")
    assert path.stat().st_size == 0
    Archive(path).close()
    Archive(path, mode="ro").close()


READER = """
import logging, os, pwd, sys, tempfile
import exptrack
with tempfile.TemporaryDirectory() as folder, exptrack.Archive(folder + "/warm.db") as archive:
    archive.start_run().complete()  # loads every module while they can be read
    archive.list_runs()
    archive.verify()
if os.getuid() == 0:
    os.setuid(65534)
try:
    exptrack.Archive(sys.argv[1])
except exptrack.ArchiveReadOnlyError:
    print("refused")
with exptrack.Archive(sys.argv[1], mode="ro") as archive:
    print(len(archive.list_runs()), archive.verify().ok)
"""


@pytest.mark.skipif(os.name != "posix", reason="folder modes are POSIX's")
@pytest.mark.parametrize("with_wal", [False, True])
def test_a_read_only_folder_can_be_read_and_not_written(with_wal: bool) -> None:
    import shutil
    import tempfile

    # Not under tmp_path, whose parents another user may not enter.
    folder = Path(tempfile.mkdtemp())
    try:
        archive = Archive(folder / "work.db")
        archive.start_run().complete()
        for suffix in ("", "-wal"):
            if with_wal or not suffix:
                if not with_wal:
                    archive.close()
                shutil.copy(folder / f"work.db{suffix}", folder / f"lab.db{suffix}")
                (folder / f"lab.db{suffix}").chmod(0o444)
        archive.close()
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", READER, str(folder / "lab.db")], capture_output=True, text=True, cwd="/"
        )
        assert done.stdout == "refused\n1 True\n"
        # The file alone does not hold the run then, so the reader has said so, once.
        assert done.stderr.count("\n") == with_wal
        assert done.stderr.count(f"{folder / 'lab.db-wal'}") == with_wal
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_relative_path_in_a_deleted_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    try:
        folder.rmdir()
    except OSError:
        pytest.skip("the system keeps the working folder")
    with pytest.raises(ArchiveNotFoundError, match="working folder was deleted"):
        Archive("lab.db")


@pytest.mark.skipif(os.name != "posix", reason="other limits")
@pytest.mark.parametrize("size", [248, 255, 256, 5000])
def test_a_name_too_long_for_the_side_files_is_refused_before_a_file_is_made(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidValueError, match="too long for the files beside it"):
        Archive(tmp_path / ("n" * size))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="other limits")
def test_the_longest_name_holds_a_run(tmp_path: Path) -> None:
    with Archive(tmp_path / ("n" * 247)) as archive, archive.start_run() as run:
        run.log({"x": 1.0})
    with Archive(tmp_path / ("n" * 247)) as archive:
        assert archive.verify().points == 1
