"""The seal of a file: how many rows it has, a digest of its content, and one of all its points.

A file is sealed to be handed on unchanged: `pack` writes the seal, `verify` proves it. ``docs/format.md`` has
the recipes. The row of the seal has a checksum of its own, as other rows have.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from exptrack import __version__
from exptrack.database.connection import Connection
from exptrack.database.own_schema import has_table, own_tables
from exptrack.database.row_sums import hash_row
from exptrack.hashed_lists import encode_list
from exptrack.portable.digest import DIGEST_FORMAT, digest_content
from exptrack.portable.findings import Problem

SEAL = "SELECT format, row_counts, content, points FROM seal WHERE id = 1"
INSERT_SEAL = """
INSERT INTO seal (id, format, library, sealed_at, row_counts, content, points, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
LATER_MIGRATIONS = "SELECT count(*) FROM migration WHERE number > ?"
COUNT_ROWS = "SELECT count(*) FROM {table}"
KNOWN_FORMATS = (1, DIGEST_FORMAT)  # the first tells of no page views, which a file had no table for
DELETE_SEAL = "DELETE FROM seal"
MOST_TABLES_NAMED = 5


class PointsDigest:
    """The SHA-256 over all points: a line for each series, by run id and name.

    A line is the list of run id, name, number of points and the SHA-256 of the points, and a newline. Points
    enter that by blocks: the four columns of each, see :class:`exptrack.metrics.store.PointsChecksum`.
    """

    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def add(self, run_id: str, name: str, count: int, points: str) -> None:
        """Add a series. They come by run id, and those of a run by name."""
        self._all.update(encode_list((run_id, name, count, points)) + b"\n")

    def value(self) -> str:
        """Return the digest of all points so far, in hex."""
        return self._all.hexdigest()


def is_sealed(connection: Connection) -> bool:
    """Whether the file has a seal, whether or not it is right."""
    return connection.one(SEAL) is not None


def count_own_rows(connection: Connection) -> dict[str, int]:
    """Return the number of rows of each table of exptrack but the seal's, by its name.

    A table that a later format brought is not in a file that was sealed before.
    """
    tables = sorted(own_tables() - {"seal"})
    return {
        table: connection.value(COUNT_ROWS.format(table=table))
        for table in tables
        if has_table(connection, table)
    }


def make_seal(content: str, points: str, row_counts: dict[str, int], sealed_at: str) -> tuple[Any, ...]:
    """Return the row of a seal, as INSERT_SEAL takes it."""
    counts = json.dumps(row_counts, separators=(",", ":"))
    row = (1, DIGEST_FORMAT, __version__, sealed_at, counts, content, points)
    return (*row, hash_row("seal", row))


def check_seal(connection: Connection, file: str, points: str) -> Iterator[Problem]:
    """Prove the seal, if there is one. `points` is the digest of all points as they are."""
    seal = connection.one(SEAL)
    if seal is None:
        return
    if seal["format"] not in KNOWN_FORMATS:
        message = f"its format {seal['format']!r} is unknown; upgrade exptrack to prove it"
        yield Problem("seal", file, message)
        return
    sealed = json.loads(seal["row_counts"])
    found = _leave_out_migrated(connection, count_own_rows(connection), sealed)
    differ = sorted(table for table in {*sealed, *found} if sealed.get(table) != found.get(table))
    for table in differ[:MOST_TABLES_NAMED]:
        message = (
            f"{table} had {_tell(sealed.get(table))} when it was sealed, and has {_tell(found.get(table))}"
        )
        yield Problem("seal", file, message)
    if len(differ) > MOST_TABLES_NAMED:
        yield Problem(
            "seal", file, f"{len(differ) - MOST_TABLES_NAMED:,} more tables have other numbers of rows"
        )
    if digest_content(connection) != seal["content"]:
        message = "its runs, studies or page views do not say what they said when it was sealed"
        yield Problem("seal", file, message)
    if points != seal["points"]:
        yield Problem("seal", file, "its points are not those that were sealed")


def _leave_out_migrated(
    connection: Connection, found: dict[str, int], sealed: dict[str, int]
) -> dict[str, int]:
    """Return the numbers of rows without what came when a private copy was brought to a later format."""
    later = int(connection.value(LATER_MIGRATIONS, (sealed.get("migration", 0),)))
    found = {**found, "migration": found["migration"] - later}
    return {table: rows for table, rows in found.items() if rows or table in sealed}


def _tell(rows: Any) -> str:
    return "no such table" if rows is None else f"{rows} row{'s' * (rows != 1)}"
