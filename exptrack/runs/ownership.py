"""Which process owns a running run, and whether it still lives."""

from __future__ import annotations

from exptrack.database.connection import Connection, Row
from exptrack.process import ProcessIdentity, is_alive

OWNERS = "SELECT run, host_id, boot_id, pid, pid_started FROM run_owner ORDER BY run"


def identity_of_owner(row: Row) -> ProcessIdentity:
    """The process a ``run_owner`` row names."""
    return ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])


def find_dead_runs(connection: Connection) -> list[int]:
    """Rows of runs that are marked running, on this host, by a process that is gone."""
    return [row["run"] for row in connection.all(OWNERS) if is_alive(identity_of_owner(row)) is False]


SELECT_OWNER = "SELECT host_id, boot_id, pid, pid_started FROM run_owner WHERE run = ?"
INSERT_OWNER = "INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started) VALUES (?, ?, ?, ?, ?)"


DELETE_OWNER = "DELETE FROM run_owner WHERE run = ?"
