"""The bytes of the main file are read beside SQLite only where they are what a reading sees, and stay so."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveIOError
from exptrack.database.connection import Connection
from exptrack.database.main_file import MainFile, read_beside
from exptrack.portable import quick_points

pytestmark = pytest.mark.skipif(not hasattr(os, "pread"), reason="no reads at a place of a descriptor here")

WRITES = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE run SET name = 'other'")
connection.execute("UPDATE metric_point SET value = value + 1")
print(*connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
"""


def look(connection: Connection) -> Path | MainFile | None:
    """What the archive can be read from in a reading."""

    def work() -> Path | MainFile | None:
        connection.value("SELECT count(*) FROM run")
        with read_beside(connection) as file:
            return file

    return connection.reading(work)


def test_a_file_whose_wal_has_bytes_is_read_by_sqlite_alone(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run().complete()
        assert os.path.getsize(tmp_path / "lab.db-wal") > 0
        assert look(archive._connection) is None
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert isinstance(look(archive._connection), MainFile)
    with closing(Connection(tmp_path / "lab.db", "immutable")) as connection:
        assert look(connection) == tmp_path / "lab.db"


def test_a_checkpoint_does_not_change_the_file_under_a_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_points, "FEW_POINTS", 0)
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run(name="first") as run:
        for name in ("a", "b", "c"):
            run.log_many(name, range(3000), [0.5] * 3000)
    said: list[str] = []

    def write(part: str, _done: int, _total: int) -> None:
        if part == "points" and not said:
            done = subprocess.run(
                [sys.executable, "-c", WRITES, path], capture_output=True, text=True, check=True
            )
            said.append(done.stdout)

    with Archive(path, mode="ro") as archive:
        assert archive.verify(write).problems == ()
        assert said[0].split()[2] == "0"  # nothing was copied into the file while it was read
        assert not archive.verify().ok  # what the other program wrote


def test_a_descriptor_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"abc")
    (tmp_path / "two").write_bytes(b"xyz")
    descriptor = os.open(tmp_path / "one", os.O_RDONLY)
    try:
        status = os.fstat(descriptor)
        file = MainFile(descriptor, (status.st_dev, status.st_ino), tmp_path / "one")
        assert (file.seek(0, 2), file.seek(1), file.read(9), file.read(9)) == (3, 1, b"bc", b"")
        other = os.open(tmp_path / "two", os.O_RDONLY)
        os.dup2(other, descriptor)
        os.close(other)
        file.seek(0)
        with pytest.raises(ArchiveIOError, match="was closed by another part of the program"):
            file.read(3)
        file.close()
        assert os.fstat(descriptor)
    finally:
        os.close(descriptor)
