"""Log rows of several metrics in one transaction: also after the run's end, and each batch of a source once.

Invariants:

- A batch is stored whole or not at all, and with it the number of the batch. So a batch that is sent again is
  ignored, also if the sender or the writer was killed meanwhile.
- Points of a run that has ended are stored, and the run is sealed again, in one transaction with the event. The
  run keeps its status and the time of its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from exptrack.capture.redaction import remove_secrets_of_name
from exptrack.database.connection import Connection, in_section
from exptrack.errors import InvalidValueError, RunFinishedError
from exptrack.known_secrets import mask_secrets
from exptrack.metrics.log import MetricLog
from exptrack.metrics.store import NewPoints, SeriesRow, append_points
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_elements
from exptrack.runs.events import record_event
from exptrack.runs.row_sums import changing_ingest
from exptrack.runs.seal import reseal_run
from exptrack.times import utc_text
from exptrack.validation import (
    INT64_MAX,
    INT64_MIN,
    check_name,
    check_number,
    check_step,
    check_whole,
    iter_elements,
)

AMEND_EVENT = "amend"
LAST_SEQUENCE = "SELECT sequence FROM run_ingest WHERE run = ? AND source = ?"
SAVE_SEQUENCE = """
INSERT INTO run_ingest (run, source, sequence, stored_at) VALUES (?, ?, ?, ?)
ON CONFLICT (run, source) DO UPDATE SET sequence = excluded.sequence, stored_at = excluded.stored_at
"""
ROW = "('loss', 0.5, 10)"


class Batch(NamedTuple):
    """Which batch of its source some rows are."""

    source: str
    sequence: int


class MetricRows(NamedTuple):
    """The rows of one metric, as columns. A step of None is the next one."""

    steps: list[int | None]
    times_ms: list[int]
    values: list[float]


def log_rows(run: MetricLog, rows: Iterable[Any], source: str | None, sequence: int | None) -> bool:
    """Log rows; see :meth:`exptrack.Run.log_rows`."""
    batch = _check_batch(source, sequence)
    # Read everything first: the iterator may log itself, and other processes may write meanwhile.
    return _store(run._connection, run, _read_rows(run, rows), batch)


def _check_batch(source: object, sequence: object) -> Batch | None:
    if source is None and sequence is None:
        return None
    if source is None or sequence is None:
        raise InvalidValueError(
            "source and sequence belong together; give both, so that a batch sent again is ignored, or neither"
        )
    name = mask_secrets(check_name(source, "source"))
    return Batch(name, check_whole(sequence, "sequence", INT64_MIN, INT64_MAX))


def _read_rows(run: MetricLog, rows: Iterable[Any]) -> dict[str, MetricRows]:
    now_ms = int(run._now_ms())
    found: dict[str, MetricRows] = {}
    names: dict[object, str] = {}
    for row in iter_elements(rows, "rows"):
        fields = read_elements(row, "a row", like=ROW, most=4)
        if len(fields) < 2:
            raise InvalidValueError(
                f"a row must be (name, value), with a step and a time if you like, as in {ROW};"
                f" this one has {len(fields)} elements"
            )
        given, value, step, time = (*fields, None, None)[:4]
        name = names.get(given) if type(given) is str else None
        if name is None:
            name = remove_secrets_of_name(check_name(given, "metric name"))
            if type(given) is str:
                names[given] = name
        number = None if value is None else check_number(value, f"metric {name!r}")
        step = None if step is None else check_step(step)
        time_ms = now_ms if time is None else run._given_time(time)
        if number is None:
            run._pass_over(name)
            continue
        columns = found.get(name)
        if columns is None:
            columns = found[name] = MetricRows([], [], [])
        columns.values.append(number)
        columns.steps.append(step)
        columns.times_ms.append(time_ms)
    return found


@in_section
def _store(connection: Connection, run: MetricLog, found: dict[str, MetricRows], batch: Batch | None) -> bool:
    # What this process logged before comes first.
    drain_all(connection.file)
    following: dict[str, int] = {}
    with connection.transaction():
        is_over = _is_over(run)
        if batch is not None and not _advance(connection, run._run, batch):
            return False
        new = []
        for name, columns in found.items():
            steps, following[name] = _choose_steps(run, name, columns.steps)
            new.append(NewPoints(SeriesRow(run._run, name), steps, columns.times_ms, columns.values))
        append_points(connection, new)
        if is_over and new:
            reseal_run(connection, run._run, found)
            points = sum(len(columns.values) for columns in found.values())
            record_event(connection, run._run, AMEND_EVENT, {"points": points}, late=True)
    for name, step in following.items():
        run._continue_after(name, step)
    return True


def _is_over(run: MetricLog) -> bool:
    try:
        run._require_running()
    except RunFinishedError:
        return True
    return False


def _advance(connection: Connection, run: int, batch: Batch) -> bool:
    """Note that a batch is stored; return False if it was stored before. Call inside a transaction."""
    last = connection.value(LAST_SEQUENCE, (run, batch.source))
    if last is not None and batch.sequence <= last:
        return False
    with changing_ingest(connection, run, batch.source):
        connection.execute(SAVE_SEQUENCE, (run, *batch, utc_text()))
    return True


def _choose_steps(run: MetricLog, name: str, given: list[int | None]) -> tuple[list[int], int]:
    """Return the steps of new points, and the automatic step after them."""
    following = run._next_step(name)
    steps = []
    for step in given:
        chosen = following if step is None else step
        following = max(following, chosen + 1)
        steps.append(chosen)
    if max(steps) > INT64_MAX:
        raise InvalidValueError("the largest step of 64 bits is already logged; give a step")
    return steps, following
