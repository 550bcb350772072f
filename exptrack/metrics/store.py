"""Store points with the summaries of their series, and read them back.

Invariants:

- Every logged point is kept. Steps may repeat or decrease; `seq` counts the repetitions of a step.
- The summary of a series always agrees with its points: both are written in one transaction.
- NaN is stored as NULL and enters neither min, max nor sum. The infinities are stored as they are. -0.0 comes
  back as 0.0, its equal.
- Times are whole milliseconds since the run's start.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby, islice

from exptrack.database.connection import Connection, Row
from exptrack.database.damage import decoding_rows
from exptrack.database.row_sums import (
    ADD_TO_RUN,
    METRIC_KIND,
    GatheredRows,
    hash_row,
    sum_columns,
    sum_points,
    sum_words,
    wrap_sum,
)
from exptrack.metrics.columns import PointWords, pack_points
from exptrack.metrics.insertion import Part, insert_points, insert_repetitions, insert_rows
from exptrack.metrics.summary import Summary
from exptrack.named_tuples import NamedTuple
from exptrack.records import REWOUND, MetricPoint, MetricSummary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.metrics.level_builder import LevelBuilder

# Of `n`, a metric: it is not one that holds what a rewinding of its run has hidden.
IS_SHOWN = f"substr(n.name, 1, {len(REWOUND)}) <> '{REWOUND}'"
SELECT_NAME = "SELECT id FROM metric_name WHERE name = ?"
INSERT_NAME = "INSERT INTO metric_name (name) VALUES (?)"
SELECT_SERIES = """
SELECT id, count, nan_count, first_step, first_value, last_step, last_value, last_time_ms, top_step,
       min_step, min_value, max_step, max_value, value_sum, rows_sum
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
     top_step, min_step, min_value, max_step, max_value, value_sum, completed, checksum, rows_sum)
SELECT * FROM (VALUES {rows}) WHERE column1 > 0
ON CONFLICT (id) DO UPDATE
SET count = excluded.count, nan_count = excluded.nan_count, first_step = excluded.first_step,
    first_value = excluded.first_value, last_step = excluded.last_step, last_value = excluded.last_value,
    last_time_ms = excluded.last_time_ms, top_step = excluded.top_step, min_step = excluded.min_step,
    min_value = excluded.min_value, max_step = excluded.max_step, max_value = excluded.max_value,
    value_sum = excluded.value_sum, rows_sum = excluded.rows_sum
"""
LAST_SERIES = "SELECT coalesce(max(id), 0) FROM metric_series"
COUNTS = """
SELECT group_concat(id || ' ' || count) FROM metric_series WHERE id IN (SELECT value FROM json_each(?))
"""
NEXT_SEQ = "SELECT coalesce(max(seq) + 1, 0) FROM metric_point WHERE series = ? AND step = ?"
TOP_STEP = """
SELECT s.top_step FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ?
"""
TOP_STEPS = """
SELECT n.name, s.top_step FROM metric_name AS n JOIN metric_series AS s ON s.run = ? AND s.metric = n.id
WHERE n.name IN (SELECT value FROM json_each(?))
"""
NAME_IDS = "SELECT name, id FROM metric_name WHERE name IN (SELECT value FROM json_each(?))"
METRICS_STORED = """
SELECT metric FROM metric_series WHERE run = ? AND metric IN (SELECT value FROM json_each(?))
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
_SUMMARIES = """
SELECT s.run, n.name, s.count, s.nan_count, s.first_value, s.first_step, s.last_value, s.last_step,
       s.min_value, s.min_step, s.max_value, s.max_step, s.value_sum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run IN (SELECT value FROM json_each(?)) AND {shown} ORDER BY s.run, n.name
"""
SUMMARIES = _SUMMARIES.format(shown=IS_SHOWN)
HIDDEN_SUMMARIES = _SUMMARIES.format(shown=f"NOT {IS_SHOWN}")
SAVE_SUM = "UPDATE metric_series SET rows_sum = ? WHERE id = ?"
CHECKSUM_BATCH = 4096  # points read at a time
COLLECTED_FROM = 1024  # points on: the buckets of a level are collected
BLOCK_POINTS = 1024  # that have a checksum of their own
CRC_POINTS = 512  # of a column that enter its checksum at once
_FOUR_PARTS = struct.Struct("<IIII")


