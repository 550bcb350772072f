"""The default archive's connection, shared by everything that is not told another file.

Invariant: one connection per path. The path is looked up anew at each call (``EXPTRACK_DB``, else
``exptrack.db`` in the working folder), so a script needs no ceremony and a test can change it.
"""

from __future__ import annotations

from pathlib import Path

from exptrack.connection import Connection
from exptrack.migrations import archive_path, open_connection

_OPEN: dict[Path, Connection] = {}


def default_connection() -> Connection:
    """The open connection of the default archive, which is created when it does not exist."""
    path = archive_path(None)
    connection = _OPEN.get(path)
    if connection is None or connection.closed or not path.exists():
        connection = _OPEN[path] = open_connection(path)
    return connection
