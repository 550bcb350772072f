"""Bring a file to the current format by applying ``schema/``.

Invariants:

- The format's version is ``user_version``. It equals the number of the last migration that was applied.
- A migration, its row in the table ``migration`` and the new version commit together. If a statement fails, the
  file stays as it was.
- A file of another program, or of a newer exptrack, is never written.
- When sixteen processes create the same file, each migration is applied once.
"""

from __future__ import annotations

import os
import sqlite3
from functools import cache

from exptrack import __version__
from exptrack.database.connection import Connection, in_section
from exptrack.database.row_sums import hash_row
from exptrack.digests import sha256
from exptrack.errors import ArchiveIOError, ArchiveTooNewError, ExptrackError, MigrationError, NotAnArchiveError
from exptrack.named_tuples import NamedTuple
from exptrack.times import utc_text

APPLICATION_ID = 0x45585054  # "EXPT"
# The characters of a name NNNN_verb_noun.sql after its number. Each opening reads the names, and compiling a
# pattern takes longer.
_OF_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")

INSERT_MIGRATION = """
INSERT INTO migration (number, name, sha256, applied_at, library, checksum) VALUES (?, ?, ?, ?, ?, ?)
"""
COUNT_OBJECTS = "SELECT count(*) FROM sqlite_schema"
SCHEMA_OBJECTS = """
SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""


class Migration(NamedTuple):
    """One file of ``schema/``."""

    number: int
    name: str
    text: str


def schema_folder() -> str:
    """Return the folder of the ``.sql`` files: inside the installed package, or beside it in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    inside = os.path.join(package, "schema")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "schema")


@cache
def migrations() -> tuple[Migration, ...]:
    """Read every migration, in order.

    Raises:
        MigrationError: the installation is broken: files are missing, or one has a wrong name.
        ArchiveIOError: the operating system failed to read them.
    """
    found = []
    folder = schema_folder()
    for name in _list_schema():
        number = _number_of(name)
        if number is not None:
            found.append(Migration(number, name, read_schema(name)))
        elif name[0].isdecimal() and name.endswith(".sql"):
            raise MigrationError(
                f"{os.path.join(folder, name)} is not named NNNN_verb_noun.sql; rename it or reinstall exptrack"
            )
    if not found or [m.number for m in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"files are missing in {folder}; reinstall exptrack")
    return tuple(found)


def _number_of(name: str) -> int | None:
    """Return the number in the name of a migration; None if it is not named as one."""
    number, rest = name[:4], name[4:]
    is_named = number.isdecimal() and len(number) == 4 and rest[:1] == "_" and rest.endswith(".sql")
    return int(number) if is_named and len(rest) > 5 and set(rest[:-4]) <= _OF_NAME else None


def _list_schema() -> list[str]:
    """Return the names in the folder of the schema, sorted.

    Raises:
        ArchiveIOError: the folder cannot be read.
    """
    try:
        return sorted(os.listdir(schema_folder()))
    except OSError as error:
        raise _unreadable(schema_folder(), error) from error


def read_schema(name: str) -> str:
    """Return the text of a file of the schema.

    Raises:
        ArchiveIOError: the file cannot be read.
    """
    place = os.path.join(schema_folder(), name)
    try:
        with open(place, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(place, error) from error


def _unreadable(place: str, error: OSError) -> ArchiveIOError:
    return ArchiveIOError(
        f"{place}, a part of exptrack, cannot be read ({error.strerror}); remove the cause and try again, or"
        " reinstall exptrack",
        path=place,
    )


def latest_version() -> int:
    """Return the format that this library writes."""
    return _highest_number()


@cache
def _highest_number() -> int:
    # The names suffice: opening a current archive need not read the text of the schema.
    numbers = [number for name in _list_schema() if (number := _number_of(name)) is not None]
    if not numbers:
        raise MigrationError(f"files are missing in {schema_folder()}; reinstall exptrack")
    return max(numbers)


@in_section
def bring_up_to_date(connection: Connection) -> None:
    """Apply the migrations that the file lacks, if it lacks any.

    Raises:
        ArchiveTooNewError: a newer exptrack wrote the file.
        NotAnArchiveError: the file holds tables of another program.
        MigrationError: a statement failed; the file is unchanged.
    """
    if not _is_current(connection):
        # SQLite takes this pragma only for a file without a table, and ignores it for any other.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        with connection.transaction():
            _apply_missing(connection)


def _is_current(connection: Connection) -> bool:
    version = int(connection.value("PRAGMA user_version"))
    if version > latest_version():
        raise ArchiveTooNewError(
            f"{connection.file} has format {version}, but exptrack {__version__} writes format"
            f" {latest_version()}; upgrade exptrack to change the file, or open it with mode 'ro' to read it",
            path=connection.file,
        )
    return version == latest_version()


def _apply_missing(connection: Connection) -> None:
    """Apply the missing migrations, unless another process has applied them before this one got the lock."""
    if _is_current(connection):
        return
    place = connection.file
    version = int(connection.value("PRAGMA user_version"))
    if version < 0 or (version == 0 and int(connection.value(COUNT_OBJECTS))):
        raise NotAnArchiveError(
            f"{place} holds tables of another program and was left untouched; choose another path",
            path=place,
        )
    for migration in migrations()[version:]:
        try:
            _apply(connection, migration)
        except ExptrackError:
            raise
        except Exception as error:
            raise MigrationError(
                f"{place} could not be migrated: {migration.name} failed ({error}); the file is unchanged;"
                " try again, or go on with the previous exptrack",
                path=place,
            ) from error


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in split_statements(migration.text):
        connection.execute(statement)
    digest = sha256(migration.text.encode()).hexdigest()
    row = (migration.number, migration.name, digest, utc_text(), __version__)
    connection.execute(INSERT_MIGRATION, (*row, hash_row("migration", row)))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migration.number}")


def split_statements(script: str) -> list[str]:
    """Split an SQL script into statements (``executescript`` would commit the open transaction)."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if ";" in line and sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if pending.strip() and not all(
        line.lstrip().startswith("--") or not line.strip() for line in pending.splitlines()
    ):
        statements.append(pending.strip())
    return statements


def schema_text(connection: Connection) -> str:
    """Return the schema of the file as text, in the order of ``schema/current.sql``."""
    rows = connection.all(SCHEMA_OBJECTS)
    return "\n\n".join(f"{row['sql']};" for row in rows) + "\n"
