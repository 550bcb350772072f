"""Know which process owns a running run, and whether that process is still alive.

Invariant: a run is ``running`` exactly while a ``run_owner`` row names its process.
"""

from __future__ import annotations

from collections.abc import Callable

from exptrack.database.connection import Connection, Row
from exptrack.process import ProcessIdentity, is_alive

OWNERS = "SELECT run, host_id, boot_id, pid, pid_started FROM run_owner ORDER BY run"
SELECT_OWNER = "SELECT host_id, boot_id, pid, pid_started FROM run_owner WHERE run = ?"
INSERT_OWNER = "INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started) VALUES (?, ?, ?, ?, ?)"
DELETE_OWNER = "DELETE FROM run_owner WHERE run = ?"


def find_dead_runs(
    connection: Connection, is_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> list[int]:
    """Return the row ids of runs that are marked running although their process is gone.

    `is_dead` is asked about each process that cannot be seen from here.
    """
    dead = []
    for row in connection.all(OWNERS):
        owner = identity_of_owner(row)
        alive = is_alive(owner)
        if alive is False or (alive is None and is_dead(owner)):
            dead.append(row["run"])
    return dead


def identity_of_owner(row: Row) -> ProcessIdentity:
    """Return the process that a ``run_owner`` row names."""
    return ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])
