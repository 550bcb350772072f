"""Verify metrics: one read of the points of a series gives its summary, its checksums and its sum.

Invariants:

- A block of 1,024 points is in memory at a time, as columns. Builtins and C code go over them, so that the
  checks together take less time than SQLite takes to hand over the points.
- Nearly every point has the repetition 0, and a column less to hand over takes a sixth less time. So the first
  query leaves `seq` out, and gives NULL for the step of a point that repeats one. Such a series is read again.
- The points come by step, not in the order of logging. So they do not tell which one was logged first or last,
  or which of several equal extremes came first. These checks prove only that such a point exists.
"""

from __future__ import annotations

import hashlib
import math
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

from exptrack.database.connection import Connection, Row
from exptrack.database.failures import DAMAGE
from exptrack.database.row_sums import sum_columns, sum_words, wrap_sum
from exptrack.metrics.store import (
    BLOCK_POINTS,
    SELECT_POINTS,
    Block,
    checksum_block,
    hash_summary,
    join_blocks,
    nan_if_null,
)
from exptrack.metrics.summary import SUMMARY_COLUMNS
from exptrack.portable.file_seal import PointsDigest
from exptrack.portable.findings import PointsMeter, Problem, guard
from exptrack.portable.level_checks import LevelProof, find_series_with_levels, read_levels
from exptrack.records import RunStatus

SERIES_OF_RUN = """
SELECT s.*, n.name, r.status, r.run_id
FROM metric_series AS s JOIN run AS r ON r.id = s.run LEFT JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? ORDER BY n.name
"""
SERIES_IDS = "SELECT id FROM metric_series WHERE run = ? ORDER BY id"
ONE_SERIES = """
SELECT s.*, n.name, r.status, r.run_id
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric JOIN run AS r ON r.id = s.run WHERE s.id = ?
"""
BLOCKS_OF = "SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY step, seq"
POINTS_WITHOUT_REPETITION = """
SELECT CASE seq WHEN 0 THEN step END, time_ms, value FROM metric_point WHERE series = ? ORDER BY step, seq
"""
SUM_OF_SIZES = "SELECT total(abs(value)) FROM metric_point WHERE series = ?"
CHANGED = "its points do not match their checksum"
ROUNDING = 2.3e-16  # of one addition, relative to its result; slightly more than 2^-52
LEAST = 5e-324  # above zero


def check_metrics(
    connection: Connection,
    run: int,
    where: str,
    meter: PointsMeter,
    sound: Mapping[int, str],
    digest: PointsDigest | None,
) -> Iterator[Problem]:
    """Recompute all that is stored of a run's metrics, and add its points to the digest of all points.

    `sound` has the row ids of series that were proved already, each with the SHA-256 of its points.
    """
    with_levels = find_series_with_levels(connection, run)
    for series, row in _find_series(connection, run):
        if row is None or row["name"] is None:
            message = "its row or the name of its metric is missing"
            yield Problem("metric", f"{where} series {series}", message)
            continue
        if series not in sound:
            place = f"{where} {row['name']}"
            check = _check_series(connection, row, meter, digest, series in with_levels)
            yield from guard("metric", place, (Problem("metric", place, message) for message in check))
        elif digest is not None:
            digest.add(row["run_id"], row["name"], row["count"], sound[series])


def _find_series(connection: Connection, run: int) -> Iterator[tuple[int, Row | None]]:
    """Yield the row of each series by name; where one of them cannot be read, each by itself."""
    try:
        rows = connection.all(SERIES_OF_RUN, (run,))
    except DAMAGE:
        for (series,) in connection.all(SERIES_IDS, (run,)):
            try:
                row = connection.one(ONE_SERIES, (series,))
            except DAMAGE:
                row = None
            yield series, row
    else:
        yield from ((row["id"], row) for row in rows)


