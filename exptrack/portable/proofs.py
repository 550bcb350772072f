"""Prove what the rows of a run say, by the checksums that the file holds of them."""

from __future__ import annotations

from exptrack.database.connection import Connection
from exptrack.runs.row_sums import OF_RUN, sum_all
from exptrack.runs.seal import checksum_run

STORED = "SELECT checksum, rows_sum FROM run WHERE id = ?"


def prove_run(connection: Connection, run: int) -> list[str]:
    """Return what is wrong with the rows of a run, but for its points and the bytes of its artifacts."""
    row = connection.one(STORED, (run,))
    problems = []
    if row is None or sum_all(connection, OF_RUN, run) != row["rows_sum"]:
        problems.append("its rows are not those that were stored")
    elif row["checksum"] is not None and checksum_run(connection, run) != row["checksum"]:
        problems.append("its facts, config or summaries changed after its end")
    return problems
