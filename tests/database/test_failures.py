"""Errors of SQLite say what is wrong and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from exptrack import ArchiveCorruptError
from exptrack.database.failures import translate


def test_a_page_that_cannot_be_read_is_told_as_damage_or_a_failing_disk() -> None:
    """SQLite gives one code for both."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    found = translate(error, Path("lab.db"))
    assert isinstance(found, ArchiveCorruptError)
    assert "lab.db is damaged, or the disk failed to read it" in str(found)
