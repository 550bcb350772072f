"""Opening an archive: is it ours, is it current, and if not, make it so.

Invariants: the format's version is ``user_version`` and equals the number of the last file in
``schema/``. A migration, the record of it and the new version commit together, so a failure at any
statement leaves the file as it was. A file that is not ours, or newer than us, is never written.
Sixteen processes that create the same file apply one migration between them.
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from exptrack import __version__
from exptrack.database.connection import Connection, complete_statements
from exptrack.errors import (
    ArchiveTooNewError,
    ExptrackError,
    MigrationError,
    NotAnArchiveError,
)
from exptrack.times import utc_text

APPLICATION_ID = 0x45585054  # "EXPT"
_MIGRATION_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

INSERT_MIGRATION = """
INSERT INTO migration (number, name, sha256, applied_at, library) VALUES (?, ?, ?, ?, ?)
"""
COUNT_OBJECTS = "SELECT count(*) FROM sqlite_schema"
SCHEMA_OBJECTS = """
SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, name
"""
FOREIGN_TRIGGERS = "SELECT name FROM sqlite_schema WHERE type = 'trigger' LIMIT 1"


class Migration(NamedTuple):
    """One file of ``schema/``."""

    number: int
    name: str
    text: str


def schema_folder() -> Path:
    """Where the ``.sql`` files are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "schema"
    return inside if inside.is_dir() else package.parent / "schema"


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration, in order.

    Raises:
        MigrationError: the installation is broken: no file, or a gap in the numbers.
    """
    found = []
    for file in sorted(schema_folder().glob("[0-9]*.sql")):
        match = _MIGRATION_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{file.name} is not named NNNN_verb_noun.sql")
        found.append(Migration(int(match[1]), file.name, file.read_text(encoding="utf-8")))
    if not found or [m.number for m in found] != list(range(1, len(found) + 1)):
        raise MigrationError("the installation of exptrack is incomplete: schema/*.sql; reinstall it")
    return tuple(found)


def latest_version() -> int:
    """The format this library writes."""
    return _version_by_names()


@cache
def _version_by_names() -> int:
    # Names alone: opening a current archive need not read the schema's text.
    return max(int(name[:4]) for name in os.listdir(schema_folder()) if _MIGRATION_NAME.fullmatch(name))


def _too_new(place: Path, version: int) -> ArchiveTooNewError:
    return ArchiveTooNewError(
        f"{place} has format {version}; this exptrack {__version__} writes format {latest_version()}."
        " Upgrade exptrack to change it; reading works.",
        path=str(place),
    )


def migrate(connection: Connection) -> None:
    """Apply every migration the file lacks, in one transaction.

    Raises:
        MigrationError: a statement failed; the file is unchanged.
    """
    place = connection.path
    # Only a file without a table can still take it; the pragma is ignored on any other.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with connection.transaction():
        version = int(connection.value("PRAGMA user_version"))
        if version == latest_version():
            return
        if version > latest_version():
            raise _too_new(place, version)
        if version == 0 and int(connection.value(COUNT_OBJECTS)):
            raise NotAnArchiveError(f"{place} holds another program's tables", path=str(place))
        for migration in migrations()[version:]:
            try:
                _apply(connection, migration)
            except ExptrackError:
                raise
            except Exception as error:
                raise MigrationError(
                    f"{place}: {migration.name} failed ({error}); the file is unchanged",
                    path=str(place),
                ) from error


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in complete_statements(migration.text):
        connection.execute(statement)
    digest = hashlib.sha256(migration.text.encode()).hexdigest()
    connection.execute(INSERT_MIGRATION, (migration.number, migration.name, digest, utc_text(), __version__))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {migration.number}")


def schema_text(connection: Connection) -> str:
    """The file's schema as text, in the order of ``schema/current.sql``."""
    rows = connection.all(SCHEMA_OBJECTS)
    return "\n\n".join(f"{row['sql']};" for row in rows) + "\n"


@cache
def _own_objects() -> frozenset[str]:
    text = (schema_folder() / "current.sql").read_text(encoding="utf-8")
    return frozenset(text.rstrip("\n").split(";\n\n"))


@cache
def own_views() -> frozenset[str]:
    """The names of the views that the schema documents."""
    heads = (text.split(None, 3) for text in _own_objects())
    return frozenset(words[2] for words in heads if words[:2] == ["CREATE", "VIEW"])


def require_own_schema(connection: Connection) -> None:
    """Refuse a file whose tables and views are not ours, or that carries triggers.

    Views and tables that users add are welcome. A newer file is taken at its word, for reading.

    Raises:
        NotAnArchiveError: one of our objects is missing or changed, or there is a trigger.
    """
    version = int(connection.value("PRAGMA user_version"))
    if int(connection.value("PRAGMA application_id")) != APPLICATION_ID or version == 0:
        raise NotAnArchiveError(f"{connection.path} is not an exptrack archive", path=str(connection.path))
    trigger = connection.value(FOREIGN_TRIGGERS)
    if trigger is not None:
        raise NotAnArchiveError(
            f"{connection.path} carries the trigger {trigger!r}, which exptrack never makes; not opened",
            path=str(connection.path),
        )
    if version != latest_version():
        return
    present = {str(row["sql"]).rstrip(";") for row in connection.iterate(SCHEMA_OBJECTS)}
    missing = {text.rstrip(";\n") for text in _own_objects()} - present
    if missing:
        first = min(missing).split("\n", 1)[0]
        raise NotAnArchiveError(
            f"{connection.path}: the schema is not exptrack's ({first} …); not opened",
            path=str(connection.path),
        )
