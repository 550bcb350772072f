"""Let the run with the lowest id keep an external id that runs of several files have."""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.portable.run_rows import RunRows
from exptrack.runs.row_sums import changing_run

HOLDER_OF_EXTERNAL_ID = "SELECT id, run_id FROM run WHERE external_id = ?"
CLEAR_EXTERNAL_ID = "UPDATE run SET external_id = NULL WHERE id = ?"


def settle_external_id(connection: Connection, rows: RunRows) -> RunRows:
    """Return a run without its external id if a run of the archive with a lower id has that."""
    if rows.facts.external_id is None:
        return rows
    holder = connection.one(HOLDER_OF_EXTERNAL_ID, (rows.facts.external_id,))
    if holder is None or holder["run_id"] >= rows.facts.run_id:
        return rows
    return rows._replace(facts=rows.facts._replace(external_id=None))


def take_external_id(connection: Connection, rows: RunRows) -> None:
    """Take the external id of a run from another run that has it in the archive. Call inside a transaction."""
    holder = connection.one(HOLDER_OF_EXTERNAL_ID, (rows.facts.external_id,))
    if holder is not None and holder["run_id"] != rows.facts.run_id:
        with changing_run(connection, holder["id"]):
            connection.execute(CLEAR_EXTERNAL_ID, (holder["id"],))
