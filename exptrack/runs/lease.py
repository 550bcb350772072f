"""Keep a run alive by heartbeats where no process owns it.

Invariants:

- A run with a lease is dead once its last heartbeat lies further back than the lease, by the reader's clock.
  Where a clock was set back, the heartbeat lies in the future, and the run lives.
- Every write to the run renews the lease, in the transaction of the write, but at most four times in the length
  of the lease.
"""

from __future__ import annotations

from datetime import UTC, datetime

from exptrack.database.connection import Connection
from exptrack.runs.row_sums import changing_run
from exptrack.times import MILLISECOND, moment, utc_text

PROCESS, LEASE = "process", "lease"  # what owns a run

LEASE_OF = """
SELECT r.heartbeat_at, o.lease_s FROM run_owner AS o JOIN run AS r ON r.id = o.run
WHERE o.run = ? AND o.lease_s IS NOT NULL
"""
RENEW = """
UPDATE run SET heartbeat_at = max(?, started_at), duration_ms = duration_ms + ? WHERE id = ?
"""
RENEWALS = 4  # in the length of a lease, at most


def has_lapsed(heartbeat_at: str, lease_s: float) -> bool:
    """Whether the last heartbeat of a run lies further back than its lease."""
    return (datetime.now(UTC) - moment(heartbeat_at)).total_seconds() > lease_s


def renew_lease(connection: Connection, run: int, *, at_once: bool = False) -> None:
    """Store that a run with a lease is alive, if that is due or `at_once`; a run without one is left alone.

    Call inside a transaction.
    """
    row = connection.one(LEASE_OF, (run,))
    if row is not None:
        renew_if_due(connection, run, row["heartbeat_at"], row["lease_s"], at_once=at_once)


def renew_if_due(
    connection: Connection, run: int, heartbeat_at: str, lease_s: float, *, at_once: bool = False
) -> None:
    """Store that a run with this lease is alive, if that is due or `at_once`. Call inside a transaction."""
    now = datetime.now(UTC)
    since = now - moment(heartbeat_at)
    # Before zero the clock was set back.
    if at_once or not 0 <= since.total_seconds() < lease_s / RENEWALS:
        with changing_run(connection, run):
            connection.execute(RENEW, (utc_text(now), max(0, since // MILLISECOND), run))
