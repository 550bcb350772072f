"""Record many finished runs at once: for importers, generators and sweeps of commands.

Invariants:

- A recorded run is stored as if it had been logged when it happened.
- The machine and the code come from the record alone, never from this process.
- A batch is stored whole or not at all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from exptrack.capture.redaction import remove_secrets_and_paths, remove_secrets_of_name
from exptrack.config.exp_config import make_config
from exptrack.config.store import RowIds
from exptrack.database.connection import Connection, in_section
from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.metrics.store import NewPoints, append_points, begin_series, save_blocks
from exptrack.plain import iter_any, read_elements, read_items, short_repr
from exptrack.records import RunStatus
from exptrack.runs.identity import make_run_id
from exptrack.runs.lookup import resolve_run
from exptrack.runs.origin import EPOCH, check_start, make_code, make_environment
from exptrack.runs.seal import save_run_checksum, seal_run
from exptrack.runs.store import (
    NewRun,
    check_data,
    check_note,
    check_optional_name,
    check_tags,
    insert_note,
    insert_run,
    record_end,
)
from exptrack.times import EARLIEST_S, LATEST_S, milliseconds_since, utc_text
from exptrack.validation import (
    INT64_MAX,
    INT64_MIN,
    check_name,
    check_number,
    check_status,
    check_step,
    check_text,
    iter_elements,
)

TAKEN_IDS = "SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?))"

# The limits of one transaction. A larger one would block other writers; smaller ones need more commits.
RUNS_AT_ONCE = 256
POINTS_AT_ONCE = 200_000
_MILLISECOND = timedelta(milliseconds=1)
_Columns: TypeAlias = tuple[list[int], list[int], list[float]]  # steps, milliseconds, values


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that happened elsewhere or earlier, to give to :meth:`exptrack.Archive.record_runs`.

    `config` is anything that ``start_run`` takes. `started_at` is local time unless it has a time zone.
    `status` is completed, failed or interrupted. `parent` is a run of the archive. Leave host, Python and code
    empty where they are not known.

    `metrics` maps each name to ``(steps, values)`` or ``(steps, values, times)``: columns of equal length, in
    the order of logging. Times are as in :meth:`exptrack.Run.log_metric`; without them every point counts as
    logged at the start.
    """

    config: object
    started_at: datetime
    duration_s: float = 0.0
    status: RunStatus | str = RunStatus.COMPLETED
    reason: str | None = None
    traceback: str | None = None
    name: str | None = None
    group: str | None = None
    parent: object = None
    tags: Iterable[str] = ()
    notes: Iterable[str] = ()
    metrics: Mapping[str, tuple[Iterable[Any], ...]] = field(default_factory=dict)
    data: Mapping[str, str] | Iterable[str] | None = None
    host: str = ""
    python: str = ""
    script: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None


class _CheckedRecord(NamedTuple):
    """A record that passed all checks."""

    new: NewRun
    notes: list[str]
    metrics: dict[str, _Columns]


def record_runs(connection: Connection, records: Iterable[RecordedRun]) -> list[str]:
    """Store finished runs; see :meth:`exptrack.Archive.record_runs`."""
    run_ids: list[str] = []
    metrics: dict[str, int] = {}
    for batch in _check_in_batches(connection, records, run_ids):
        # A new RowIds for each batch: between batches another process may delete sources that no config uses.
        run_ids += _store_batch(connection, batch, RowIds(connection), metrics)
    return run_ids


def _check_in_batches(
    connection: Connection, records: Iterable[RecordedRun], run_ids: list[str]
) -> Iterator[list[_CheckedRecord]]:
    """Check the records, and yield as many at a time as one transaction stores."""
    batch: list[_CheckedRecord] = []
    points = 0
    position = 0
    try:
        for record in iter_any(records, "records"):
            checked = _check_record(connection, record)
            batch.append(checked)
            points += sum(len(steps) for steps, _times, _values in checked.metrics.values())
            position += 1
            if len(batch) >= RUNS_AT_ONCE or points >= POINTS_AT_ONCE:
                yield batch
                batch, points = [], 0
    except ExptrackError as error:
        error.add_note(f"in record {position} (from 0); only the first {len(run_ids)} are stored")
        raise
    if batch:
        yield batch


