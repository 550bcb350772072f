"""Translate errors of SQLite into those of exptrack, and refuse a SQLite that is too old.

Invariant: a result code that the table does not know stays an error of SQLite: it is a mistake in exptrack.
"""

from __future__ import annotations

import errno
import os
import sqlite3

from exptrack.database.disk import NO_ROOM, find_obstacle
from exptrack.errors import (
    ArchiveCorruptError,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveLockedError,
    ArchiveReadOnlyError,
    ConflictError,
    ExptrackError,
    InvalidTypeError,
    NotAnArchiveError,
    UnsupportedSqliteError,
)

OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables
SQLITE_VERSION = sqlite3.sqlite_version

# What reading a damaged row raises: an error of SQLite, or of the code that takes its value.
DAMAGE = (
    ArchiveCorruptError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    sqlite3.Error,
)

FAILURES: dict[int, tuple[type[ExptrackError], str]] = {
    sqlite3.SQLITE_BUSY: (
        ArchiveLockedError,
        "another process holds the lock of {path}, and waiting {waited_s:.1f} s was in vain; try again when"
        " that process has ended",
    ),
    sqlite3.SQLITE_LOCKED: (
        ArchiveLockedError,
        "{path} is locked by a statement of this process that is still running; finish it first",
    ),
    sqlite3.SQLITE_NOTADB: (
        NotAnArchiveError,
        "{path} is not an exptrack archive and was left untouched; check the path",
    ),
    # Of a read that fails with EIO too: SQLite takes it for a damaged file system, and keeps no code of it.
    sqlite3.SQLITE_CORRUPT: (
        ArchiveCorruptError,
        "{path} is damaged, or the disk failed to read it ({error}); 'exptrack verify' tells where, and"
        " 'exptrack salvage' saves what is sound",
    ),
    sqlite3.SQLITE_FULL: (
        ArchiveFullError,
        "there is no room to write {path}, because its disk is full or a quota is used up; free disk space and"
        " try again",
    ),
    sqlite3.SQLITE_READONLY: (
        ArchiveReadOnlyError,
        "{path} cannot be written; check the permissions of the file and its folder, and whether its disk is"
        " mounted for reading only",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        ArchiveIOError,
        "{path} cannot be opened, or its -wal file cannot be created beside it; check the permissions",
    ),
    sqlite3.SQLITE_IOERR: (
        ArchiveIOError,
        "the operating system failed to read or write {path} ({error}); check the disk",
    ),
    sqlite3.SQLITE_PROTOCOL: (
        ArchiveIOError,
        "{path} cannot be locked ({error}), because something closed the descriptors of another connection of"
        " this process to it; start the process again",
    ),
    sqlite3.SQLITE_PERM: (ArchiveReadOnlyError, "{path} may not be accessed; check its permissions"),
}


# What SQLite's binding raises. Of a schema whose text is damaged, the message itself may not be UTF-8.
SQLITE_FAILURE = (sqlite3.Error, UnicodeDecodeError)
SQLITE_CONSTRAINT_DATATYPE = sqlite3.SQLITE_CONSTRAINT | 12 << 8  # sqlite3 has no name for it
# How messages without a code of their own begin: a statement of exptrack met a value that it never stores.
OF_WRONG_VALUES = ("Could not decode", "user-defined ", "malformed JSON", "integer overflow", "JSON ")


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse an SQLite library without STRICT tables.

    Raises:
        UnsupportedSqliteError: Python's SQLite is older than 3.37.
    """
    if version < OLDEST_SQLITE:
        raise UnsupportedSqliteError(
            f"exptrack needs SQLite 3.37 or newer, but this Python has {'.'.join(map(str, version))};"
            " install a newer Python, which brings its own SQLite"
        )


def primary_code(error: Exception) -> int:
    """Return the low byte of an extended result code; 0 for errors of Python's binding itself."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_of_wrong_value(error: Exception) -> bool:
    """Whether a statement of exptrack failed because of a value that exptrack never stores."""
    if primary_code(error) not in (0, sqlite3.SQLITE_ERROR):
        return False
    return isinstance(error, UnicodeDecodeError) or str(error).startswith(OF_WRONG_VALUES)


def is_of_argument(error: Exception) -> bool:
    """Whether a caller's value has a type that SQLite, or the column, does not take."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code == SQLITE_CONSTRAINT_DATATYPE or str(error).startswith("Error binding parameter")


def translate(error: Exception, path: str | os.PathLike[str], waited_s: float = 0.0) -> Exception:
    """Return exptrack's error for an error of SQLite on the file at `path`, or that error itself.

    `waited_s` is how long the call has waited for the lock.
    """
    if _is_of_foreign_key(error):
        return ConflictError(
            f"a table in {path} that exptrack did not make refers to what is to be deleted; delete its rows"
            " first, or declare its foreign key with ON DELETE CASCADE"
        )
    if is_of_argument(error):
        return InvalidTypeError(
            f"a value has a type that {path} does not take ({error}); give text, a number, bytes or None"
        )
    code = primary_code(error)
    if is_of_wrong_value(error):
        code = sqlite3.SQLITE_CORRUPT
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        code = _find_cause(code, path)
    failure = FAILURES.get(code)
    if failure is None:
        return error
    kind, message = failure
    return kind(message.format(path=path, error=error, waited_s=waited_s), path=str(path))  # type: ignore[call-arg]


def _is_of_foreign_key(error: Exception) -> bool:
    """Whether a row to which another refers was to be deleted. ON DELETE RESTRICT fails as a trigger."""
    code = getattr(error, "sqlite_errorcode", 0)
    is_restricted = code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and str(error) == "FOREIGN KEY constraint failed"
    return code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY or is_restricted


def _find_cause(code: int, path: str | os.PathLike[str]) -> int:
    """Return the code that says why a file could not be written, where the system tells it again."""
    obstacle = find_obstacle(path)
    if obstacle in NO_ROOM:
        return sqlite3.SQLITE_FULL
    return sqlite3.SQLITE_READONLY if obstacle == errno.EROFS else code


def busy_error() -> sqlite3.Error:
    """Return the error of SQLite that says that another connection holds the lock."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error
