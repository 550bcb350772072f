"""Find trials whose heartbeats stopped, without comparing the clocks of two processes.

Invariants: a process that is seen to live keeps its trials, and one that is known to be dead loses them.
Of a process that cannot be seen, only this process's own clock tells how long no new heartbeat has come.
"""

from __future__ import annotations

import time

from exptrack.database.connection import Connection
from exptrack.sweeps.store import Owner, look_at_owners

BEATING = """
SELECT id, heartbeat_at FROM trial
WHERE study = ? AND state = 'running' AND heartbeat_at IS NOT NULL ORDER BY number
"""


class Heartbeats:
    """The heartbeats of trials, and when this process first saw each."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[int, tuple[str, float]]] = {}  # by study and trial

    def find_stale(self, connection: Connection, study: int, grace_s: float) -> list[int]:
        """Return the row ids of running trials that are stale: `grace_s` seconds after their last heartbeat."""
        owners, now_s = look_at_owners(connection, study), time.monotonic()
        before, seen = self._seen.get(study, {}), {}
        stale = []
        for trial, beat in connection.all(BEATING, (study,)):
            last, since_s = before.get(trial, (beat, now_s))
            seen[trial] = (beat, since_s if last == beat else now_s)
            owner = owners.get(trial, Owner.UNSEEN)
            if owner is Owner.DEAD or (owner is Owner.UNSEEN and now_s - seen[trial][1] > grace_s):
                stale.append(trial)
        self._seen[study] = seen
        return stale
