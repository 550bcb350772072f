"""Write a seal into a file that is not packed, so that tests have every table in one file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from exptrack.database.opening import open_connection
from exptrack.portable.pack import seal_file
from exptrack.portable.verification import prove


def seal_in_place(path: Path) -> None:
    """Seal the file as it is, with its live runs and in its journal mode."""
    with closing(open_connection(path)) as connection:
        seal_file(connection, prove(connection, sealing=True).points or "")
