"""The live runs of this process: the heartbeat, and what is left open when the interpreter ends.

Invariant: a run is in `LIVE` from its start or resumption to its end, whatever becomes of the script's handle
on it, so that it is told how the script ended.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Protocol

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveClosedError, ExptrackError, RunFinishedError, RunNotFoundError, warn

HEARTBEAT_S = 30.0


class LiveRun(Protocol):
    """What a run can be told."""

    run_id: str
    _connection: Connection

    @property
    def _live(self) -> bool: ...
    def _beat(self) -> None: ...
    def interrupt(self, reason: str) -> None: ...
    def fail(self, reason: str | BaseException) -> None: ...


LIVE: set[LiveRun] = set()
_heartbeat_pid = 0


def announce(run: LiveRun) -> None:
    """A run lives from now on. One daemon thread a process beats for all; a forked child needs its own."""
    global _heartbeat_pid
    LIVE.add(run)
    if _heartbeat_pid != os.getpid():
        _heartbeat_pid = os.getpid()
        threading.Thread(target=_beat_forever, name="exptrack-heartbeat", daemon=True).start()


def _list_open_runs() -> list[LiveRun]:
    return [run for run in list(LIVE) if run._live and not run._connection.closed]


def _beat_forever() -> None:
    while True:
        time.sleep(HEARTBEAT_S)
        for run in _list_open_runs():
            try:
                with run._connection.transaction():
                    run._beat()
            except ArchiveClosedError:
                continue
            except ExptrackError as error:
                # Training goes on; whatever is wrong stops the next flush() with the same error.
                warn(f"no heartbeat for run {run.run_id}: {error}")


def _end_open_runs() -> None:
    """At the interpreter's end: a run nobody ended failed with the script, or was left."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    for run in _list_open_runs():
        try:
            if isinstance(error, KeyboardInterrupt):
                run.interrupt("interrupted from the keyboard")
            elif error is not None:
                run.fail(error)
            else:
                run.interrupt("the script ended without complete() or fail(); or use 'with'")
        except (RunFinishedError, RunNotFoundError):
            continue
        except ExptrackError as problem:
            # Nobody is left to catch it. What was logged stays in the journal for the next opener.
            warn(f"run {run.run_id} could not be ended: {problem}")


atexit.register(_end_open_runs)
