"""Keep the live runs of this process: store their heartbeats, and end them when the interpreter exits.

Invariant: a run is in `LIVE` from its start or resumption to its end, even if the script drops its handle. So
every run is ended when the script ends.
"""

from __future__ import annotations

import os
import time

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveClosedError, ExptrackError, RunFinishedError, RunNotFoundError, warn
from exptrack.metrics.writer_users import LeftByParent
from exptrack.records import RunStatus
from exptrack.threads import Worker
from exptrack.tracking.ending import describe_exit, find_ending_error, find_exit, find_stop, has_failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol


HEARTBEAT_S = 30.0
NEVER_ENDED = "the script ended without complete() or fail(); start the run in a 'with' block"


if TYPE_CHECKING:

    class LiveRun(Protocol):
        """A run that is live in this process, as the heartbeat and the interpreter's exit see it."""

        run_id: str
        _completes_at_exit: bool
        _connection: Connection
        _began: float
        _left: LeftByParent | None

        @property
        def _live(self) -> bool: ...
        @property
        def status(self) -> RunStatus: ...
        def beat(self) -> None: ...
        def _end_as_wanted(self) -> bool: ...
        def _inherit(self) -> bool: ...
        def _has_heirs(self) -> bool: ...
        def _hand_over(self) -> None: ...
        def interrupt(self, reason: str) -> None: ...
        def complete(self) -> None: ...
        def fail(self, reason: str | BaseException) -> None: ...


LIVE: set[LiveRun] = set()


def announce(run: LiveRun) -> None:
    """Add a run to the live ones, and start this process's heartbeat thread if it has none.

    One daemon thread serves all runs of a process. A forked child does not inherit it and starts its own.
    """
    global _heartbeat
    LIVE.add(run)
    if _heartbeat is None or _heartbeat.pid != os.getpid():
        _heartbeat = _Heartbeat()
    # Where no thread can begin, the next run tries again; `flush` stores that the run is alive too.
    _heartbeat.worker.begin()


def _list_open_runs() -> list[LiveRun]:
    return [run for run in list(LIVE) if run._live and not run._connection.closed]


def is_live_here(place: Path, run_id: str) -> bool:
    """Whether the run is live in this process, in the archive file at this place and not in a copy of it."""
    return any(run.run_id == run_id and run._connection.place == place for run in _list_open_runs())


class _Heartbeat:
    """The thread that stores the heartbeats of one process's runs, every 30 s; a fork does not move them."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.worker = Worker(self._beat_until_stopped, "exptrack-heartbeat")
        self._failing: set[LiveRun] = set()
        self._due = time.monotonic() + HEARTBEAT_S

    def _beat_until_stopped(self) -> None:
        while not self.worker.wait(self._due - time.monotonic()):
            self._due = time.monotonic() + HEARTBEAT_S
            self.beat_once()

    def beat_once(self) -> None:
        """Store a heartbeat of each open run. Warn of a run where this fails, unless it failed before."""
        runs = _list_open_runs()
        self._failing.intersection_update(runs)
        for run in runs:
            try:
                run.beat()
                copy_to_spool(run._connection)
                self._failing.discard(run)
            except ArchiveClosedError:
                continue
            except ExptrackError as error:
                # Training goes on. The next flush() raises the same error if its cause remains.
                if run not in self._failing:
                    self._failing.add(run)
                    warn(f"the heartbeat of run {run.run_id} could not be stored: {error}")


def copy_to_spool(connection: Connection) -> None:
    """Copy an archive to its spool if it is worked on elsewhere, and its last copy is old.

    Raises:
        ExptrackError: it could not be copied.
    """
    if connection.spooled is not None:
        from exptrack.tracking.spool_copies import copy_if_due

        copy_if_due(connection)


_heartbeat: _Heartbeat | None = None


def end_open_runs() -> None:
    """End the runs that are still open when the interpreter exits, by how the script ended.

    ``import exptrack`` registers this, so it runs after each exit hook that is registered later.
    """
    error, exit_error = find_ending_error(), find_exit()
    for run in list(LIVE):
        try:
            if run._connection.closed or not (run._live or run._inherit()):
                continue
            if run._end_as_wanted():
                continue
            if isinstance(error, KeyboardInterrupt):
                run.interrupt("interrupted from the keyboard")
            elif error is not None:
                run.fail(error)
            elif run._completes_at_exit and exit_error is not None and has_failed(exit_error):
                _end_by_exit(run, exit_error)
            elif run._has_heirs():
                run._hand_over()
            elif run._completes_at_exit:
                run.complete()
            else:
                run.interrupt(NEVER_ENDED)
        except (RunFinishedError, RunNotFoundError):
            continue
        except ExptrackError as problem:
            # No caller is left to catch it. Logged points stay in the journal for the next opener.
            warn(f"run {run.run_id} could not be ended: {problem}")


def _end_by_exit(run: LiveRun, error: SystemExit) -> None:
    stopped = find_stop(error)
    if stopped is None:
        run.fail(describe_exit(error))
    else:
        run.interrupt(stopped)
