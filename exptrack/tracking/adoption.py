"""Let the first `start_run` of a script take the run that `exptrack run` has started for it.

Invariants:

- A run is taken once. Each later run that begins under it, also in another process, has it as its parent.
- A start that asks for what only a new run can have takes none: another owner, another start, another
  machine. So does one in another archive.
- Where the run is of a process that is no Python, the first of all processes that starts a run takes it.
"""

from __future__ import annotations

import os

from exptrack.config.growth import read_addition
from exptrack.database.connection import Connection, in_section
from exptrack.errors import RunNotFoundError
from exptrack.runs.events import record_event
from exptrack.runs.lookup import resolve_run
from exptrack.runs.store import save_origin
from exptrack.tracking.activation import RUN_VARIABLE, Asked
from exptrack.tracking.run import Run, unpickle_run

ADOPT_EVENT = "adopt"  # the script's own start took the run
CLAIM_VARIABLE = "EXPTRACK_CLAIM"  # a path; whoever makes this file takes the run


_waiting: list[Run] = []


def offer(run: Run) -> None:
    """Let the next start in this process take a run that is live here."""
    _waiting.append(run)


def withdraw(run: Run) -> None:
    """Let no start take a run any more."""
    if run in _waiting:
        _waiting.remove(run)


def take(connection: Connection, kind: type[Run], asked: Asked) -> Run | None:
    """Return the run that waits for the script, with what the start asks for; None if none does. Commits.

    Raises:
        ConfigError, InvalidTypeError, InvalidValueError, ExternalIdError: the run cannot have it. It waits on.
    """
    run = _find_offered(connection)
    if run is not None:
        _give(run, asked)
        _waiting.remove(run)
        _become(run, kind)
        return run
    run = _find_claimable(connection, kind)
    if run is not None:
        try:
            _give(run, asked)
        except BaseException:
            os.unlink(os.environ[CLAIM_VARIABLE])
            raise
    return run


def _become(run: Run, kind: type[Run]) -> None:
    """Make a handle one of another class, by what becomes of its errors."""
    if type(run) is kind:
        return
    run.__class__ = kind
    if kind is not Run:
        from exptrack.tracking.lenient import LeftOut, LenientRun

        assert isinstance(run, LenientRun)
        run._left_out = LeftOut(run)


def _find_offered(connection: Connection) -> Run | None:
    return next(
        (run for run in reversed(_waiting) if run._live and run._connection.place == connection.place), None
    )


def _find_claimable(connection: Connection, kind: type[Run]) -> Run | None:
    path = os.environ.get(CLAIM_VARIABLE)
    if not path:
        return None
    try:
        run = unpickle_run(connection, os.environ[RUN_VARIABLE], kind)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except (RunNotFoundError, OSError):  # of another archive, or taken; or `exptrack run` has ended
        return None
    return run


def find_parent(connection: Connection) -> str | None:
    """Return the id of the run under which this process runs; None if this archive does not have it."""
    try:
        return str(resolve_run(connection, os.environ[RUN_VARIABLE])["run_id"])
    except RunNotFoundError:
        return None


def _give(run: Run, asked: Asked) -> None:
    addition = read_addition(asked.config) if asked.config is not None else None
    _store_origin(run, asked)
    if addition is not None:
        run._grow(addition, allow_change=True)
    run.add_tag(*asked.tags)
    if asked.name is not None:
        run.rename(asked.name)
    if asked.group is not None:
        run.set_group(asked.group)


@in_section
def _store_origin(run: Run, asked: Asked) -> None:
    connection, row = run._connection, run._run
    with connection.transaction():
        if asked.parent is not None or asked.external_id is not None or asked.data:
            save_origin(connection, row, parent=asked.parent, external_id=asked.external_id, data=asked.data)
        record_event(connection, row, ADOPT_EVENT, {"parent": asked.parent, "external_id": asked.external_id})