class NewPoints(NamedTuple):
    """Points of one series to be stored, in the order of logging: columns of one length.

    `words` are the same columns, if the caller has their bytes; then no value is -0.0. Lists that several
    series share are looked through once.
    """

    series: SeriesRow
    steps: list[int]
    times_ms: list[int]
    values: list[float]
    words: PointWords | None = None


class Block(NamedTuple):
    """A block of points: the key of its first point, and its checksum."""

    step: int
    seq: int
    crc: int


class SeriesRow:
    """The row of one series as this process remembers it. It is compared with the file before each use."""

    __slots__ = ("checksum", "completed", "id", "metric", "name", "points_sum", "run", "summary")

    def __init__(self, run: int, name: str) -> None:
        self.run = run
        self.name = name
        # For a series recorded after its run's end: whether the run completed. None while the run is live.
        self.completed: bool | None = None
        self.forget()

    def forget(self) -> None:
        """Forget everything read from the file. Call it when a transaction that wrote the series is undone."""
        self.id: int | None = None
        self.metric: int | None = None
        # Kept up while all points come from this process with rising steps. Otherwise None until the run's end.
        self.checksum: PointsChecksum | None = None
        self.summary: Summary | None = None
        self.points_sum = 0  # what the points add to the sum of the row

    def begin(self, row_id: int, metric: int) -> None:
        """Begin a series that is not in the file; it gets its row with its first points."""
        self.id, self.metric = row_id, metric
        self.summary, self.checksum = Summary(), PointsChecksum(collects=True)


# Writing points


def append_points(connection: Connection, batches: Iterable[NewPoints]) -> None:
    """Store points and update the summaries of their series. Call inside a transaction.

    If the transaction is undone, call :meth:`SeriesRow.forget` on every series.
    """
    pending = list(batches)
    _forget_outdated(connection, [batch.series for batch in pending])
    _begin_new(connection, [batch.series for batch in pending])
    added: list[_Added] = []
    known: dict[int, SeriesRow] = {}
    rising: tuple[list[int] | None, bool] = None, False
    for series, steps, times_ms, values, words in pending:
        if words is None:
            words = pack_points(steps, times_ms, values)
            values = words.values.tolist()
        top = _read_top_step(connection, series)
        if rising[0] is not steps:
            rising = steps, _is_rising(steps)
        beyond = (top is None or steps[0] > top) and rising[1]
        extremes = None
        if not beyond:
            series.checksum = None
        elif series.checksum is not None:
            extremes = series.checksum.add_words(words, None, times_ms, values)
        assert series.summary is not None
        series.summary.extend(steps, times_ms, values, extremes, rising=rising[1])
        known[_insert_if_new(connection, series)] = series
        series.points_sum += sum_columns(steps, None, times_ms, sum_words(words.values.tobytes()))
        added.append(_Added(series, words, top, beyond))
    # The series come before the points, which refer to them.
    saved = [_series_row(series) for series in known.values()]
    columns: list[Sequence[object]] = [list(column) for column in zip(*saved, strict=True)]
    insert_rows(connection, SAVE_SERIES, f"({', '.join('?' * 19)})", columns)
    fresh: list[Part] = []
    ids: set[int] = set()
    for series, words, top, beyond in added:
        assert series.id is not None
        if beyond:
            fresh.append(Part(series.id, *words))
            ids.add(series.id)
            continue
        if series.id in ids:
            # An earlier batch of this series must be in the file before the repetitions are counted.
            insert_points(connection, fresh)
            fresh.clear()
            ids.clear()
        seqs = _count_repetitions(connection, series.id, words.steps, top)
        insert_repetitions(connection, series.id, words, seqs)
        if any(seqs):
            series.points_sum += sum_points((), seqs, (), ())
            connection.execute(SAVE_SUM, (_series_row(series)[-1], series.id))
    insert_points(connection, fresh)


class _Added(NamedTuple):
    """Points that the summary of their series has: `beyond` its largest step `top`, so that none can repeat."""

    series: SeriesRow
    words: PointWords
    top: int | None
    beyond: bool


