"""Start a run, resume one, and mark runs whose process died.

Invariants:

- A run is ``running`` exactly while a ``run_owner`` row names its process. Only that process ends the run, or
  another process that finds it dead.
- Every change is one transaction together with its event.
- The journal is made before anything is written, so a full disk is an error of the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Concatenate, ParamSpec, TypeAlias

from exptrack.capture.code import capture_code
from exptrack.capture.environment import capture_environment, hide_arguments
from exptrack.config.exp_config import make_config
from exptrack.config.store import read_exp_config
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.damage import decoding_rows
from exptrack.errors import RunBusyError, RunNotFoundError
from exptrack.metrics.recovery import recover
from exptrack.metrics.writer import hold_journal
from exptrack.process import ProcessIdentity, is_alive
from exptrack.records import RunStatus
from exptrack.runs.identity import new_run_id
from exptrack.runs.lookup import resolve_run
from exptrack.runs.ownership import (
    DELETE_OWNER,
    DIED,
    SELECT_OWNER,
    find_dead_runs,
    identity_of_owner,
    is_run_dead,
    name_owner,
    reopen,
)
from exptrack.runs.row_sums import changing_run
from exptrack.runs.seal import reseal_run, seal_run
from exptrack.runs.store import NewRun, check_data, check_optional_name, check_tags, insert_run, record_end
from exptrack.runs.trial_link import find_surrounding_trial, join_run, name_trial_run
from exptrack.times import moment, steady_s, utc_text
from exptrack.tracking.run import RUN_STATE, Run
from exptrack.validation import check_flag

END_DEAD_RUN = """
UPDATE run SET status = 'interrupted', ended_at = ?, heartbeat_at = ?, duration_ms = ?, reason = ?
WHERE id = ? AND status = 'running'
"""
LAST_HEARD = "SELECT run_id, started_at, heartbeat_at, duration_ms FROM run WHERE id = ?"
HAS_RESUMED = "SELECT EXISTS (SELECT 1 FROM event WHERE run = ? AND kind = 'resume')"
LAST_TIME = "SELECT coalesce(max(last_time_ms), 0) FROM metric_series WHERE run = ?"
MILLISECOND = timedelta(milliseconds=1)

_P = ParamSpec("_P")
_Begin: TypeAlias = "Callable[Concatenate[Connection, _P], Run]"


def _hold_journal(begin: _Begin[_P]) -> _Begin[_P]:
    """Hold a journal open while `begin` runs, and until its run holds it."""

    @wraps(begin)
    def wrapped(connection: Connection, /, *args: _P.args, **kwargs: _P.kwargs) -> Run:
        with hold_journal(connection):
            return begin(connection, *args, **kwargs)

    return wrapped


def start_run(
    connection: Connection,
    config: object = None,
    tags: Iterable[str] = (),
    *,
    name: str | None = None,
    group: str | None = None,
    parent: object = None,
    data: Mapping[str, str] | Iterable[str] | None = None,
    system_metrics: bool | float = False,
    trial: int | None = None,
) -> Run:
    """Start a run; see :meth:`exptrack.Archive.start_run`.

    The run joins `trial`, a row id. Without it, the run joins the trial that this process runs, if that has no
    run yet.
    """
    sample_every_s = _check_sampling(system_metrics)
    surrounding = find_surrounding_trial(connection) if trial is None else None
    if surrounding is not None:
        trial = surrounding["id"]
        group = surrounding["study"] if group is None else group
        name = name_trial_run(surrounding["study"], surrounding["number"]) if name is None else name
    hide_arguments()
    new = NewRun(
        config=make_config(config).interpolate(),
        tags=check_tags(tags),
        data=check_data(data),
        name=check_optional_name(name, "run name"),
        group=check_optional_name(group, "group"),
        parent=None if parent is None else resolve_run(connection, parent)["run_id"],
        code=capture_code(),
        environment=capture_environment(),
        started_at=datetime.now(UTC),
    )
    began_s = steady_s()
    # Whole milliseconds, so that a time that is given in milliseconds for a point comes back as it was.
    rest = timedelta(microseconds=new.started_at.microsecond % 1000)
    new = new._replace(started_at=new.started_at - rest)
    result = _begin_run(connection, new_run_id(), new, began_s - rest.total_seconds(), trial)
    result._sample_system(sample_every_s)
    return result


@in_section
@_hold_journal
def _begin_run(connection: Connection, run_id: str, new: NewRun, began_s: float, trial: int | None) -> Run:
    with connection.transaction():
        run = insert_run(connection, run_id, new)
        name_owner(connection, run)
        if trial is not None:
            join_run(connection, trial, run_id)
    result = Run(connection, run, run_id, new.started_at, new.config)
    result._go_live(began_s, duration_ms=0, time_ms=0, resumed=False)
    return result


def resume_run(
    connection: Connection,
    run_id: object,
    *,
    take_over: bool = False,
    system_metrics: bool | float = False,
) -> Run:
    """Reopen a run; see :meth:`exptrack.Archive.resume_run`."""
    sample_every_s = _check_sampling(system_metrics)
    take_over = check_flag(take_over, "take_over")
    result = _reopen_run(connection, run_id, take_over)
    result._sample_system(sample_every_s)
    return result


@in_section
@_hold_journal
def _reopen_run(connection: Connection, run_id: object, take_over: bool) -> Run:
    interrupt_dead_runs(connection)
    if take_over:
        _store_points_of_owner(connection, run_id)
    with connection.transaction():
        row = resolve_run(connection, run_id)
        run = row["id"]
        if row["status"] == RunStatus.RUNNING:
            owner = connection.one(SELECT_OWNER, (run,))
            alive = is_alive(identity_of_owner(owner)) if owner else False
            is_over = not owner or is_run_dead(connection, owner)
            if alive or not (is_over or take_over):
                raise RunBusyError(row["run_id"], *_describe_owner(row, owner, alive))
        # References to the environment are filled in when read: a run can be resumed and tagged without them.
        config = read_exp_config(connection, run).interpolate(lazily=True)
        reopen(connection, run, row["status"])
        last_ms = connection.value(LAST_TIME, (run,))
    result = open_run(connection, run)
    result.config = config
    began_s, since_start = steady_s(), datetime.now(UTC) - result.started_at
    # If the clock was set back, new points still come after the old ones.
    time_ms = max(since_start // MILLISECOND, last_ms)
    result._go_live(began_s, duration_ms=row["duration_ms"], time_ms=time_ms, resumed=True)
    return result


def _store_points_of_owner(connection: Connection, run_id: object) -> None:
    """Store what the process that owns a run left in its journal; the caller says that it is dead."""
    row = connection.one(SELECT_OWNER, (resolve_run(connection, run_id)["id"],))
    if row is not None:
        owner = identity_of_owner(row)
        recover_journals(connection, lambda process: process == owner)


def _describe_owner(row: Row, owner: Row | None, alive: bool | None) -> tuple[str, ...]:
    """Tell where the run is running, and what to do if stopping the process may not help."""
    if alive is None:
        return (
            f"on {row['host']}, or its process died there (last heartbeat {row['heartbeat_at']} UTC)",
            "stop the process, or, if it is dead, call resume_run(..., take_over=True)",
        )
    if not alive and owner:
        return (
            f"in a process forked from {owner['pid']}, which has ended"
            f" (last heartbeat {row['heartbeat_at']} UTC)",
            "end it, or, if it does nothing for the run any more, call resume_run(..., take_over=True)",
        )
    return (f"in process {owner['pid']}" if owner else "in an unknown process",)


def _check_sampling(system_metrics: bool | float) -> float | None:
    """Return the seconds between samples, or None. A run without samples does not load the sampler."""
    if system_metrics is False:
        return None
    from exptrack.capture.system_metrics import check_interval

    return check_interval(system_metrics)


@decoding_rows
def open_run(connection: Connection, run: int) -> Run:
    """Return a handle that does not own its run: the run has ended, or another process writes it."""
    row = connection.one(RUN_STATE, (run,))
    if row is None:
        raise RunNotFoundError(str(run), str(connection.path))
    return Run(connection, run, row["run_id"], moment(row["started_at"]), read_exp_config(connection, run))


def recover_journals(
    connection: Connection, declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> int:
    """Store the points that dead processes left in their journals; return their number. Commits.

    `declared_dead` is asked about each process that cannot be seen from here.
    """

    return recover(connection, partial(reseal_run, connection), declared_dead)


@in_section
def interrupt_dead_runs(
    connection: Connection, declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> list[str]:
    """Mark as interrupted every running run whose process is gone; return their ids. Commits if there is one.

    The points in their journals are stored first. A process that dies only after its journal was looked at
    is handled by the next call. `declared_dead` is asked about each process that cannot be seen from here.
    """
    dead = find_dead_runs(connection, declared_dead)
    if not dead:
        return []
    recover_journals(connection, declared_dead)
    marked = []
    with connection.transaction():
        for run in find_dead_runs(connection, declared_dead):
            if run not in dead:
                continue
            marked.append(_end_dead_run(connection, run))
    return marked


def _end_dead_run(connection: Connection, run: int) -> str:
    """End a run at the later of its last heartbeat and its last point; return its id. Call in a transaction."""
    row = connection.one(LAST_HEARD, (run,))
    assert row is not None
    began, heard = moment(row["started_at"]), moment(row["heartbeat_at"])
    last_ms, until_now = connection.value(LAST_TIME, (run,)), (datetime.now(UTC) - began) // MILLISECOND
    # The script may have given points a time that is still to come. A clock that was set back does not tell.
    if until_now >= 0:
        last_ms = min(last_ms, until_now)
    ended = max(heard, began + last_ms * MILLISECOND)
    if connection.value(HAS_RESUMED, (run,)):
        # A clock that was set back makes the time since the last heartbeat too long.
        whole_ms = max(row["duration_ms"], (ended - began) // MILLISECOND)
        duration_ms = min(row["duration_ms"] + (ended - heard) // MILLISECOND, whole_ms)
    else:
        # Both count from the start and follow no clock that is set.
        duration_ms = max(row["duration_ms"], last_ms)
    with changing_run(connection, run):
        connection.execute(END_DEAD_RUN, (utc_text(ended), utc_text(ended), duration_ms, DIED, run))
        connection.execute(DELETE_OWNER, (run,))
    record_end(connection, run, RunStatus.INTERRUPTED, DIED, utc_text(ended))
    seal_run(connection, run, completed=False)
    return str(row["run_id"])
