"""Know which process owns a running run, and whether that process or one forked from it is still alive.

Invariant: a run is ``running`` exactly while it has a ``run_owner`` row. It is dead once the process that the
row names is gone and no process forked from it lives (see ``metrics/journal_locks``). A run with a lease is
dead once the lease has lapsed, whatever became of the process that started it (see ``lease``).
"""

from __future__ import annotations

from collections.abc import Callable

from exptrack.database.connection import Connection, Row
from exptrack.database.damage import decoding_rows
from exptrack.database.presence import has_living_child
from exptrack.database.row_sums import GatheredRows, hash_row
from exptrack.metrics.series_seals import unseal_series
from exptrack.process import ProcessIdentity, current_process, is_alive
from exptrack.runs.events import record_event
from exptrack.runs.lease import has_lapsed
from exptrack.runs.row_sums import changing_run, reopening_run
from exptrack.times import utc_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_OWNERS = """
SELECT o.run, o.host_id, o.boot_id, o.pid, o.pid_started, o.lease_s, r.heartbeat_at
FROM run_owner AS o JOIN run AS r ON r.id = o.run
"""
OWNERS = f"{_OWNERS}ORDER BY o.run"
SELECT_OWNER = f"{_OWNERS}WHERE o.run = ?"
INSERT_OWNER = """
INSERT INTO run_owner (run, host_id, boot_id, pid, pid_started, lease_s) VALUES (?, ?, ?, ?, ?, ?)
"""
DELETE_OWNER = "DELETE FROM run_owner WHERE run = ?"


REOPEN_RUN = """
UPDATE run SET status = 'running', ended_at = NULL, reason = NULL, traceback = NULL, checksum = NULL,
               heartbeat_at = max(?, started_at)
WHERE id = ?
"""
DIED = "its process died without ending the run"
LAPSED = "its lease ran out: nothing was heard of it for longer than that"
VERDICTS = (DIED, LAPSED)  # of runs that were found dead


@decoding_rows
def find_dead_runs(
    connection: Connection, declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> list[int]:
    """Return the row ids of runs that are marked running although their processes are gone, or their leases.

    `declared_dead` is asked about each process that cannot be seen from here.
    """
    return [row["run"] for row in connection.all(OWNERS) if is_run_dead(connection, row, declared_dead)]


def is_run_dead(
    connection: Connection, row: Row, declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> bool:
    """Whether the run of a row of `OWNERS` is dead; `declared_dead` as in `find_dead_runs`."""
    if row["lease_s"] is not None:
        return has_lapsed(row["heartbeat_at"], row["lease_s"])
    owner = identity_of_owner(row)
    return is_dead(connection, owner, declared_dead)


def is_dead(
    connection: Connection,
    owner: ProcessIdentity,
    declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False,
) -> bool:
    """Whether the owner is known to be gone, and with it every process that was forked from it with the run.

    `declared_dead` is asked about an owner that cannot be seen from here; the lock on its journal may prove the
    contrary.
    """
    alive = is_alive(owner)
    if not (declared_dead(owner) if alive is None else not alive):
        return False
    from exptrack.metrics.journal_reader import has_living_family

    # The journal may have been deleted and written again since the fork; the archive file was not.
    return not has_living_family(connection.place, owner) and not has_living_child(connection, owner)


def reopen(connection: Connection, run: int, after: str, *, lease_s: float | None = None, **facts: Any) -> None:
    """Make a run that has ended, or whose owner is gone, one of this process. Call inside a transaction.

    With `lease_s` it belongs to no process, and is alive by its heartbeat.
    """
    with reopening_run(connection, run):
        connection.execute(REOPEN_RUN, (utc_text(), run))
        _name_owner(connection, run, lease_s)
    unseal_series(connection, run)
    record_event(connection, run, "resume", {"after": after, **facts})


def begin_ownership(gathered: GatheredRows, run: int, lease_s: float | None) -> None:
    """Let this process own a run that was only just inserted, by a row among those that are `gathered`."""
    owner = (*current_process(), lease_s)
    gathered.put(INSERT_OWNER, [(run, *owner)])
    gathered.add_to_run(run, hash_row("run_owner", owner))


def name_owner(connection: Connection, run: int) -> None:
    """Let this process own the run in place of another one. Call inside a transaction."""
    with changing_run(connection, run):
        _name_owner(connection, run, None)


def _name_owner(connection: Connection, run: int, lease_s: float | None) -> None:
    connection.execute(DELETE_OWNER, (run,))
    connection.execute(INSERT_OWNER, (run, *current_process(), lease_s))


def identity_of_owner(row: Row) -> ProcessIdentity:
    """Return the process that a ``run_owner`` row names."""
    return ProcessIdentity(row["host_id"], row["boot_id"], row["pid"], row["pid_started"])
