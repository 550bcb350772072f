"""Delete runs with everything they hold, and the bytes that no other run uses.

Invariant: rows and bytes go in the caller's transaction, all or none.
"""

from __future__ import annotations

from collections.abc import Sequence

from exptrack.artifacts.blobs import Collected, collect_unused, list_blobs_of_run
from exptrack.config.store import read_source_ids, remove_unused_sources
from exptrack.database.connection import Connection, Row
from exptrack.errors import RunBusyError
from exptrack.records import RunStatus

DELETE_RUN = "DELETE FROM run WHERE id = ?"


def delete_runs(
    connection: Connection, rows: Sequence[Row], advice: str = "stop that process first"
) -> Collected:
    """Delete the runs of these rows, each given once. Call inside a transaction.

    Raises:
        RunBusyError: one of the runs is running; the error gives the advice.
    """
    sources = {source for row in rows for source in read_source_ids(connection, row["id"])}
    blobs = [blob for row in rows for blob in list_blobs_of_run(connection, row["id"])]
    for row in rows:
        if row["status"] == RunStatus.RUNNING:
            raise RunBusyError(row["run_id"], f"on {row['host']}", advice)
        connection.execute(DELETE_RUN, (row["id"],))
    remove_unused_sources(connection, sources)
    return collect_unused(connection, blobs)