@in_section
def _store_batch(
    connection: Connection, batch: list[_CheckedRecord], row_ids: RowIds, metrics: dict[str, int]
) -> list[str]:
    with connection.transaction():
        run_ids = _draw_run_ids(connection, [one.new.started_at for one in batch])
        runs: list[int] = []
        for run_id, (new, notes, _metrics) in zip(run_ids, batch, strict=True):
            run = insert_run(connection, run_id, new, row_ids)
            runs.append(run)
            assert new.ended_at is not None
            ended = utc_text(new.ended_at)
            for note in notes:
                insert_note(connection, run, note, ended, late=False)
            record_end(connection, run, new.status, new.reason, ended)
        series = [
            (run, name, one.new.status is RunStatus.COMPLETED)
            for run, one in zip(runs, batch, strict=True)
            for name in one.metrics
        ]
        begun = begin_series(connection, series, metrics)
        points = (columns for one in batch for columns in one.metrics.values())
        append_points(
            connection, [NewPoints(one, *columns) for one, columns in zip(begun, points, strict=True)]
        )
        # The checksum of points that did not come by rising steps is computed by reading them in key order.
        unsealed = {one.run for one in begun if one.checksum is None}
        save_blocks(connection, (one for one in begun if one.run not in unsealed))
        for run, (new, _notes, _metrics) in zip(runs, batch, strict=True):
            if run in unsealed:
                seal_run(connection, run, completed=new.status is RunStatus.COMPLETED)
            else:
                save_run_checksum(connection, run)
    return run_ids


def _draw_run_ids(connection: Connection, starts: list[datetime]) -> list[str]:
    """Return an id for each start. Starts in the same millisecond differ by the random part only."""
    found: dict[str, None] = {}
    for start in starts:
        milliseconds = (start - EPOCH) // _MILLISECOND
        while (run_id := make_run_id(milliseconds)) in found:
            pass
        found[run_id] = None
    if connection.value(TAKEN_IDS, (json.dumps(list(found)),)) is not None:
        return _draw_run_ids(connection, starts)
    return list(found)


def _check_record(connection: Connection, record: object) -> _CheckedRecord:
    if not isinstance(record, RecordedRun):
        raise InvalidTypeError(f"record_runs() takes RecordedRun objects, not {short_repr(record)}")
    status = check_status(record.status)
    if status is RunStatus.RUNNING:
        raise InvalidValueError("a recorded run has ended; its status must be completed, failed or interrupted")
    started = check_start(record.started_at)
    duration_s = check_number(record.duration_s, "duration_s")
    try:
        ended = started + timedelta(seconds=duration_s)
    except (OverflowError, ValueError):
        ended = None
    if ended is None or duration_s < 0:
        raise InvalidValueError(f"duration_s must be seconds, 0 or more, not {short_repr(record.duration_s)}")
    new = NewRun(
        config=make_config(record.config).interpolate(),
        tags=check_tags(record.tags),
        data=check_data(record.data),
        name=check_optional_name(record.name, "run name"),
        group=check_optional_name(record.group, "group"),
        parent=None if record.parent is None else resolve_run(connection, record.parent)["run_id"],
        code=make_code(record.commit, record.dirty, record.branch, record.script),
        environment=make_environment(record.host, record.python, ""),
        started_at=started,
        ended_at=ended,
        duration_ms=round(duration_s * 1000),
        status=status,
        reason=_redact_text(record.reason, "reason"),
        traceback=_redact_text(record.traceback, "traceback"),
    )
    notes = [check_note(note) for note in read_elements(record.notes, "notes")]
    return _CheckedRecord(new, notes, _check_metrics(record, started))


def _redact_text(text: object, what: str) -> str | None:
    return None if text is None else remove_secrets_and_paths(check_text(text, what))


def _check_metrics(record: RecordedRun, started: datetime) -> dict[str, _Columns]:
    found: dict[str, _Columns] = {}
    for name, columns in read_items(record.metrics, "metrics"):
        checked = remove_secrets_of_name(check_name(name, "metric name"))
        columns = read_elements(columns, f"metric {checked!r}", like="(steps, values)", most=3)
        if len(columns) < 2:
            raise InvalidTypeError(f"metric {checked!r} must be (steps, values) or (steps, values, times)")
        steps, values = _check_steps(columns[0]), _check_values(columns[1], f"metric {checked!r}")
        times = _check_times(columns[2], started) if len(columns) == 3 else [0] * len(steps)
        if not len(steps) == len(values) == len(times):
            raise InvalidValueError(f"metric {checked!r}: steps, values and times differ in length")
        if steps:
            found[checked] = (steps, times, values)
    return found


def _check_steps(column: object) -> list[int]:
    steps = list(iter_elements(column, "steps"))
    if set(map(type, steps)) == {int} and min(steps) >= INT64_MIN and max(steps) <= INT64_MAX:
        return steps
    return [check_step(step) for step in steps]


def _check_values(column: object, what: str) -> list[float]:
    values = list(iter_elements(column, "values"))
    if set(map(type, values)) == {float}:
        return values
    return [check_number(value, what) for value in values]


def _check_times(column: object, started: datetime) -> list[int]:
    times = list(iter_elements(column, "times"))
    plain = set(map(type, times)) == {float} and all(map(math.isfinite, times))
    if plain and min(times) > EARLIEST_S and max(times) < LATEST_S:
        zero = started.timestamp()
        return [round((when - zero) * 1000) for when in times]
    return [milliseconds_since(started, when) for when in times]
