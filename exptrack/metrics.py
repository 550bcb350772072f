"""Metric series: writing points with their summaries, and reading them back.

Invariants: every point logged is kept, repeated and decreasing steps included (`seq` counts the
repetitions of a step). The summary of a series always equals what its points say; it is written in the
same transaction. NaN is stored as NULL and enters neither min, max nor sum; the infinities are
themselves; -0.0 comes back as 0.0, its equal. Times are whole milliseconds since the run's start.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from exptrack.connection import Connection, Row
from exptrack.records import MetricPoint, MetricSummary

SELECT_NAME = "SELECT id FROM metric_name WHERE name = ?"
INSERT_NAME = "INSERT INTO metric_name (name) VALUES (?) ON CONFLICT DO NOTHING"
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
UPDATE_SERIES = """
UPDATE metric_series
SET count = ?, nan_count = ?, first_step = ?, first_value = ?, last_step = ?, last_value = ?,
    last_time_ms = ?, top_step = ?, min_step = ?, min_value = ?, max_step = ?, max_value = ?, value_sum = ?
WHERE id = ?
"""
NEXT_SEQ = "SELECT coalesce(max(seq) + 1, 0) FROM metric_point WHERE series = ? AND step = ?"
INSERT_POINT = "INSERT INTO metric_point (series, step, seq, time_ms, value) VALUES (?, ?, ?, ?, ?)"
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
SELECT n.name, s.count, s.nan_count, s.first_value, s.first_step, s.last_value, s.last_step,
       s.min_value, s.min_step, s.max_value, s.max_step, s.value_sum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? ORDER BY n.name
"""
SERIES_OF_RUN = """
SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? ORDER BY n.name
"""
SEAL_SERIES = "UPDATE metric_series SET completed = ?, checksum = ? WHERE id = ?"
REOPEN_SERIES = "UPDATE metric_series SET completed = 0, checksum = NULL WHERE run = ?"

_POINT = struct.Struct("<qqqd")
CHECKSUM_BATCH = 4096


class NewPoint(NamedTuple):
    """A point on its way into the file; `step` None takes the step after the largest so far."""

    name: str
    step: int | None
    time_ms: int
    value: float


class Summary:
    """The running summary of one series."""

    __slots__ = (
        "count",
        "first_step",
        "first_value",
        "last_step",
        "last_time_ms",
        "last_value",
        "max_step",
        "max_value",
        "min_step",
        "min_value",
        "nan_count",
        "top_step",
        "value_sum",
    )

    def __init__(self, row: Row | None = None) -> None:
        self.count = row["count"] if row else 0
        self.nan_count = row["nan_count"] if row else 0
        self.first_step: int = row["first_step"] if row else 0
        self.first_value: float | None = row["first_value"] if row else None
        self.last_step: int = row["last_step"] if row else 0
        self.last_value: float | None = row["last_value"] if row else None
        self.last_time_ms: int = row["last_time_ms"] if row else 0
        self.top_step: int = row["top_step"] if row else -1
        self.min_step: int | None = row["min_step"] if row else None
        self.min_value: float | None = row["min_value"] if row else None
        self.max_step: int | None = row["max_step"] if row else None
        self.max_value: float | None = row["max_value"] if row else None
        self.value_sum: float = row["value_sum"] if row else 0.0

    def add(self, step: int, time_ms: int, value: float) -> None:
        """Take one more point into account."""
        stored = None if math.isnan(value) else value
        if self.count == 0:
            self.first_step, self.first_value = step, stored
            self.top_step = step
        self.count += 1
        self.last_step, self.last_value, self.last_time_ms = step, stored, time_ms
        self.top_step = max(self.top_step, step)
        if stored is None:
            self.nan_count += 1
            return
        if self.min_value is None or stored < self.min_value:
            self.min_step, self.min_value = step, stored
        if self.max_value is None or stored > self.max_value:
            self.max_step, self.max_value = step, stored
        # inf + -inf has no sum that SQLite could keep apart from "no value": it stays infinite.
        total = self.value_sum + stored
        self.value_sum = self.value_sum if math.isnan(total) else total

    def columns(self) -> tuple[int | float | None, ...]:
        """In the order of INSERT_SERIES and UPDATE_SERIES."""
        return (
            self.count,
            self.nan_count,
            self.first_step,
            self.first_value,
            self.last_step,
            self.last_value,
            self.last_time_ms,
            self.top_step,
            self.min_step,
            self.min_value,
            self.max_step,
            self.max_value,
            self.value_sum,
        )


def append_points(connection: Connection, run: int, points: Iterable[NewPoint]) -> None:
    """Add points to a run and bring its summaries up to date; inside the caller's transaction."""
    series: dict[str, tuple[int, int | None, Summary]] = {}
    rows: list[tuple[str, int, int, int, float]] = []
    for point in points:
        known = series.get(point.name)
        if known is None:
            known = series[point.name] = _series(connection, run, point.name)
        _metric, series_id, summary = known
        step = summary.top_step + 1 if point.step is None else point.step
        # Only a step that is not beyond all others can have been there before.
        repeated = summary.count > 0 and step <= summary.top_step
        summary.add(step, point.time_ms, point.value)
        rows.append((point.name, step, int(repeated), point.time_ms, point.value))
        if series_id is None:
            series[point.name] = (known[0], _insert_series(connection, run, known), summary)
    for name, step, repeated_flag, time_ms, value in rows:
        series_id = series[name][1]
        seq = connection.value(NEXT_SEQ, (series_id, step)) if repeated_flag else 0
        connection.execute(INSERT_POINT, (series_id, step, seq, time_ms, value))
    for _metric, series_id, summary in series.values():
        connection.execute(UPDATE_SERIES, (*summary.columns(), series_id))


