"""Know which process owns a running run, and whether that process is still alive.

Invariant: a run is ``running`` exactly while a ``run_owner`` row names its process.
"""

from __future__ import annotations

from exptrack.database.connection import Connection, Row
from exptrack.database.damage import decoding_rows
from exptrack.process import ProcessIdentity, is_alive

OWNERS = "SELECT run, host_id, boot_id, pid, pid_started FROM run_owner ORDER BY run"
SELECT_OWNER = "SELECT host_id, boot_id, pid, pid_started FROM run_owner WHERE run = ?"
INSERT_OWNER = "INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started) VALUES (?, ?, ?, ?, ?)"
DELETE_OWNER = "DELETE FROM run_owner WHERE run = ?"


@decoding_rows
def find_dead_runs(connection: Connection) -> list[int]:
    """Return the row ids of runs that are marked running although their process, on this host, is gone."""
    return [row["run"] for row in connection.all(OWNERS) if is_alive(identity_of_owner(row)) is False]


def identity_of_owner(row: Row) -> ProcessIdentity:
    """Return the process that a ``run_owner`` row names."""
    return ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])