def begin_series(
    connection: Connection, wanted: Iterable[tuple[int, str, bool]], gathered: GatheredRows
) -> list[SeriesRow]:
    """Begin series for runs recorded after their end: each with run, name and whether the run completed.

    Call inside a transaction, and give each series its points in the same one. The sums of the runs change once
    what is `gathered` is written.
    """
    begun = []
    metrics: dict[str, int] = {}
    row_id = int(connection.value(LAST_SERIES))
    for run, name, completed in wanted:
        row_id += 1
        series = SeriesRow(run, name)
        if name not in metrics:
            metrics[name] = metric_row_id(connection, name)
        series.completed = completed
        series.begin(row_id, metrics[name])
        begun.append(series)
        gathered.add_to_run(run, _hash_name(name))
    return begun


def _begin_new(connection: Connection, pending: list[SeriesRow]) -> None:
    """Begin the series that the file does not have yet, by a few statements for all of them."""
    unknown: dict[tuple[int, str], SeriesRow] = {}
    for series in pending:
        if series.summary is None and unknown.setdefault((series.run, series.name), series) is not series:
            return  # two rows of one series: each begins by itself, and the second reads what the first wrote
    new = list(unknown.values())
    if not new:
        return
    names = sorted({series.name for series in new})
    metrics = dict(connection.fold(NAME_IDS, (json.dumps(names),), list))
    row_id = int(connection.value(LAST_SERIES))
    for run, of_run in groupby(sorted(new, key=lambda one: one.run), key=lambda one: one.run):
        begun = []
        stored = {row[0] for row in connection.all(METRICS_STORED, (run, json.dumps(list(metrics.values()))))}
        for series in of_run:
            if series.name not in metrics:
                metrics[series.name] = metric_row_id(connection, series.name)
            if metrics[series.name] not in stored:
                row_id += 1
                series.begin(row_id, metrics[series.name])
                begun.append(series.name)
        if begun:
            _add_names(connection, run, begun)


@lru_cache(maxsize=4096)
def _hash_name(name: str) -> int:
    return hash_row(METRIC_KIND, (name,))


def _add_names(connection: Connection, run: int, names: Iterable[str]) -> None:
    """Let the sum of a run tell which metrics it has."""
    total = sum(map(_hash_name, names))
    connection.execute(ADD_TO_RUN, (wrap_sum(total), run))


def _series_row(series: SeriesRow) -> tuple[object, ...]:
    """Return the row of a series as it is now. It holds the checksum if the run is over."""
    assert series.summary is not None
    over = series.completed is not None and series.checksum is not None
    checksum = series.checksum.value() if over and series.checksum is not None else None
    numbers = series.summary.columns()
    rows_sum = wrap_sum(hash_summary(series.id, series.run, series.name, numbers) + series.points_sum)
    completed = int(bool(over and series.completed))
    return (series.id, series.run, series.metric, *numbers, completed, checksum, rows_sum)


def hash_summary(series: int | None, run: int, name: str, numbers: Iterable[float | None]) -> int:
    """Return the hash of a summary; `numbers` are its columns from `count` to `value_sum`."""
    # SQLite has no -0.0.
    stored = [None if one is None else one + 0 for one in numbers]
    return hash_row("metric_series", (series, run, name, *stored))


def _is_rising(steps: list[int]) -> bool:
    # Two thirds of the time that comparing each step with the next one takes.
    return len(set(steps)) == len(steps) and steps == sorted(steps)


def _count_repetitions(connection: Connection, series: int, steps: Iterable[int], top: int | None) -> list[int]:
    """Return how often each step was logged before. Only steps up to `top` can have been."""
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


def _forget_outdated(connection: Connection, series: list[SeriesRow]) -> None:
    """Forget series whose count in the file has changed: a forked child may have added points."""
    # A series that was only just begun is not in the file.
    known = {one.id: one for one in series if one.id is not None and (one.summary is None or one.summary.count)}
    if not known:
        return
    found = connection.value(COUNTS, (json.dumps(list(known)),)) or ""
    pairs = (pair.split() for pair in found.split(",") if pair)
    counts = {int(row_id): int(count) for row_id, count in pairs}
    for one in known.values():
        if one.summary is None or one.id is None or counts.get(one.id) != one.summary.count:
            one.forget()


def metric_row_id(connection: Connection, name: str) -> int:
    """Return the row id of a metric's name, inserted if it is new."""
    row_id = connection.value(SELECT_NAME, (name,))
    if row_id is None:
        row_id = connection.execute(INSERT_NAME, (name,)).lastrowid
    return int(row_id)


