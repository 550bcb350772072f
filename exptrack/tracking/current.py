"""Find the current run, so that code which was not given a run finds the one to log to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from exptrack.tracking.activation import find_current

if TYPE_CHECKING:
    from exptrack.tracking.run import Run


def current_run() -> Run | None:
    """Return the run of the innermost block around this call, else the newest live run of this process.

    A block is ``with run:`` or ``with run.activate():``. It holds for its own thread or asyncio task, and for
    tasks that begin in it. A thread that begins in it does not see it: it gets the newest live run. None if no
    run is open.

    A forked child has the runs of its parent until they end. ``docs/logging.md`` says how it logs to them.

    >>> import exptrack
    >>> with exptrack.Archive(tmp_path / "lab.db") as archive:
    ...     with archive.start_run() as outer, archive.start_run() as inner:
    ...         first = exptrack.current_run() is inner
    ...         with outer.activate():
    ...             second = exptrack.current_run() is outer
    ...     first, second
    (True, True)
    """
    return cast("Run | None", find_current())
