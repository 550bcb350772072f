"""Let a test change rows in its own thread, as the archive's thread for changes does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exptrack.database.connection import Connection
from exptrack.database.opened_file import SECTION


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
