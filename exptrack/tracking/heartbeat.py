"""Keep the live runs of this process: store their heartbeats, and end them when the interpreter exits.

Invariant: a run is in `LIVE` from its start or resumption to its end, even if the script drops its handle. So
every run is ended when the script ends.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import Protocol

from exptrack.database.connection import Connection
from exptrack.errors import ArchiveClosedError, ExptrackError, RunFinishedError, RunNotFoundError, warn
from exptrack.metrics.writer import LeftByParent
from exptrack.records import RunStatus
from exptrack.threads import Worker

HEARTBEAT_S = 30.0


class LiveRun(Protocol):
    """A run that is live in this process, as the heartbeat and the interpreter's exit see it."""

    run_id: str
    _connection: Connection
    _began: float
    _left: LeftByParent | None

    @property
    def _live(self) -> bool: ...
    @property
    def status(self) -> RunStatus: ...
    def beat(self) -> None: ...
    def end_as_wanted(self) -> bool: ...
    def inherit(self) -> bool: ...
    def has_heirs(self) -> bool: ...
    def hand_over(self) -> None: ...
    def interrupt(self, reason: str) -> None: ...
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
                self._failing.discard(run)
            except ArchiveClosedError:
                continue
            except ExptrackError as error:
                # Training goes on. The next flush() raises the same error if its cause remains.
                if run not in self._failing:
                    self._failing.add(run)
                    warn(f"the heartbeat of run {run.run_id} could not be stored: {error}")


_heartbeat: _Heartbeat | None = None


def _find_ending_error() -> BaseException | None:
    """Return the exception that ended the script; None at a prompt, where no exception ends the interpreter.

    A prompt (IPython, a notebook, ``python -i``) keeps the error of whatever cell failed last, for ever.
    """
    if hasattr(sys, "ps1") or sys.flags.interactive:
        return None
    error: BaseException | None = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return error if error is not None and _left_the_script(error) else None


def _left_the_script(error: BaseException) -> bool:
    """Whether an exception went up to the interpreter itself.

    Test runners and consoles inside a script leave theirs in ``sys`` too, but catch it in a frame of their own.
    """
    trace = error.__traceback__
    if trace is None:  # something has removed it; nothing speaks against the error
        return True
    outermost, script = trace.tb_frame, sys.modules.get("__main__")
    # `python -m` starts a module by a function of runpy.
    return outermost.f_globals is getattr(script, "__dict__", None) or (
        outermost.f_code.co_name == "_run_module_as_main"
    )


def _end_open_runs() -> None:
    """End the runs that are still open when the interpreter exits, by how the script ended."""
    error = _find_ending_error()
    for run in list(LIVE):
        try:
            if run._connection.closed or not (run._live or run.inherit()):
                continue
            if run.end_as_wanted():
                continue
            if isinstance(error, KeyboardInterrupt):
                run.interrupt("interrupted from the keyboard")
            elif error is not None:
                run.fail(error)
            elif run.has_heirs():
                run.hand_over()
            else:
                run.interrupt("the script ended without complete() or fail(); start the run in a 'with' block")
        except (RunFinishedError, RunNotFoundError):
            continue
        except ExptrackError as problem:
            # No caller is left to catch it. Logged points stay in the journal for the next opener.
            warn(f"run {run.run_id} could not be ended: {problem}")


atexit.register(_end_open_runs)
