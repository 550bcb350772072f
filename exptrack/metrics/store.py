"""Metric series: writing points with their summaries, and reading them back.

Invariants: every point logged is kept, repeated and decreasing steps included (`seq` counts the
repetitions of a step). The summary of a series always equals what its points say; it is written in the
same transaction. NaN is stored as NULL and enters neither min, max nor sum; the infinities are
themselves; -0.0 comes back as 0.0, its equal. Times are whole milliseconds since the run's start.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from operator import eq, lt
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, Row
from exptrack.metrics.summary import Summary
from exptrack.records import MetricPoint, MetricSummary

SELECT_NAME = "SELECT id FROM metric_name WHERE name = ?"
INSERT_NAME = "INSERT INTO metric_name (name) VALUES (?)"
SELECT_SERIES = """
SELECT id, count, nan_count, first_step, first_value, last_step, last_value, last_time_ms, top_step,
       min_step, min_value, max_step, max_value, value_sum
FROM metric_series WHERE run = ? AND metric = ?
"""
INSERT_SERIES = """
INSERT INTO metric_series
    (run, metric, count, nan_count, first_step, first_value, last_step, last_value, last_time_ms,
     top_step, min_step, min_value, max_step, max_value, value_sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SAVE_SERIES = """
INSERT INTO metric_series
    (id, run, metric, count, nan_count, first_step, first_value, last_step, last_value, last_time_ms,
     top_step, min_step, min_value, max_step, max_value, value_sum, completed, checksum)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
ON CONFLICT (id) DO UPDATE
SET count = excluded.count, nan_count = excluded.nan_count, first_step = excluded.first_step,
    first_value = excluded.first_value, last_step = excluded.last_step, last_value = excluded.last_value,
    last_time_ms = excluded.last_time_ms, top_step = excluded.top_step, min_step = excluded.min_step,
    min_value = excluded.min_value, max_step = excluded.max_step, max_value = excluded.max_value,
    value_sum = excluded.value_sum
"""
LAST_SERIES = "SELECT coalesce(max(id), 0) FROM metric_series"
COUNTS = """
SELECT group_concat(id || ' ' || count) FROM metric_series WHERE id IN (SELECT value FROM json_each(?))
"""
NEXT_SEQ = "SELECT coalesce(max(seq) + 1, 0) FROM metric_point WHERE series = ? AND step = ?"
INSERT_POINTS = """
INSERT INTO metric_point (series, step, seq, time_ms, value)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
"""
TOP_STEP = """
SELECT s.top_step FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ?
"""
SELECT_POINTS = """
SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? ORDER BY step, seq
"""
CURVE = """
SELECT p.step, p.time_ms, p.value
FROM metric_point AS p
JOIN metric_series AS s ON s.id = p.series
JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ?
ORDER BY p.step, p.seq
"""
LAST_POINT = """
SELECT s.last_step, s.last_time_ms, s.last_value
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ?
"""
SUMMARIES = """
SELECT s.run, n.name, s.count, s.nan_count, s.first_value, s.first_step, s.last_value, s.last_step,
       s.min_value, s.min_step, s.max_value, s.max_step, s.value_sum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run IN (SELECT value FROM json_each(?)) ORDER BY s.run, n.name
"""
SERIES_OF_RUN = """
SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? ORDER BY n.name
"""
SEAL_SERIES = "UPDATE metric_series SET completed = ?, checksum = ? WHERE id = ?"
REOPEN_SERIES = "UPDATE metric_series SET completed = 0, checksum = NULL WHERE run = ?"

_FOUR_PARTS = struct.Struct("<IIII")
CHECKSUM_BATCH = 4096
ROWS_AT_ONCE = (1, 4, 16, 64, 256, 1024)
MAX_PARAMETERS = 32_766  # SQLite's own default


class NewPoints(NamedTuple):
    """Points of one series on their way into the file, in the order of logging; columns of one length."""

    series: Series
    steps: list[int]
    times_ms: list[int]
    values: list[float]


class Series:
    """One metric of one run as this process last knew it in the file; nothing in it is relied on unchecked."""

    __slots__ = ("checksum", "completed", "id", "metric", "name", "run", "summary")

    def __init__(self, run: int, name: str) -> None:
        self.run = run
        self.name = name
        self.completed: bool | None = None  # how the run ended, where it was over before these points came
        self.forget()

    def forget(self) -> None:
        """Read the file again before the next use: a transaction that wrote the series was undone."""
        self.id: int | None = None
        self.metric: int | None = None
        # Kept up while every point is logged here and beyond the largest step; otherwise read at the end.
        self.checksum: PointsChecksum | None = None
        self.summary: Summary | None = None


def append_points(connection: Connection, batches: Iterable[NewPoints]) -> None:
    """Add points and bring the summaries up to date; inside the caller's transaction.

    When that is undone, the caller lets every series :meth:`Series.forget`.
    """
    pending = list(batches)
    _forget_outdated(connection, [batch.series for batch in pending])
    ids: list[int] = []
    steps: list[int] = []
    times_ms: list[int] = []
    values: list[float] = []
    tops: list[int | None] = []
    fresh: list[bool] = []  # whether every point lies beyond those before it, so that no step can repeat
    known: dict[int, Series] = {}
    for series, new_steps, new_times, new_values in pending:
        top = _take_into_account(connection, series, new_steps, new_times, new_values)
        assert series.id is not None
        known[series.id] = series
        beyond = (top is None or new_steps[0] > top) and _rising(new_steps)
        if not beyond:
            series.checksum = None
        elif series.checksum is not None:
            series.checksum.add(new_steps, None, new_times, new_values)
        tops.append(top)
        fresh.append(beyond)
    # Before the points, which refer to them.
    saved = [_row(series) for series in known.values()]
    columns: list[list[Any]] = [list(column) for column in zip(*saved, strict=True)]
    _insert_rows(connection, SAVE_SERIES, f"({', '.join('?' * 18)})", columns)
    for (series, new_steps, new_times, new_values), top, beyond in zip(pending, tops, fresh, strict=True):
        assert series.id is not None
        if beyond:
            ids += [series.id] * len(new_steps)
            steps += new_steps
            times_ms += new_times
            values += new_values
        else:
            # Of two batches of one series the first must be there when the second counts its repetitions.
            _insert_rows(connection, INSERT_POINTS, "(?, ?, 0, ?, ?)", [ids, steps, times_ms, values])
            ids, steps, times_ms, values = [], [], [], []
            seqs = _repetitions(connection, series.id, new_steps, top)
            columns = [[series.id] * len(seqs), new_steps, seqs, new_times, new_values]
            _insert_rows(connection, INSERT_POINTS, "(?, ?, ?, ?, ?)", columns)
    _insert_rows(connection, INSERT_POINTS, "(?, ?, 0, ?, ?)", [ids, steps, times_ms, values])


def _row(series: Series) -> tuple[Any, ...]:
    """The row of a series as it now is; with its checksum if the run is over."""
    assert series.summary is not None
    over = series.completed is not None and series.checksum is not None
    checksum = series.checksum.value() if over and series.checksum is not None else None
    numbers = series.summary.columns()
    return (series.id, series.run, series.metric, *numbers, int(bool(over and series.completed)), checksum)


def _insert_rows(connection: Connection, sql: str, row: str, columns: Sequence[Sequence[Any]]) -> None:
    """Insert rows given as columns, up to 1024 in a statement.

    The loop over the rows is then SQLite's: two thirds of the time of ``executemany``, and the GIL is let go
    once a statement, not once a row. Beside a busy thread each time costs 5 ms to get it back. The last
    statement is filled up with NULLs, which it passes over: few sizes, so that all stay prepared.
    """
    width, count = len(columns), len(columns[0]) if columns else 0
    sizes = [size for size in ROWS_AT_ONCE if size * width <= MAX_PARAMETERS]
    for begin in range(0, count, sizes[-1]):
        end = min(begin + sizes[-1], count)
        size = next(size for size in sizes if size >= end - begin)
        flat: list[Any] = [None] * (width * size)
        for place, column in enumerate(columns):
            flat[place : width * (end - begin) : width] = column[begin:end]
        connection.execute(_with_rows(sql, row, size), flat)


@cache
def _with_rows(sql: str, row: str, size: int) -> str:
    return sql.format(rows=", ".join([row] * size))


def _rising(steps: list[int]) -> bool:
    return all(map(lt, steps, steps[1:]))


def _repetitions(connection: Connection, series: int, steps: list[int], top: int | None) -> list[int]:
    """How often each step was there before; only one that is not beyond `top` can have been."""
    following: dict[int, int] = {}
    seqs = []
    for step in steps:
        seq = following.get(step)
        if seq is None:
            seen = top is not None and step <= top
            seq = connection.value(NEXT_SEQ, (series, step)) if seen else 0
        following[step] = seq + 1
        seqs.append(seq)
    return seqs


def _forget_outdated(connection: Connection, series: list[Series]) -> None:
    """Another process (a forked child) may have added points since this one last looked."""
    # One that was only just begun is in no file.
    known = {one.id: one for one in series if one.id is not None and (one.summary is None or one.summary.count)}
    if not known:
        return
    found = connection.value(COUNTS, (json.dumps(list(known)),)) or ""
    pairs = (pair.split() for pair in found.split(",") if pair)
    counts = {int(number): int(count) for number, count in pairs}
    for one in known.values():
        if one.summary is None or one.id is None or counts.get(one.id) != one.summary.count:
            one.forget()


def begin_series(
    connection: Connection, wanted: Iterable[tuple[int, str, bool]], metrics: dict[str, int]
) -> list[Series]:
    """Series of new runs that are over: each with its run, its name, and whether that completed.

    Inside the caller's transaction, which goes on to give each its points. `metrics` are the numbers of metric
    names known so far.
    """
    begun = []
    number = int(connection.value(LAST_SERIES))
    for run, name, completed in wanted:
        number += 1
        series = Series(run, name)
        if name not in metrics:
            metrics[name] = _metric(connection, name)
        series.id, series.metric, series.completed = number, metrics[name], completed
        series.summary, series.checksum = Summary(), PointsChecksum()
        begun.append(series)
    return begun


def _metric(connection: Connection, name: str) -> int:
    """The number of a metric's name, which is given one if it has none."""
    number = connection.value(SELECT_NAME, (name,))
    if number is None:
        number = connection.execute(INSERT_NAME, (name,)).lastrowid
    return int(number)


def _take_into_account(
    connection: Connection, series: Series, steps: list[int], times_ms: list[int], values: list[float]
) -> int | None:
    """Bring the summary up to date, here only; return the largest step there was before these points."""
    if series.summary is None:
        series.metric = _metric(connection, series.name)
        row = connection.one(SELECT_SERIES, (series.run, series.metric))
        series.summary = Summary(row)
        if row is not None:
            series.id = int(row["id"])
        else:
            series.checksum = PointsChecksum()
    summary = series.summary
    top = summary.top_step if summary.count else None
    summary.extend(steps, times_ms, values)
    if series.id is None:
        numbers = (series.run, series.metric, *summary.columns())
        series.id = connection.execute(INSERT_SERIES, numbers).lastrowid
    return top


def find_top_step(connection: Connection, run: int, name: str) -> int | None:
    """The largest step of a metric in the file, or None when it is not there."""
    top: int | None = connection.value(TOP_STEP, (run, name))
    return top


def stored_number(stored: float | None) -> float:
    return math.nan if stored is None else stored


def read_curve(connection: Connection, run: int, name: str, started_at: datetime) -> list[MetricPoint]:
    """Every point of one metric of one run, ordered by step, repetitions in the order of logging."""
    return [
        MetricPoint(row[0], stored_number(row[2]), started_at + timedelta(milliseconds=row[1]))
        for row in connection.iterate(CURVE, (run, name))
    ]


def read_last(connection: Connection, run: int, name: str, started_at: datetime) -> MetricPoint | None:
    """The point logged last, or None when the run has no such metric."""
    row = connection.one(LAST_POINT, (run, name))
    if row is None:
        return None
    return MetricPoint(row[0], stored_number(row[2]), started_at + timedelta(milliseconds=row[1]))


def read_summaries(connection: Connection, runs: Sequence[int]) -> dict[int, tuple[MetricSummary, ...]]:
    """The summary of each metric of each of these runs, by name; a run without metrics has none."""
    found: dict[int, list[MetricSummary]] = {run: [] for run in runs}
    for row in connection.iterate(SUMMARIES, (json.dumps(list(found)),)):
        summary = MetricSummary(
            name=row["name"],
            count=row["count"],
            nan_count=row["nan_count"],
            first=stored_number(row["first_value"]),
            first_step=row["first_step"],
            last=stored_number(row["last_value"]),
            last_step=row["last_step"],
            min=row["min_value"],
            min_step=row["min_step"],
            max=row["max_value"],
            max_step=row["max_step"],
            mean=row["value_sum"] / (row["count"] - row["nan_count"])
            if row["count"] > row["nan_count"]
            else None,
        )
        found[row["run"]].append(summary)
    return {run: tuple(summaries) for run, summaries in found.items()}


class PointsChecksum:
    """CRC-32 over points in key order, column by column, so that points can be added as they come.

    Steps, repetitions, times (int64) and values (float64, one NaN, no -0.0), little-endian, have a CRC-32 each;
    the checksum is that of these four, as little-endian uint32.
    """

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts = [0, 0, 0, 0]

    def add(self, steps: list[int], seqs: list[int] | None, times_ms: list[int], values: list[float]) -> None:
        """Go on with these points; `seqs` None: all zero."""
        if 0.0 in values or not all(map(eq, values, values)):
            values = [math.nan if value != value else value + 0.0 for value in values]
        zeros_or_seqs = array("q", seqs or bytes(8 * len(steps)))
        columns: list[array[Any]] = [array("q", steps), zeros_or_seqs, array("q", times_ms), array("d", values)]
        for place, column in enumerate(columns):
            if sys.byteorder == "big":
                column.byteswap()
            self.parts[place] = zlib.crc32(column, self.parts[place])

    def value(self) -> int:
        """The checksum of all points so far."""
        return zlib.crc32(_FOUR_PARTS.pack(*self.parts))


def points_checksum(points: Iterable[Row]) -> int:
    """The checksum of stored points, which come in key order as step, seq, time_ms and value."""
    checksum = PointsChecksum()
    rows = iter(points)
    while batch := list(islice(rows, CHECKSUM_BATCH)):
        steps, seqs, times_ms, values = map(list, zip(*batch, strict=True))
        checksum.add(steps, seqs, times_ms, [stored_number(value) for value in values])
    return checksum.value()


def seal_series(
    connection: Connection, run: int, *, completed: bool, known: Mapping[int, tuple[int, int]] | None = None
) -> None:
    """At a run's end: take each series' checksum and, if it completed, let it be ranked.

    `known` are checksums that were kept while the points came: by series, with the count they are for.
    """
    for row in connection.all(SERIES_OF_RUN, (run,)):
        count, checksum = (known or {}).get(row["id"], (-1, 0))
        if count != row["count"]:
            checksum = points_checksum(connection.iterate(SELECT_POINTS, (row["id"],)))
        connection.execute(SEAL_SERIES, (int(completed), checksum, row["id"]))