def _read_top_step(connection: Connection, series: SeriesRow) -> int | None:
    """Return the largest step of a series, None if it is new. Read its summary if it is not known."""
    if series.summary is None:
        series.metric = metric_row_id(connection, series.name)
        row = connection.one(SELECT_SERIES, (series.run, series.metric))
        series.summary = Summary(row)
        if row is not None:
            series.id = int(row["id"])
            numbers = series.summary.columns()
            series.points_sum = row["rows_sum"] - hash_summary(series.id, series.run, series.name, numbers)
        else:
            series.checksum = PointsChecksum(collects=True)
    return series.summary.top_step if series.summary.count else None


def _insert_if_new(connection: Connection, series: SeriesRow) -> int:
    """Return the row id of a series, whose first points are in its summary if it is new."""
    if series.id is None:
        assert series.summary is not None
        values_of_row = (series.run, series.metric, *series.summary.columns())
        series.id = connection.execute(INSERT_SERIES, values_of_row).lastrowid
        _add_names(connection, series.run, [series.name])
    assert series.id is not None
    return series.id


# Reading points and summaries


def find_top_step(connection: Connection, run: int, name: str) -> int | None:
    """Return the largest step of a metric in the file, or None if it has no points there."""
    top: int | None = connection.value(TOP_STEP, (run, name))
    return top


def find_top_steps(connection: Connection, run: int, names: Sequence[str]) -> dict[str, int]:
    """Return the largest step of each of these metrics that has points in the file."""
    found: dict[str, int] = dict(connection.fold(TOP_STEPS, (run, json.dumps(names)), list))
    return found


@decoding_rows
def read_curve(connection: Connection, run: int, name: str, started_at: datetime) -> list[MetricPoint]:
    """Return every point of one metric by step, repetitions in the order of logging."""
    return [
        MetricPoint(row[0], nan_if_null(row[2]), started_at + timedelta(milliseconds=row[1]))
        for row in connection.all(CURVE, (run, name))
    ]


@decoding_rows
def read_last(connection: Connection, run: int, name: str, started_at: datetime) -> MetricPoint | None:
    """Return the point logged last, or None if the run has no such metric."""
    row = connection.one(LAST_POINT, (run, name))
    if row is None:
        return None
    return MetricPoint(row[0], nan_if_null(row[2]), started_at + timedelta(milliseconds=row[1]))


@decoding_rows
def read_summaries(
    connection: Connection, runs: Sequence[int], *, hidden: bool = False
) -> dict[int, tuple[MetricSummary, ...]]:
    """Return the metric summaries of these runs, each sorted by name; a run without metrics has none.

    Those of points that a rewinding has hidden are left out; with `hidden`, they are all.
    """
    found: dict[int, list[MetricSummary]] = {run: [] for run in runs}
    for row in connection.all(HIDDEN_SUMMARIES if hidden else SUMMARIES, (json.dumps(list(found)),)):
        found[row["run"]].append(read_series_summary(row))
    return {run: tuple(summaries) for run, summaries in found.items()}


def read_series_summary(row: Row) -> MetricSummary:
    """Turn a row with the columns of `SUMMARIES` into a record."""
    return MetricSummary(
        name=row["name"],
        count=row["count"],
        nan_count=row["nan_count"],
        first=nan_if_null(row["first_value"]),
        first_step=row["first_step"],
        last=nan_if_null(row["last_value"]),
        last_step=row["last_step"],
        min=row["min_value"],
        min_step=row["min_step"],
        max=row["max_value"],
        max_step=row["max_step"],
        mean=row["value_sum"] / (row["count"] - row["nan_count"]) if row["count"] > row["nan_count"] else None,
    )


def nan_if_null(stored: float | None) -> float:
    """Return a stored value, NaN for NULL."""
    return math.nan if stored is None else stored


# Checksums