def _series(connection: Connection, run: int, name: str) -> tuple[int, int | None, Summary]:
    metric = connection.value(SELECT_NAME, (name,))
    if metric is None:
        connection.execute(INSERT_NAME, (name,))
        metric = connection.value(SELECT_NAME, (name,))
    row = connection.one(SELECT_SERIES, (run, metric))
    return int(metric), (row["id"] if row else None), Summary(row)


def _insert_series(connection: Connection, run: int, known: tuple[int, int | None, Summary]) -> int:
    cursor = connection.execute(INSERT_SERIES, (run, known[0], *known[2].columns()))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _number(stored: float | None) -> float:
    return math.nan if stored is None else stored


def read_curve(connection: Connection, run: int, name: str, started_at: datetime) -> list[MetricPoint]:
    """Every point of one metric of one run, ordered by step, repetitions in the order of logging."""
    return [
        MetricPoint(row[0], _number(row[2]), started_at + timedelta(milliseconds=row[1]))
        for row in connection.iterate(CURVE, (run, name))
    ]


def read_last(connection: Connection, run: int, name: str, started_at: datetime) -> MetricPoint | None:
    """The point logged last, or None when the run has no such metric."""
    row = connection.one(LAST_POINT, (run, name))
    if row is None:
        return None
    return MetricPoint(row[0], _number(row[2]), started_at + timedelta(milliseconds=row[1]))


def read_summaries(connection: Connection, run: int) -> tuple[MetricSummary, ...]:
    """The summary of each metric of one run, by name."""
    return tuple(
        MetricSummary(
            name=row["name"],
            count=row["count"],
            nan_count=row["nan_count"],
            first=_number(row["first_value"]),
            first_step=row["first_step"],
            last=_number(row["last_value"]),
            last_step=row["last_step"],
            min=row["min_value"],
            min_step=row["min_step"],
            max=row["max_value"],
            max_step=row["max_step"],
            mean=row["value_sum"] / (row["count"] - row["nan_count"])
            if row["count"] > row["nan_count"]
            else None,
        )
        for row in connection.iterate(SUMMARIES, (run,))
    )


def points_checksum(points: Iterator[Row]) -> int:
    """CRC-32 of points in key order: each as little-endian int64 step, seq, time_ms and float64 value."""
    checksum = 0
    batch = bytearray()
    for step, seq, time_ms, value in points:
        batch += _POINT.pack(step, seq, time_ms, _number(value))
        if len(batch) >= CHECKSUM_BATCH * _POINT.size:
            checksum = zlib.crc32(batch, checksum)
            batch.clear()
    return zlib.crc32(batch, checksum)


def seal_series(connection: Connection, run: int, *, completed: bool) -> None:
    """At a run's end: take each series' checksum and, if it completed, let it be ranked."""
    for row in connection.all(SERIES_OF_RUN, (run,)):
        checksum = points_checksum(connection.iterate(SELECT_POINTS, (row["id"],)))
        connection.execute(SEAL_SERIES, (int(completed), checksum, row["id"]))


def series_problems(connection: Connection, run: int) -> Iterator[tuple[str, str]]:
    """Recompute each summary and checksum of a run; yield (metric, what is wrong)."""
    for row in connection.all(SERIES_OF_RUN, (run,)):
        values: list[float] = []
        steps: list[int] = []
        nan_count = 0
        for step, _seq, _time_ms, value in connection.iterate(SELECT_POINTS, (row["id"],)):
            steps.append(step)
            if value is None:
                nan_count += 1
            else:
                values.append(value)
        found = {
            "count": len(steps),
            "nan_count": nan_count,
            "top_step": max(steps, default=None),
            "min_value": min(values, default=None),
            "max_value": max(values, default=None),
        }
        for column, value in found.items():
            if row[column] != value:
                yield row["name"], f"{column} is {row[column]}, its points say {value}"
        if all(map(math.isfinite, values)) and not _same_sum(values, row["value_sum"]):
            yield row["name"], f"value_sum is {row['value_sum']}, its points say otherwise"
        if row["checksum"] is not None:
            actual = points_checksum(connection.iterate(SELECT_POINTS, (row["id"],)))
            if actual != row["checksum"]:
                yield row["name"], "its points are not the ones that were logged (checksum)"


def _same_sum(values: list[float], stored: float) -> bool:
    """Sums of floats depend on their order: allow each addition its rounding."""
    scale = sum(map(abs, values))
    if not math.isfinite(scale):
        return True
    return abs(math.fsum(values) - stored) <= scale * len(values) * 2.3e-16 + 5e-324
