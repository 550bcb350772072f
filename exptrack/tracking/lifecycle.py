"""Start a run, resume one, and mark runs whose process died.

Invariants:

- A run is ``running`` exactly while it has a ``run_owner`` row. Only the process that the row names ends the
  run, or another one that finds it dead. Any process ends a run with a lease.
- Every change is one transaction together with its event.
- The journal is made before anything is written, so a full disk is an error of the start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial, wraps

from exptrack.capture.code import capture_code
from exptrack.capture.environment import capture_environment, hide_arguments
from exptrack.config.exp_config import make_config
from exptrack.config.store import read_exp_config
from exptrack.database.connection import Connection, Row, in_section
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import GatheredRows
from exptrack.errors import InvalidValueError, RunBusyError, RunNotFoundError
from exptrack.metrics.journal_users import hold_journal
from exptrack.plain import short_repr
from exptrack.process import ProcessIdentity, is_alive
from exptrack.records import RunStatus
from exptrack.runs.events import REWIND_EVENT, record_event
from exptrack.runs.identity import make_run_id, new_run_id
from exptrack.runs.lease import PROCESS
from exptrack.runs.lookup import resolve_run
from exptrack.runs.ownership import (
    DELETE_OWNER,
    DIED,
    LAPSED,
    SELECT_OWNER,
    begin_ownership,
    find_dead_runs,
    identity_of_owner,
    is_run_dead,
    reopen,
)
from exptrack.runs.row_sums import changing_run
from exptrack.runs.seal import reseal_run, seal_run
from exptrack.runs.store import NewRun, check_data, check_optional_name, check_tags, insert_run, record_end
from exptrack.runs.trial_link import find_surrounding_trial, join_run, name_trial_run
from exptrack.times import EPOCH, MILLISECOND, moment, steady_s, utc_text
from exptrack.tracking.activation import RUN_VARIABLE, Asked
from exptrack.tracking.ending import watch_exits
from exptrack.tracking.run import BEAT, RUN_STATE, Run
from exptrack.validation import check_choice, check_flag, check_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Concatenate, ParamSpec, TypeAlias

    from exptrack.tracking.kept_code import KeptFiles

    _P = ParamSpec("_P")

END_DEAD_RUN = """
UPDATE run SET status = 'interrupted', ended_at = ?, heartbeat_at = ?, duration_ms = ?, reason = ?
WHERE id = ? AND status = 'running'
"""
LAST_HEARD = """
SELECT r.run_id, r.started_at, r.heartbeat_at, r.duration_ms, o.lease_s
FROM run AS r JOIN run_owner AS o ON o.run = r.id WHERE r.id = ?
"""
HAS_RESUMED = "SELECT EXISTS (SELECT 1 FROM event WHERE run = ? AND kind = 'resume')"
LAST_TIME = "SELECT coalesce(max(last_time_ms), 0) FROM metric_series WHERE run = ?"
ON_ERROR_VARIABLE = "EXPTRACK_ON_ERROR"
ON_ERROR = ("raise", "warn")
KEEP_CODE_VARIABLE = "EXPTRACK_KEEP_CODE"
LONG_AGO_MS = 1000  # a run that began earlier is heard of at once, not at its first heartbeat

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
    data: Mapping[str, str | os.PathLike[str]] | Iterable[str | os.PathLike[str]] | None = None,
    system_metrics: bool | float = False,
    external_id: str | None = None,
    at_exit: str = "interrupt",
    on_error: str | None = None,
    started_at: datetime | None = None,
    code: Mapping[str, object] | None = None,
    environment: Mapping[str, object] | None = None,
    owner: str = PROCESS,
    lease_s: float | None = None,
    trial: int | None = None,
    adopting: bool = True,
) -> Run:
    """Start a run; see :meth:`exptrack.Archive.start_run`.

    The run joins `trial`, a row id. Without it, the run joins the trial that this process runs, if that has no
    run yet. Without `adopting`, it takes no run that `exptrack run` has started.
    """
    sample_every_s = _check_sampling(system_metrics)
    completes = _check_at_exit(at_exit)
    kind = _choose_kind(on_error)
    given = None
    if any(one is not None for one in (started_at, code, environment, lease_s)) or owner is not PROCESS:
        from exptrack.tracking.elsewhere import read_elsewhere

        given = read_elsewhere(started_at, code, environment, owner, lease_s)
        _refuse_sampling(sample_every_s, given.lease_s)
    may_adopt = adopting and trial is None
    surrounding = find_surrounding_trial(connection) if trial is None else None
    if surrounding is not None:
        trial = surrounding["id"]
        group = surrounding["study"] if group is None else group
        name = name_trial_run(surrounding["study"], surrounding["number"]) if name is None else name
    hide_arguments()
    asked = Asked(
        config=config,
        tags=check_tags(tags),
        data=_read_data(data, is_here=given is None or given.environment is None),
        name=check_optional_name(name, "run name"),
        group=check_optional_name(group, "group"),
        parent=None if parent is None else resolve_run(connection, parent)["run_id"],
        external_id=check_optional_name(external_id, "external id"),
    )
    if RUN_VARIABLE in os.environ:
        from exptrack.tracking import adoption

        taken = adoption.take(connection, kind, asked) if may_adopt and given is None else None
        if taken is not None:
            taken._completes_at_exit = completes or taken._completes_at_exit
            taken._sample_system(sample_every_s)
            return taken
        if asked.parent is None:
            asked = asked._replace(parent=adoption.find_parent(connection))
    new = NewRun(
        config=make_config(asked.config).interpolate(),
        tags=asked.tags,
        data=asked.data,
        name=asked.name,
        group=asked.group,
        parent=asked.parent,
        code=given.code if given is not None and given.code is not None else capture_code(),
        environment=(
            given.environment if given is not None and given.environment is not None else capture_environment()
        ),
        started_at=datetime.now(UTC),
        external_id=asked.external_id,
    )
    is_own = given is None or (given.code is None and given.environment is None)
    files = _collect_code(new) if is_own and keeps_code() else None
    new, began_s, run_id = _choose_start(new, None if given is None else given.started_at)
    if given is not None and given.lease_s is not None:
        result = _begin_lease(connection, run_id, new, given.lease_s, trial, files, kind)
    else:
        result = _begin_run(connection, run_id, new, began_s, trial, files, kind)
        result._completes_at_exit = completes
        result._sample_system(sample_every_s)
    _tell_address(result)
    return result


def _read_data(data: object, *, is_here: bool) -> dict[str, str]:
    """Return the data that a run declares, with digests of the files if the run is of this machine."""
    declared = check_data(data)
    if not declared or not is_here:
        return declared
    from exptrack.capture.data import add_digests

    return add_digests(declared)


def _tell_address(run: Run) -> None:
    """Print where a run can be watched, if a page is open on its archive."""
    url = run.url
    if url is not None and sys.stderr is not None:
        with suppress(OSError, ValueError):  # a closed or full stream must not hinder a run
            print(f"exptrack: watch this run at {url}", file=sys.stderr, flush=True)


def _choose_start(new: NewRun, given: datetime | None) -> tuple[NewRun, float, str]:
    """Return the run with its start, the reading of `steady_s` at that, and a run id that sorts by it."""
    began_s, run_id = steady_s(), new_run_id()
    if given is not None:
        began_s -= max(0.0, (new.started_at - given).total_seconds())
        new = new._replace(started_at=given)
        run_id = make_run_id((given - EPOCH) // MILLISECOND)
    # Whole milliseconds, so that a time that is given in milliseconds for a point comes back as it was.
    rest = timedelta(microseconds=new.started_at.microsecond % 1000)
    return new._replace(started_at=new.started_at - rest), began_s - rest.total_seconds(), run_id


@in_section
@_hold_journal
def _begin_run(
    connection: Connection,
    run_id: str,
    new: NewRun,
    began_s: float,
    trial: int | None,
    files: KeptFiles | None,
    kind: type[Run],
) -> Run:
    before_ms = int((steady_s() - began_s) * 1000)
    result = _insert(connection, run_id, new, trial, before_ms, None, files, kind)
    result._go_live(began_s, duration_ms=0, time_ms=0, resumed=False)
    return result


@in_section
def _begin_lease(
    connection: Connection,
    run_id: str,
    new: NewRun,
    lease_s: float,
    trial: int | None,
    files: KeptFiles | None,
    kind: type[Run],
) -> Run:
    before_ms = max(0, (datetime.now(UTC) - new.started_at) // MILLISECOND)
    result = _insert(connection, run_id, new, trial, before_ms, lease_s, files, kind)
    result._block_pid = os.getpid()
    return result


def _insert(
    connection: Connection,
    run_id: str,
    new: NewRun,
    trial: int | None,
    before_ms: int,
    lease_s: float | None,
    files: KeptFiles | None,
    kind: type[Run],
) -> Run:
    """Write the rows of a run that began `before_ms` milliseconds ago, and its code. Commits."""

    def insert() -> int:
        gathered = GatheredRows(connection)
        run = insert_run(connection, run_id, new, gathered).row_id
        begin_ownership(gathered, run, lease_s)
        gathered.write()
        if before_ms >= LONG_AGO_MS or lease_s is not None:
            with changing_run(connection, run):
                connection.execute(BEAT, (utc_text(), before_ms, run))
        if trial is not None:
            join_run(connection, trial, run_id)
        return run

    if files is None:
        with connection.transaction():
            run = insert()
    else:
        from exptrack.tracking.kept_code import insert_with_code

        run = insert_with_code(connection, run_id, files, insert)
    return kind(connection, run, run_id, new.started_at, new.config)


def keeps_code() -> bool:
    """Whether runs keep their code, as ``EXPTRACK_KEEP_CODE`` says; they do if it is not set.

    Raises:
        InvalidValueError: it is neither yes nor no.
    """
    said = os.environ.get(KEEP_CODE_VARIABLE, "").strip().lower()
    if said in ("", "1", "yes", "true", "on"):
        return True
    if said in ("0", "no", "false", "off"):
        return False
    raise InvalidValueError(f"{KEEP_CODE_VARIABLE} is yes or no, not {short_repr(said)}; set one of them")


def _collect_code(new: NewRun) -> KeptFiles | None:
    from exptrack.tracking.kept_code import collect_code

    return collect_code(new.code)


def resume_run(
    connection: Connection,
    run_id: object,
    *,
    from_step: int | None = None,
    take_over: bool = False,
    system_metrics: bool | float = False,
    at_exit: str = "interrupt",
    on_error: str | None = None,
    owner: str = PROCESS,
    lease_s: float | None = None,
) -> Run:
    """Reopen a run; see :meth:`exptrack.Archive.resume_run`."""
    sample_every_s = _check_sampling(system_metrics)
    completes = _check_at_exit(at_exit)
    kind = _choose_kind(on_error)
    take_over = check_flag(take_over, "take_over")
    step = None if from_step is None else check_step(from_step)
    if lease_s is not None or owner is not PROCESS:
        from exptrack.tracking.elsewhere import check_lease

        lease_s = check_lease(owner, lease_s)
        _refuse_sampling(sample_every_s, lease_s)
    result = _reopen_run(connection, run_id, take_over, lease_s, step, kind)
    result._completes_at_exit = completes
    result._sample_system(sample_every_s)
    _tell_address(result)
    return result


@in_section
@_hold_journal
def _reopen_run(
    connection: Connection,
    run_id: object,
    take_over: bool,
    lease_s: float | None,
    from_step: int | None,
    kind: type[Run],
) -> Run:
    interrupt_dead_runs(connection)
    if take_over:
        _store_points_of_owner(connection, run_id)
    with connection.transaction():
        row = resolve_run(connection, run_id)
        run = row["id"]
        if row["status"] == RunStatus.RUNNING:
            owner = connection.one(SELECT_OWNER, (run,))
            is_over = not owner or is_run_dead(connection, owner)
            if not (is_over or (take_over and not _is_seen_alive(owner))):
                raise RunBusyError(row["run_id"], *describe_owner(row, owner))
        # References to the environment are filled in when read: a run can be resumed and tagged without them.
        config = read_exp_config(connection, run).interpolate(lazily=True)
        reopen(connection, run, row["status"], lease_s=lease_s)
        if from_step is not None:
            _rewind(connection, run, from_step)
        last_ms = connection.value(LAST_TIME, (run,))
    result = open_run(connection, run, kind)
    result._set_fixed(config=config)
    if lease_s is not None:
        result._block_pid = os.getpid()
        return result
    began_s, since_start = steady_s(), datetime.now(UTC) - result.started_at
    # If the clock was set back, new points still come after the old ones.
    time_ms = max(since_start // MILLISECOND, last_ms)
    result._go_live(began_s, duration_ms=row["duration_ms"], time_ms=time_ms, resumed=True)
    return result


def _rewind(connection: Connection, run: int, from_step: int) -> None:
    """Hide what a run logged past a step, with an event. Call inside a transaction."""
    from exptrack.metrics.rewound import rewind

    number, metrics, points = rewind(connection, run, from_step)
    facts = {"from_step": from_step, "number": number, "metrics": metrics, "points": points}
    record_event(connection, run, REWIND_EVENT, facts)


def _store_points_of_owner(connection: Connection, run_id: object) -> None:
    """Store what the process that owns a run left in its journal; the caller says that it is dead."""
    row = connection.one(SELECT_OWNER, (resolve_run(connection, run_id)["id"],))
    if row is not None and row["lease_s"] is None:
        owner = identity_of_owner(row)
        recover_journals(connection, lambda process: process == owner)


def _is_seen_alive(owner: Row | None) -> bool:
    """Whether the process that owns a run is seen to live; a lease is no process."""
    return owner is not None and owner["lease_s"] is None and is_alive(identity_of_owner(owner)) is True


def describe_owner(row: Row, owner: Row | None) -> tuple[str, ...]:
    """Tell where the run is running, and what to do if stopping the process may not help."""
    heard = f"(last heartbeat {row['heartbeat_at']} UTC)"
    if owner is None:
        return ("in an unknown process",)
    if owner["lease_s"] is not None:
        return (
            f"under a lease of {owner['lease_s']:g} s {heard}",
            "wait until it has run out, or, if nothing writes the run any more, call"
            " resume_run(..., take_over=True)",
        )
    alive = is_alive(identity_of_owner(owner))
    if alive is None:
        return (
            f"on {row['host']}, or its process died there {heard}",
            "stop the process, or, if it is dead, call resume_run(..., take_over=True)",
        )
    if not alive:
        return (
            f"in a process forked from {owner['pid']}, which has ended {heard}",
            "end it, or, if it does nothing for the run any more, call resume_run(..., take_over=True)",
        )
    return (f"in process {owner['pid']}",)


def _refuse_sampling(sample_every_s: float | None, lease_s: float | None) -> None:
    if lease_s is not None and sample_every_s is not None:
        raise InvalidValueError("system_metrics are of this machine; leave them out of a run with a lease")


def _check_sampling(system_metrics: bool | float) -> float | None:
    """Return the seconds between samples, or None. A run without samples does not load the sampler."""
    if system_metrics is False:
        return None
    from exptrack.capture.system_metrics import check_interval

    return check_interval(system_metrics)


def _check_at_exit(at_exit: str) -> bool:
    """Return whether the end of the interpreter completes the run; notice its exit code from now on if so."""
    completes = check_choice(at_exit, "at_exit", ("interrupt", "complete")) == "complete"
    if completes:
        watch_exits()
    return completes


def _choose_kind(on_error: str | None) -> type[Run]:
    """Return the class of the handle, by what becomes of errors: as the argument says, else the environment."""
    if on_error is None:
        chosen = check_choice(os.environ.get(ON_ERROR_VARIABLE) or "raise", ON_ERROR_VARIABLE, ON_ERROR)
    else:
        chosen = check_choice(on_error, "on_error", ON_ERROR)
    if chosen == "raise":
        return Run
    from exptrack.tracking.lenient import LenientRun

    return LenientRun


@decoding_rows
def open_run(connection: Connection, run: int, kind: type[Run] = Run) -> Run:
    """Return a handle that does not own its run: the run has ended, or another process writes it."""
    row = connection.one(RUN_STATE, (run,))
    if row is None:
        raise RunNotFoundError(str(run), connection.file)
    return kind(connection, run, row["run_id"], moment(row["started_at"]), read_exp_config(connection, run))


def recover_journals(
    connection: Connection, declared_dead: Callable[[ProcessIdentity], bool] = lambda _owner: False
) -> int:
    """Store the points that dead processes left in their journals; return their number. Commits.

    `declared_dead` is asked about each process that cannot be seen from here.
    """
    from exptrack.metrics.recovery import recover

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
    reason = DIED if row["lease_s"] is None else LAPSED
    with changing_run(connection, run):
        connection.execute(END_DEAD_RUN, (utc_text(ended), utc_text(ended), duration_ms, reason, run))
        connection.execute(DELETE_OWNER, (run,))
    record_end(connection, run, RunStatus.INTERRUPTED, reason, utc_text(ended))
    seal_run(connection, run, completed=False)
    return str(row["run_id"])
