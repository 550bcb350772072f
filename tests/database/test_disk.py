"""An error of SQLite that hides its reason tells of a full disk, a quota and a disk that is read-only."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveError, ArchiveFullError, ArchiveIOError, ArchiveReadOnlyError
from exptrack.database.disk import error_of, find_obstacle
from exptrack.database.failures import translate

OBSTACLES = [
    (errno.ENOSPC, ArchiveFullError),
    (errno.EDQUOT, ArchiveFullError),
    (errno.EROFS, ArchiveReadOnlyError),
    (errno.EIO, ArchiveIOError),
    (None, ArchiveIOError),
]
CODES = [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("number", "kind"), OBSTACLES)
def test_the_reason_is_asked_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, number: int | None, kind: type[ArchiveError]
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number or 0))

    if number is not None:
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    found = translate(error, tmp_path / "lab.db")
    assert type(found) is kind
    assert str(tmp_path / "lab.db") in str(found)


@pytest.mark.parametrize(("number", "kind"), OBSTACLES[:-1])
def test_a_file_that_cannot_be_created_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[ArchiveError]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("exptrack.database.opening.os.open", refuse)
    with pytest.raises(kind, match=os.strerror(number)):
        Archive(tmp_path / "lab.db")
    assert not (tmp_path / "lab.db").exists()


def test_a_folder_that_can_be_written_is_no_obstacle(tmp_path: Path) -> None:
    assert find_obstacle(tmp_path / "lab.db") is None
    assert list(tmp_path.iterdir()) == []
    assert find_obstacle(tmp_path / "missing" / "lab.db") == errno.ENOENT
    assert isinstance(error_of(OSError(errno.EACCES, "no"), tmp_path, "is shut"), ArchiveReadOnlyError)