def _check_series(
    connection: Connection,
    row: Row,
    meter: PointsMeter,
    digest: PointsDigest | None,
    with_levels: bool,
) -> Iterator[str]:
    def read(query: str) -> _Rows:
        def take(points: Iterator[tuple[Any, ...]]) -> _Rows:
            levels = LevelProof(stored) if stored else None
            return _Rows(row, hashing=digest is not None, levels=levels).take(points, meter.reach)

        return connection.fold(query, (row["id"],), take)

    stored = read_levels(connection, row["id"]) if with_levels else []
    try:
        try:
            found = read(POINTS_WITHOUT_REPETITION)
        except _RepeatedStepError:
            found = read(SELECT_POINTS)
    except struct.error as error:  # a step, repetition or time is no integer, or a value no float
        raise TypeError(str(error)) from None
    meter.leave(found.count)
    if digest is not None:
        digest.add(row["run_id"], row["name"], row["count"], found.sha256())
    yield from found.problems(connection)
    blocks: list[Any] = connection.fold(BLOCKS_OF, (row["id"],), list)
    if blocks != found.stored_blocks():
        yield "its points do not match the checksums of their blocks"
    if found.levels is not None:
        yield from found.levels.problems(row)


class _RepeatedStepError(Exception):
    """A step repeats, so the query without `seq` does not tell all."""


@cache
def _formats(count: int) -> tuple[struct.Struct, struct.Struct]:
    """Return how columns of integers and of floats are stored, for one of at most 1,024 lengths."""
    return struct.Struct(f"<{count}q"), struct.Struct(f"<{count}d")


class SeriesProof:
    """The points of a series, compared with its row."""

    def __init__(self, row: Row, *, hashing: bool = False, levels: LevelProof | None = None) -> None:
        self.row = row
        self.levels = levels
        self.count = self.nan_count = self.total = 0
        self.top_step: int | None = None
        self.min_value: float | None = None
        self.max_value: float | None = None
        self.sums: list[float] = []
        self.blocks: list[Block] = []
        self._hash = hashlib.sha256() if hashing else None
        # Points that the summary names, by what it calls them: step, value, and time where it tells that.
        self.missing: dict[str, tuple[int, float | None, int | None]] = {
            "first": (row["first_step"], row["first_value"], None),
            "last": (row["last_step"], row["last_value"], row["last_time_ms"]),
        }
        if row["min_value"] is not None:
            self.missing["min"] = (row["min_step"], row["min_value"], None)
            self.missing["max"] = (row["max_step"], row["max_value"], None)

    def add(
        self,
        columns: tuple[bytes, bytes, bytes, bytes],
        first: tuple[int, int],
        steps: Sequence[int],
        times_ms: Sequence[int],
        values: Sequence[float | None],
        numbers: list[float],
        total: int,
    ) -> None:
        """Add a block of points.

        `columns` are as they enter the checksum, and `first` is the key of the first point. `numbers` are the
        values that are no NaN, and `total` is what the points add to the sum of the series.
        """
        if self._hash is not None:
            self._hash.update(b"".join(columns))
        self.blocks.append(Block(*first, checksum_block(columns)))
        self.total += total
        self.count += len(steps)
        self.nan_count += len(values) - len(numbers)
        self.top_step = steps[-1]
        if self.levels is not None:
            is_whole = len(numbers) == len(values)
            self.levels.add(steps, times_ms, numbers if is_whole else [*map(nan_if_null, values)])
        elif numbers:
            self._note_extremes(min(numbers), max(numbers))
        if numbers:
            self._add_up(numbers)
        if self.missing:
            self._look_for_missing(steps, times_ms, values)

    def _note_extremes(self, least: float, most: float) -> None:
        if self.min_value is None or least < self.min_value:
            self.min_value = least
        if self.max_value is None or most > self.max_value:
            self.max_value = most

    def _add_up(self, numbers: list[float]) -> None:
        try:
            self.sums.append(math.fsum(numbers))
        except (OverflowError, ValueError):  # too large for a float, or infinities of both signs
            self.sums.append(math.inf)

    def _look_for_missing(
        self, steps: Sequence[int], times_ms: Sequence[int], values: Sequence[float | None]
    ) -> None:
        for name, (step, value, time_ms) in list(self.missing.items()):
            for place in range(bisect_left(steps, step), len(steps)):
                if steps[place] != step:
                    break
                found = values[place]
                is_same = found == value or (value is None and found != found)
                if is_same and time_ms in (None, times_ms[place]):
                    del self.missing[name]
                    break

    def sha256(self) -> str:
        """Return the SHA-256 of the points (hex); nothing unless it was asked for."""
        return "" if self._hash is None else self._hash.hexdigest()

    def stored_blocks(self) -> list[Block]:
        """Return the blocks that the file has a row for, if it tells the truth."""
        return self.blocks if self.row["checksum"] is not None and self.row["count"] > BLOCK_POINTS else []

    def problems(self, connection: Connection) -> Iterator[str]:
        """Yield what is wrong, once all points were added. The file is read only in doubt about a sum."""
        row = self.row
        if self.levels is not None:  # it looked for them already
            self.min_value, self.max_value = self.levels.extremes()
        for column in ("count", "nan_count", "top_step", "min_value", "max_value"):
            if row[column] != getattr(self, column):
                yield f"{column} is {row[column]}, but its points give {getattr(self, column)}"
        for name in self.missing:
            yield f"its summary has a {name} point that was not logged"
        total = math.fsum(self.sums) if all(map(math.isfinite, self.sums)) else math.inf
        if math.isfinite(total) and not self._is_sum(connection, total, row["value_sum"]):
            yield f"value_sum is {row['value_sum']}, but its points give {total}"
        if row["checksum"] is not None and join_blocks(self.blocks) != row["checksum"]:
            yield CHANGED
        numbers = [row[column] for column in SUMMARY_COLUMNS]
        if wrap_sum(hash_summary(row["id"], row["run"], row["name"], numbers) + self.total) != row["rows_sum"]:
            yield "its summary or its points are not those that were stored"
        if row["completed"] and row["status"] != RunStatus.COMPLETED:
            yield "it is ranked, but its run is not completed"

    def _is_sum(self, connection: Connection, exact: float, stored: float) -> bool:
        """Whether a stored sum is that of the values. It depends on their order: each addition may round."""
        error, share = abs(exact - stored), self.count * ROUNDING
        # The sizes of the values add up to at least the size of their sum, and mostly that is bound enough.
        if error <= abs(exact) * share + LEAST:
            return True
        sizes = float(connection.value(SUM_OF_SIZES, (self.row["id"],)))
        return error <= sizes * share + LEAST


