"""Let a test change rows in its own thread, as the archive's thread for changes does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exptrack.database.connection import Connection
from exptrack.database.opened_file import SECTION
from exptrack.database.row_sums import hash_row
from exptrack.portable.verification import WRITER_ROWS
from exptrack.runs.row_sums import OF_RUN, OF_STUDY, OF_TRIAL, sum_all


@contextmanager
def _inside(connection: Connection) -> Iterator[None]:
    before = getattr(connection._local, "inside", "")
    connection._local.inside = SECTION
    try:
        yield
    finally:
        connection._local.inside = before


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """Open a transaction; nests."""
    with _inside(connection), connection.transaction():
        yield


@contextmanager
def reading(connection: Connection) -> Iterator[None]:
    """Open a snapshot; nests."""
    with _inside(connection), connection.snapshot():
        yield


def trace(connection: Connection, tell: Callable[[str], None] | None) -> None:
    """Tell of every statement from now on, also of threads that have used the connection before."""
    connection.trace = tell
    for handle in list(connection._handles):
        with handle.busy:
            handle.close()


@contextmanager
def altering(connection: Connection) -> Iterator[None]:
    """Open a transaction for SQL that writers do not run, and give the rows their checksums afterwards."""
    with changing(connection):
        yield
        for table, parts in (("run", OF_RUN), ("study", OF_STUDY), ("trial", OF_TRIAL)):
            for (row,) in connection.all(f"SELECT id FROM {table}"):
                total = sum_all(connection, parts, row)
                connection.execute(f"UPDATE {table} SET rows_sum = ? WHERE id = ?", (total, row))
        for *row, _checksum in connection.all(WRITER_ROWS):
            checksum = hash_row("blob_writer", row)
            connection.execute(
                "UPDATE blob_writer SET checksum = ? WHERE blob = ? AND holder = ?", (checksum, *row[:2])
            )
