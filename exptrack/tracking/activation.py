"""Keep the runs whose blocks are open around a call, and find the one that is current.

Also what a start asks for, which is a new run or one that waits to be taken (see ``adoption``).

Invariants:

- A block of a run holds in its own context: a thread and an asyncio task do not see the blocks of another.
- A run that has ended is never current, also where its block is still open.
"""

from __future__ import annotations

from contextvars import ContextVar

from exptrack.errors import RunNotFoundError
from exptrack.named_tuples import NamedTuple
from exptrack.records import RunStatus
from exptrack.tracking.heartbeat import LIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from exptrack.tracking.heartbeat import LiveRun

RUN_VARIABLE = "EXPTRACK_RUN"  # the run of `exptrack run`, in the environment of what it runs


class Asked(NamedTuple):
    """What a script asks for as it starts a run, checked; only the config is as it was given."""

    config: object
    tags: list[str]
    data: dict[str, str]
    name: str | None
    group: str | None
    parent: str | None
    external_id: str | None


_entered: ContextVar[tuple[LiveRun, ...]] = ContextVar("exptrack_entered_runs", default=())


def enter(run: LiveRun) -> None:
    """Begin a block of a run in this context."""
    _entered.set((*_entered.get(), run))


def leave(run: LiveRun) -> None:
    """End the innermost block of a run. A generator may be closed in a context that never entered it."""
    entered = _entered.get()
    for place in range(len(entered) - 1, -1, -1):
        if entered[place] is run:
            _entered.set(entered[:place] + entered[place + 1 :])
            return


def find_current() -> LiveRun | None:
    """Return the run of the innermost block, else the newest live run of this process; None if none is open."""
    for run in reversed(_entered.get()):
        if _is_open(run):
            return run
    # Where two began at one reading of the clock, the ids tell: they sort in the order of making.
    newest_first = sorted(LIVE, key=lambda run: (run._began, run.run_id), reverse=True)
    return next(filter(_is_open, newest_first), None)


def _is_open(run: LiveRun) -> bool:
    if run._connection.closed:
        return False
    # A forked child that must not use SQLite cannot look. Its calls log, and raise once the run has ended.
    if run._live or (run._left is not None and run._connection.find_danger() is not None):
        return True
    try:
        return run.status is RunStatus.RUNNING
    except RunNotFoundError:
        return False