class _Rows(SeriesProof):
    """Points as SQLite hands them over."""

    def take(self, points: Iterator[tuple[Any, ...]], reach: Callable[[int], None]) -> _Rows:
        """Read all points, a block at a time; `reach` is called with their number so far.

        Raises:
            _RepeatedStepError: a step repeats, and the points come without their repetitions.
        """
        while rows := list(islice(points, BLOCK_POINTS)):
            cells, width = list(chain.from_iterable(rows)), len(rows[0])
            seqs = cells[1::width] if width == 4 else None
            self._add_rows(cells[0::width], seqs, cells[width - 2 :: width], cells[width - 1 :: width])
            reach(self.count)
        return self

    def _add_rows(
        self, steps: list[int], seqs: list[int] | None, times_ms: list[int], values: list[float | None]
    ) -> None:
        integers, floats = _formats(len(steps))
        try:
            coded_steps = integers.pack(*steps)
        except struct.error:
            if seqs is None and None in steps:
                raise _RepeatedStepError from None
            raise
        numbers: list[Any] = values
        try:
            coded_values = floats.pack(*values)
        except struct.error:
            numbers = [value for value in values if value is not None]
            coded_values = floats.pack(*map(nan_if_null, values))
        coded_seqs = bytes(integers.size) if seqs is None else integers.pack(*seqs)
        total = sum_columns(steps, seqs, times_ms, sum_words(coded_values, "little"))
        columns = (coded_steps, coded_seqs, integers.pack(*times_ms), coded_values)
        self.add(columns, (steps[0], seqs[0] if seqs else 0), steps, times_ms, values, numbers, total)
