"""Put the points of a series into the equally wide cells of a grid, inside SQLite.

SQLite reads a range of steps at once and returns what it holds in sum. If the whole range lies in one cell,
that is the answer. If not, the range is cut into smaller ones, and the points of the smallest are read one by
one.

Invariants:

- A point is in the cell of its own position, in whatever order the points were logged.
- The order of points is that of the key: by step, repetitions of a step in the order of logging. It decides
  which point of a cell is the first and which the last, on every axis.
- NaN counts as a point, and enters no extreme and no sum.
- No Python object is kept per point.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import sub
from typing import Any, NamedTuple, TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.functions import Aggregate, unpack_bucket_columns, unpack_extremes, unpack_points
from exptrack.metrics.axes import (
    FINITE,
    RANGE,
    Axis,
    Grid,
    Measured,
    Number,
    Range,
    StepAxis,
)
from exptrack.metrics.series import STEP_BOUNDS
from exptrack.validation import INT64_MAX, INT64_MIN

FEW_POINTS = 32  # a range that holds no more of them is read point by point
POINTS_A_RANGE = 4  # about as many are worth a range of their own, at the first look
PARTS = 8  # into which a range that spans several cells is cut


FINITE_EXTREMES = f"""
SELECT (SELECT pack_extremes(min(value), max(value)) FROM metric_point{RANGE} AND value {FINITE})
FROM json_each(:ranges) AS e
"""
VALUES = "SELECT value FROM metric_point WHERE series = ? AND step BETWEEN ? AND ? AND value IS NOT NULL"
# Each element of :ranges is the range with the first point and the range with the last one.
ENDS = """
SELECT (
        SELECT pack_point(step, time_ms, value) FROM metric_point
        WHERE series = :series
        AND step BETWEEN json_extract(e.value, '$[0]') AND json_extract(e.value, '$[1]')
        ORDER BY step, seq LIMIT 1),
    (
        SELECT pack_point(step, time_ms, value) FROM metric_point
        WHERE series = :series
        AND step BETWEEN json_extract(e.value, '$[2]') AND json_extract(e.value, '$[3]')
        ORDER BY step DESC, seq DESC LIMIT 1)
FROM json_each(:ranges) AS e
"""
# All that equally wide cells hold, between two steps. It makes the cells itself and reads each with one search
# for the sum and one for each end: a list of ranges in JSON, parsed six times a cell, takes a third longer.
IN_CELL = "FROM metric_point WHERE series = :series AND step BETWEEN cell.low AND cell.high"
STEP_CELLS = f"""
WITH RECURSIVE cell (low, high) AS (
    SELECT :low, :first_high
    UNION ALL
    SELECT high + 1, min(high + :width, :high) FROM cell WHERE high < :high
)
SELECT (SELECT pack_bucket(count(*), count(value), min(value), max(value), total(value), 0, 0) {IN_CELL}),
       (SELECT pack_point(step, time_ms, value) {IN_CELL} ORDER BY step, seq LIMIT 1),
       (SELECT pack_point(step, time_ms, value) {IN_CELL} ORDER BY step DESC, seq DESC LIMIT 1)
