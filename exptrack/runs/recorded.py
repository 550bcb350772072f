"""Record runs that are over, many at once: for importers, generators and sweeps of commands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from exptrack.capture.code import CodeVersion
from exptrack.capture.environment import Environment
from exptrack.capture.redaction import remove_secrets_and_paths
from exptrack.config.exp_config import make_config
from exptrack.config.store import RowIds
from exptrack.database.connection import Connection
from exptrack.errors import ExptrackError, InvalidTypeError, InvalidValueError
from exptrack.metrics.store import NewPoints, append_points, begin_series
from exptrack.records import RecordedRun, RunStatus
from exptrack.runs.identity import _run_id
from exptrack.runs.lookup import resolve_run
from exptrack.runs.seal import SEAL_RUN, run_checksum, seal_run
from exptrack.runs.store import (
    NewRun,
    check_data,
    check_note,
    check_tags,
    insert_note,
    insert_run,
    optional_name,
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
    short_repr,
)

TAKEN_IDS = "SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?))"

# Of one transaction. More would hold up other writers; fewer would cost a commit more often.
RUNS_AT_ONCE = 256
POINTS_AT_ONCE = 200_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_Columns: TypeAlias = tuple[list[int], list[int], list[float]]  # steps, milliseconds, values


class _Checked(NamedTuple):
    """A record that can be stored."""

    new: NewRun
    notes: list[str]
    metrics: dict[str, _Columns]


def record_runs(connection: Connection, records: Iterable[RecordedRun]) -> list[str]:
    """Store runs that are over; see :meth:`exptrack.Archive.record_runs`."""
    run_ids: list[str] = []
    metrics: dict[str, int] = {}
    for batch in _batches(connection, records, run_ids):
        # Sources go when no config names them any more, which another process may see to between batches.
        run_ids += _write(connection, batch, RowIds(connection), metrics)
    return run_ids


def _batches(
    connection: Connection, records: Iterable[RecordedRun], run_ids: list[str]
) -> Iterator[list[_Checked]]:
    """The records, checked, as many at a time as one transaction takes."""
    batch: list[_Checked] = []
    points = 0
    for position, record in enumerate(records):
        try:
            checked = _checked(connection, record)
        except ExptrackError as error:
            error.add_note(f"in record {position} (from 0); the first {len(run_ids)} are stored, no other is")
            raise
        batch.append(checked)
        points += sum(len(steps) for steps, _times, _values in checked.metrics.values())
        if len(batch) >= RUNS_AT_ONCE or points >= POINTS_AT_ONCE:
            yield batch
            batch, points = [], 0
    if batch:
        yield batch


def _write(
    connection: Connection, batch: list[_Checked], numbers: RowIds, metrics: dict[str, int]
) -> list[str]:
    with connection.transaction():
        run_ids = _new_ids(connection, [one.new.started_at for one in batch])
        runs: list[int] = []
        for run_id, (new, notes, _metrics) in zip(run_ids, batch, strict=True):
            run = insert_run(connection, run_id, new, numbers)
            runs.append(run)
            assert new.ended_at is not None
            ended = utc_text(new.ended_at)
            for note in notes:
                insert_note(connection, run, note, ended)
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
        # Points that do not come by rising steps have to be read in the order of their key.
        unsealed = {one.run for one in begun if one.checksum is None}
        for run, (new, _notes, _metrics) in zip(runs, batch, strict=True):
            if run in unsealed:
                seal_run(connection, run, completed=new.status is RunStatus.COMPLETED)
            else:
                connection.execute(SEAL_RUN, (run_checksum(connection, run), run))
    return run_ids


def _new_ids(connection: Connection, starts: list[datetime]) -> list[str]:
    """An id for each start: many may fall into one millisecond, where chance alone keeps them apart."""
    found: dict[str, None] = {}
    for start in starts:
        milliseconds = (start - _EPOCH) // _MILLISECOND
        while (run_id := _run_id(milliseconds)) in found:
            pass
        found[run_id] = None
    if connection.value(TAKEN_IDS, (json.dumps(list(found)),)) is not None:
        return _new_ids(connection, starts)
    return list(found)


def _checked(connection: Connection, record: object) -> _Checked:
    if not isinstance(record, RecordedRun):
        raise InvalidTypeError(f"record_runs takes RecordedRun objects, not {short_repr(record)}")
    status = check_status(record.status)
    if status is RunStatus.RUNNING:
        raise InvalidValueError("a recorded run is over: completed, failed or interrupted")
    started = _checked_start(record.started_at)
    duration_s = check_number(record.duration_s, "duration_s")
    try:
        ended = started + timedelta(seconds=duration_s)
    except (OverflowError, ValueError):
        ended = None
    if ended is None or duration_s < 0:
        raise InvalidValueError(f"duration_s must be seconds from 0, not {short_repr(record.duration_s)}")
    new = NewRun(
        config=make_config(record.config).interpolate(),
        tags=check_tags(record.tags),
        data=check_data(record.data),
        name=optional_name(record.name, "run name"),
        group=optional_name(record.group, "group"),
        parent=None if record.parent is None else resolve_run(connection, record.parent)["id"],
        code=CodeVersion(
            commit=optional_name(record.commit, "commit"),
            dirty=None if record.dirty is None else bool(record.dirty),
            branch=optional_name(record.branch, "branch"),
            remote=None,
            script=None if record.script is None else _recordable_name(check_name(record.script, "script")),
            digest="",
            problem=None,
        ),
        environment=Environment(
            host=check_text(record.host, "host"),
            python=check_text(record.python, "python"),
            platform="",
            system={},
            command=[],
            variables={},
        ),
        started_at=started,
        ended_at=ended,
        duration_ms=round(duration_s * 1000),
        status=status,
        reason=_recordable_text(record.reason, "reason"),
        traceback=_recordable_text(record.traceback, "traceback"),
    )
    if isinstance(record.notes, str) or not isinstance(record.notes, Iterable):
        raise InvalidTypeError(f"notes are a list of texts, not {short_repr(record.notes)}")
    return _Checked(new, [check_note(note) for note in record.notes], _checked_metrics(record, started))


def _checked_start(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise InvalidTypeError(f"started_at must be a datetime, not {short_repr(value)}")
    start = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if start < _EPOCH or start.year >= 3000:
        raise InvalidValueError(f"started_at must lie between the years 1970 and 2999, not {short_repr(value)}")
    return start


def _recordable_text(text: object, what: str) -> str | None:
    return None if text is None else remove_secrets_and_paths(check_text(text, what))


@lru_cache(maxsize=256)
def _recordable_name(text: str) -> str:
    return remove_secrets_and_paths(text)


def _checked_metrics(record: RecordedRun, started: datetime) -> dict[str, _Columns]:
    if not isinstance(record.metrics, Mapping):
        raise InvalidTypeError(f"metrics map names to steps and values, not {short_repr(record.metrics)}")
    found: dict[str, _Columns] = {}
    for name, columns in record.metrics.items():
        checked = check_name(name, "metric name")
        if not isinstance(columns, (tuple, list)) or len(columns) not in (2, 3):
            raise InvalidTypeError(f"metric {checked!r} is (steps, values) or (steps, values, times)")
        steps, values = _steps(columns[0]), _values(columns[1], f"metric {checked!r}")
        times = _times(columns[2], started) if len(columns) == 3 else [0] * len(steps)
        if not len(steps) == len(values) == len(times):
            raise InvalidValueError(f"metric {checked!r}: steps, values and times differ in length")
        if steps:
            found[checked] = (steps, times, values)
    return found


def _steps(column: object) -> list[int]:
    steps = list(iter_elements(column, "steps"))
    if set(map(type, steps)) == {int} and min(steps) >= INT64_MIN and max(steps) <= INT64_MAX:
        return steps
    return [check_step(step) for step in steps]


def _values(column: object, what: str) -> list[float]:
    values = list(iter_elements(column, "values"))
    if set(map(type, values)) == {float}:
        return values
    return [check_number(value, what) for value in values]


def _times(column: object, started: datetime) -> list[int]:
    times = list(iter_elements(column, "times"))
    plain = set(map(type, times)) == {float} and all(map(math.isfinite, times))
    if plain and min(times) > EARLIEST_S and max(times) < LATEST_S:
        zero = started.timestamp()
        return [round((when - zero) * 1000) for when in times]
    return [milliseconds_since(started, when) for when in times]