class PointsChecksum:
    """CRC-32 over points in key order, by blocks of 1024 points, so that points can be added as they come.

    In each block the four columns have a CRC-32 each: steps, repetitions and times as int64, values as float64
    with one NaN and no -0.0, all little-endian. The checksum of the block is the CRC-32 of these four, as
    little-endian uint32. The checksum of all is the CRC-32 of those of the blocks, written likewise.
    """

    __slots__ = ("_blocks", "_collects", "_parts", "_start", "built", "count")

    def __init__(self, *, collects: bool = False) -> None:
        self.count = 0
        self._collects = collects
        #: With `collects`, the buckets of the points of a series that may become long; see `levels`.
        self.built: LevelBuilder | None = None
        self._blocks: list[Block] = []  # the full ones
        self._parts = [0, 0, 0, 0]  # of the block that is not full
        self._start = (0, 0)

    def add(
        self, steps: list[int], seqs: list[int] | None, times_ms: list[int], values: list[float]
    ) -> tuple[float, float] | None:
        """Add these points. Without `seqs`, no step repeats.

        Return the least and the greatest value if they were looked at for a level. NaN is none of them.
        """
        words = pack_points(steps, times_ms, values)
        return self.add_words(words, seqs, times_ms, words.values.tolist() if self._collects else values)

    def add_words(
        self, words: PointWords, seqs: list[int] | None, times_ms: list[int], values: list[float]
    ) -> tuple[float, float] | None:
        """Add these points like :meth:`add`; `times_ms` and `values` are columns of `words` once more."""
        steps = words.steps
        extremes = self._collect(steps, times_ms, values) if self._collects else None
        if not self.count and seqs is None and len(steps) <= CRC_POINTS and sys.byteorder == "little":
            # Most series are short, and all of their points come at once.
            self.count, self._start = len(steps), (steps[0], 0)
            no_seqs = bytes(8 * len(steps))
            self._parts = [zlib.crc32(column) for column in (steps, no_seqs, words.times_ms, words.values)]
            return extremes
        columns: list[array[Any]] = [
            words.steps,
            array("q", seqs or bytes(8 * len(steps))),
            words.times_ms,
            words.values,
        ]
        if sys.byteorder == "big":
            columns = [column[:] for column in columns]
            for column in columns:
                column.byteswap()
        views = [memoryview(column) for column in columns]
        begin = 0
        while begin < len(steps):
            filled = self.count % BLOCK_POINTS
            if not filled:
                self._start = (steps[begin], seqs[begin] if seqs else 0)
                self._parts = [0, 0, 0, 0]
            end = min(len(steps), begin + BLOCK_POINTS - filled)
            for place, view in enumerate(views):
                # From 5 KB on, crc32() gives the GIL up; beside a busy thread, getting it back costs 5 ms.
                for at in range(begin, end, CRC_POINTS):
                    part = view[at : min(at + CRC_POINTS, end)]
                    self._parts[place] = zlib.crc32(part, self._parts[place])
            self.count += end - begin
            begin = end
            if not self.count % BLOCK_POINTS:
                self._blocks.append(self._last_block())
        return extremes

    def _collect(
        self, steps: array[int], times_ms: list[int], values: list[float]
    ) -> tuple[float, float] | None:
        if self.built is None:
            if max(self.count, len(steps)) < COLLECTED_FROM:
                return None  # most series stay short; the first points of a long one are read at its end
            from exptrack.metrics.level_builder import LevelBuilder

            self.built = LevelBuilder.begin(self.count, steps, times_ms)
        return self.built.add(steps, times_ms, values)

    def _last_block(self) -> Block:
        return Block(*self._start, zlib.crc32(_FOUR_PARTS.pack(*self._parts)))

    def blocks(self) -> list[Block]:
        """Return the blocks of all points so far."""
        return [*self._blocks, self._last_block()] if self.count % BLOCK_POINTS else list(self._blocks)

    def value(self) -> int:
        """Return the checksum of all points so far."""
        return join_blocks(self.blocks())


def checksum_block(columns: Sequence[bytes]) -> int:
    """Return the checksum of a block of points from its four columns, little-endian."""
    return zlib.crc32(_FOUR_PARTS.pack(*map(zlib.crc32, columns)))


def join_blocks(blocks: Sequence[Block]) -> int:
    """Return the checksum of all points of a series, whose blocks these are."""
    return zlib.crc32(struct.pack(f"<{len(blocks)}I", *[block.crc for block in blocks]))


def checksum_points(points: Iterable[Row], *, collects: bool) -> PointsChecksum:
    """Return the checksum of stored points: rows of step, seq, time_ms and value in key order."""
    checksum = PointsChecksum(collects=collects)
    rows = iter(points)
    while batch := list(islice(rows, CHECKSUM_BATCH)):
        steps, seqs, times_ms, values = map(list, zip(*batch, strict=True))
        checksum.add(steps, seqs, times_ms, [nan_if_null(value) for value in values])
    return checksum
