"""Change the tags of a run, inside the caller's transaction.

Invariant: a run in the trash takes no changes. Every change comes with its event.
"""

from __future__ import annotations

from collections.abc import Iterable

from exptrack.database.connection import Connection, Row
from exptrack.database.row_sums import hash_row
from exptrack.errors import RunNotFoundError, RunTrashedError
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.lease import renew_lease
from exptrack.runs.row_sums import removing_tag
from exptrack.runs.store import INSERT_TAG

PRESENCE = "SELECT deleted_at FROM run WHERE id = ?"
DELETE_TAG = "DELETE FROM run_tag WHERE run = ? AND tag = ?"


def require_present(connection: Connection, run: int, run_id: str) -> Row:
    """Return the row that tells whether a run is in the trash.

    Raises:
        RunNotFoundError: the run has been deleted.
    """
    row = connection.one(PRESENCE, (run,))
    if row is None:
        raise RunNotFoundError(run_id, str(connection.path))
    return row


def require_changeable(connection: Connection, run: int, run_id: str) -> None:
    """Raise if the run is deleted or in the trash; renew its lease. Call inside a transaction."""
    if require_present(connection, run, run_id)["deleted_at"] is not None:
        raise RunTrashedError(run_id)
    renew_lease(connection, run)


def add_tags(connection: Connection, run: int, tags: Iterable[str]) -> bool:
    """Add tags, and return whether the run lacked one. Call inside a transaction."""
    lacked = False
    for tag in tags:
        now = time_of_event(connection, run)
        if connection.execute(INSERT_TAG, (run, tag, now)).rowcount:
            rows = hash_row("run_tag", (tag, now))
            record_event(connection, run, "tag", {"tag": tag}, at=now, rows=rows)
            lacked = True
    return lacked


def remove_tags(connection: Connection, run: int, tags: Iterable[str]) -> bool:
    """Remove tags, and return whether the run had one. Call inside a transaction."""
    had = False
    for tag in tags:
        with removing_tag(connection, run, tag):
            removed = connection.execute(DELETE_TAG, (run, tag)).rowcount
        if removed:
            record_event(connection, run, "untag", {"tag": tag})
            had = True
    return had
