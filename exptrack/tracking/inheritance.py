"""Let a run follow the living: a process forked from the one that started it goes on with it.

A script that starts its run and then goes into the background forks, and the parent exits. The run is not
over then: a child has it.

Invariants:

- While the process that started the run lives, a forked child logs to it by commits and ends it only on demand.
- Once that process is gone, the first call of a child that logs or leaves the block makes the run live there:
  with a journal, a heartbeat, and an end when that process ends.
- A process that leaves an open run in order ends it only if no other process of its family lives. Otherwise it
  hands the run over, with an event.
- A run that another process took for dead, although a child had it, is reopened when that child logs.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from functools import partial
from time import monotonic

from exptrack.database.connection import Connection, in_section
from exptrack.errors import RunFinishedError, RunNotFoundError
from exptrack.metrics.log import MetricLog
from exptrack.metrics.writer import drain_own
from exptrack.process import is_alive
from exptrack.records import RunStatus
from exptrack.runs.events import record_event
from exptrack.runs.lease import renew_lease
from exptrack.runs.ownership import DIED, name_owner, reopen
from exptrack.runs.seal import reseal_run
from exptrack.tracking.heartbeat import LIVE, announce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


LOOK_S = 0.5  # how often a child that logs by commits looks whether its parent lives
STATE = "SELECT status, reason FROM run WHERE id = ? AND run_id = ?"
HAND_OVER, INHERIT = "hand over", "inherit"


class Inheritance(MetricLog):
    """The part of a run that passes from a process to those forked from it."""

    _pid: int

    @abstractmethod
    def _beat(self) -> None:
        """Store that the run is alive. Call inside a transaction."""

    # In the child

    def _inherit_if_orphaned(self) -> None:
        left = self._left
        if left is not None and self._pid != os.getpid() and monotonic() >= left.look_again:
            left.look_again = monotonic() + LOOK_S
            self._inherit()

    def _inherit(self) -> bool:
        """Make the run live in this forked child if the process that started it is gone. Commits."""
        left = self._left
        if left is None or self._pid == os.getpid() or is_alive(left.owner) is not False:
            return False
        if self._connection.find_danger() is not None:
            return False  # the next opener ends the run
        try:
            self._become_owner(left.owner.pid, is_covered=left.families[-1].is_joined)
        except (RunFinishedError, RunNotFoundError):
            return False
        return True

    @in_section
    def _become_owner(self, parent: int, *, is_covered: bool) -> None:
        from exptrack.metrics.recovery import recover

        connection = self._connection
        # What the parent logged last comes first: automatic steps go on from there.
        recover(connection, partial(reseal_run, connection))
        with connection.transaction():
            self._require_running()
            # The lock of the parent's journal, if this process has a share of it, says that it lives.
            if not is_covered:
                name_owner(connection, self._run)
            record_event(connection, self._run, INHERIT, {"pid": os.getpid(), "from_pid": parent})
            self._beat()
        self._series = {}
        self._pid = os.getpid()
        self._take_journal()
        announce(self)  # type: ignore[arg-type]  # a Run, which this is a part of

    def _require_running(self) -> None:
        if self._left is not None:
            _reopen_if_taken_for_dead(self._connection, self._run, self.run_id)
        super()._require_running()
        if not self._pid:
            renew_lease(self._connection, self._run)

    # In the parent

    def _store_journals_of_children(self) -> None:
        """Store what children without SQLite logged that have ended. Commits if there is anything."""
        writer = self._writer
        if writer is not None and writer.journal.family.has_forked:
            from exptrack.metrics.recovery import recover

            recover(self._connection, partial(reseal_run, self._connection))

    # Where a process leaves its run

    def _has_heirs(self) -> bool:
        """Whether another process of the family lives. This process leaves the family."""
        writer, left = self._writer, self._left
        families = [] if writer is None else [writer.journal.family]
        if left is not None:
            families += left.families
        living = [family.is_alive() for family in families]  # a list, for this leaves each of them
        return True in living

    @in_section
    def _hand_over(self) -> None:
        """Leave the run, open, to another process of the family. Commits."""
        drain_own(self._connection)
        with self._connection.transaction(durable=True):
            self._require_running()
            record_event(self._connection, self._run, HAND_OVER, {"pid": os.getpid()})
            self._beat()
        self._pid = 0
        LIVE.discard(self)


def _reopen_if_taken_for_dead(connection: Connection, run: int, run_id: str) -> None:
    """Reopen a run that another process marked as dead. Call inside a transaction."""
    row: Any = connection.one(STATE, (run, run_id))
    if row is not None and row["status"] == RunStatus.INTERRUPTED and row["reason"] == DIED:
        reopen(connection, run, row["status"], because="a process forked from its own still lives")