FROM cell
"""
STEP_CELLS_WITHOUT_NAN = STEP_CELLS.replace("count(value)", "count(*)")


Points: TypeAlias = "tuple[array[int], array[int], array[float]]"  # steps, milliseconds, values


class _Part(NamedTuple):
    """What a part of a cell holds: a range of steps, or points that follow one another.

    `first` and `last` are a point (step, ms, value), or the range of steps in which it is.
    """

    points: int
    valued: int
    least: float
    greatest: float
    finite: tuple[float, float]
    total: float
    first: tuple[Any, ...]
    last: tuple[Any, ...]

    def join(self, other: _Part) -> _Part:
        """Return both parts as one. No step is in both, unless the other part has its later points."""
        return _Part(
            self.points + other.points,
            self.valued + other.valued,
            _choose(min, self.least, other.least),
            _choose(max, self.greatest, other.greatest),
            (_choose(min, self.finite[0], other.finite[0]), _choose(max, self.finite[1], other.finite[1])),
            self.total + other.total,
            other.first if other.first[0] < self.first[0] else self.first,
            other.last if other.last[0] >= self.last[0] else self.last,
        )


def _choose(end: Callable[[float, float], float], one: float, other: float) -> float:
    """Return the extreme of two numbers; NaN stands for none."""
    return other if one != one else one if other != other else end(one, other)


def cut(steps: Range, parts: int) -> list[Range]:
    """Cut a range of steps into at most this many of equal width."""
    low, high = steps
    width = -((low - high - 1) // parts)
    return [(begin, min(begin + width - 1, high)) for begin in range(low, high + 1, width)]


def read_bounds(connection: Connection, series: int, low: int, high: int) -> Range | None:
    """Return the least and greatest step of a series between two steps; None if it has no point there."""
    if low > high:
        return None
    found = connection.one(STEP_BOUNDS, {"series": series, "low": low, "high": high})
    return None if found is None or found[0] is None else (found[0], found[1])


def fill_cells(
    connection: Connection, series: int, axis: Axis, grid: Grid, ranges: list[Range], found: list[Measured]
) -> dict[str, array[Any]]:
    """Put the points of a series into the cells of a grid; return the columns.

    `ranges` are of steps, and hold all its points that may lie in the grid; `found` is what was measured there.
    """
    cells: dict[Number, _Part] = {}
    while ranges:
        smaller: list[Range] = []
        single: list[Range] = []
        whole: list[tuple[Number, Range, Aggregate]] = []
        for steps, (aggregate, extent) in zip(ranges, found, strict=True):
            if not aggregate.points or extent is None:
                continue
            cell = grid.find_cell(extent.low)
            if extent.certain and cell == grid.find_cell(extent.high):
                if math.isfinite(cell):
                    whole.append((cell, steps, aggregate))
            elif aggregate.points <= FEW_POINTS or steps[0] == steps[1]:
                single.append(steps)
            else:
                smaller += cut(steps, PARTS)
        _add_ranges(connection, series, cells, whole)
        if single:
            _add_points(connection, series, axis, grid, cells, single)
        ranges = smaller
        found = axis.measure(connection, series, ranges) if ranges else []
    return _make_columns(connection, series, axis, grid, cells)


def _add_ranges(
    connection: Connection,
    series: int,
    cells: dict[Number, _Part],
    whole: list[tuple[Number, Range, Aggregate]],
) -> None:
    odd = [(steps, one.least, one.greatest) for _, steps, one in whole if not math.isfinite(one.total)]
    settled = dict(zip((steps for steps, *_ in odd), _settle_odd(connection, series, odd), strict=True))
    for cell, steps, one in whole:
        finite, total = settled.get(steps, ((one.least, one.greatest), one.total))
        _add(cells, cell, _Part(one.points, one.valued, one.least, one.greatest, finite, total, steps, steps))


def _settle_odd(
    connection: Connection, series: int, odd: Sequence[tuple[Range, float, float]]
) -> list[tuple[tuple[float, float], float]]:
    """Return the finite extremes and the sum of ranges whose sum is not finite, given their extremes."""
    if not odd:
        return []
    wanted = {"series": series, "ranges": json.dumps([steps for steps, *_ in odd])}
    rows = connection.fold(FINITE_EXTREMES, wanted, list)
    settled = []
    for (steps, least, greatest), finite in zip(
        odd, unpack_extremes(b"".join(row[0] for row in rows)), strict=True
    ):
        if math.isinf(least) or math.isinf(greatest):
            total = least + greatest  # some versions of SQLite add infinities to NaN
        else:
            total = _add_up(value for (value,) in connection.fold(VALUES, (series, *steps), list))
        settled.append((finite, total))
    return settled


def _add(cells: dict[Number, _Part], cell: Number, part: _Part) -> None:
    held = cells.get(cell)
    cells[cell] = part if held is None else held.join(part)


def _add_up(values: Iterable[float]) -> float:
    """Add finite numbers whose sum may exceed every double; it is infinite then."""
    return math.fsum(value * 2.0**-64 for value in values) * 2.0**64


def _add_points(
    connection: Connection,
    series: int,
    axis: Axis,
    grid: Grid,
    cells: dict[Number, _Part],
    ranges: Sequence[Range],
) -> None:
    wanted = {**axis.values, "series": series, "ranges": json.dumps(ranges)}
    points = connection.fold(axis.points_sql, wanted, list)
    for cell, neighbours in groupby(points, key=lambda point: grid.find_cell(point[0])):
        if not math.isfinite(cell):
            continue
        held = [(step, time_ms, math.nan if value is None else value) for _, step, time_ms, value in neighbours]
        values = [value for _, _, value in held if value == value]
        finite = [value for value in values if math.isfinite(value)]
        part = _Part(
            len(held),
            len(values),
            min(values, default=math.nan),
            max(values, default=math.nan),
            (min(finite, default=math.nan), max(finite, default=math.nan)),
            sum(values),
            held[0],
            held[-1],
        )
        _add(cells, cell, part)


def _make_columns(
    connection: Connection, series: int, axis: Axis, grid: Grid, cells: dict[Number, _Part]
) -> dict[str, array[Any]]:
    places = sorted(cells)
    held = [cells[place] for place in places]
    firsts, lasts = [one.first for one in held], [one.last for one in held]
    sought = [at for at, one in enumerate(held) if _is_range(one.first) or _is_range(one.last)]
    if sought:
        ranges = [(*_range_of(firsts[at]), *_range_of(lasts[at])) for at in sought]
        for ends, found in zip((firsts, lasts), _read_ends(connection, series, ranges), strict=True):
            for at, point in zip(sought, zip(*found, strict=True), strict=True):
                ends[at] = point if _is_range(ends[at]) else ends[at]
    return {
        **_name_ends(_turn(firsts), _turn(lasts)),
        "min": array("d", [one.least for one in held]),
        "max": array("d", [one.greatest for one in held]),
        "finite_min": array("d", [one.finite[0] for one in held]),
        "finite_max": array("d", [one.finite[1] for one in held]),
        "nan_count": array("q", [one.points - one.valued for one in held]),
        "count": array("q", [one.points for one in held]),
        "sum": array("d", [one.total for one in held]),
        "start": axis.list_starts(places, grid),
    }


def _turn(points: Sequence[tuple[Any, ...]]) -> Points:
    steps, times, values = zip(*points, strict=True) if points else ((), (), ())
    return array("q", steps), array("q", times), array("d", values)


def _read_ends(connection: Connection, series: int, ranges: Sequence[tuple[int, ...]]) -> tuple[Points, Points]:
    """Read the first point of one range and the last of another; each of `ranges` is both."""
    rows = connection.fold(ENDS, {"series": series, "ranges": json.dumps(ranges)}, list)
    return (
        unpack_points(b"".join([row[0] for row in rows])),
        unpack_points(b"".join([row[1] for row in rows])),
    )


def _name_ends(firsts: Points, lasts: Points) -> dict[str, array[Any]]:
    return {
        "first_step": firsts[0],
        "last_step": lasts[0],
        "first_time_s": array("d", [ms / 1000 for ms in firsts[1]]),
        "last_time_s": array("d", [ms / 1000 for ms in lasts[1]]),
        "first": firsts[2],
        "last": lasts[2],
    }


def _is_range(end: tuple[Any, ...]) -> bool:
    """Return whether this end of a cell is a range of steps, and not a point."""
    return len(end) == 2


def _range_of(end: tuple[Any, ...]) -> Range:
    return (end[0], end[1]) if _is_range(end) else (end[0], end[0])


# Cells that are ranges of steps


class Held(NamedTuple):
    """A series: its row id, how many points it has, and whether it may have stored levels."""

    series: int
    points: int
    nan_points: int
    has_levels: bool = False


def scan_cells_of_steps(connection: Connection, held: Held, bounds: Range, grid: Grid) -> dict[str, array[Any]]:
    """Read a series on a grid of steps by a scan; `bounds` are its least and greatest step there."""
    low, high = bounds
    axis = StepAxis()
    cells = range(int(grid.find_cell(low)), int(grid.find_cell(high)) + 1)
    width = int(grid.width)
    # A cell wider than any integer of SQLite is measured as ranges too: STEP_CELLS could not add its width.
    if held.points // POINTS_A_RANGE < len(cells) or width > INT64_MAX:
        ranges = cut(bounds, held.points // POINTS_A_RANGE + 1)
        found = axis.measure(connection, held.series, ranges)
        return fill_cells(connection, held.series, axis, grid, ranges, found)
    begins = [int(grid.origin + cell * width) for cell in cells]
    sql = STEP_CELLS if held.nan_points else STEP_CELLS_WITHOUT_NAN
    wanted = {
        "series": held.series,
        "low": low,
        "high": high,
        "first_high": min(begins[0] + width - 1, high),
        "width": width,
    }
    filled, packed = [], []
    for begin, row in zip(begins, connection.fold(sql, wanted, list), strict=True):
        if row[1] is not None:
            filled.append(begin)
            packed.append(row)
    parts, firsts, lasts = (b"".join(column) for column in zip(*packed, strict=True))
    points, valued, least, greatest, totals = unpack_bucket_columns(parts)
    lows, highs = least, greatest
    if not all(map(math.isfinite, totals)):
        lows, highs = least[:], greatest[:]
        places = [at for at, total in enumerate(totals) if not math.isfinite(total)]
        odd = [
            ((max(filled[at], low), min(filled[at] + width - 1, high)), least[at], greatest[at])
            for at in places
        ]
        for at, (finite, total) in zip(places, _settle_odd(connection, held.series, odd), strict=True):
            (lows[at], highs[at]), totals[at] = finite, total
    return {
        **_name_ends(unpack_points(firsts), unpack_points(lasts)),
        "min": least,
        "max": greatest,
        "finite_min": lows,
        "finite_max": highs,
        "nan_count": array("q", map(sub, points, valued)),
        "count": points,
        "sum": totals,
        "start": array("q", [max(INT64_MIN, begin) for begin in filled]),
    }
