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
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.functions import Aggregate, unpack_extremes, unpack_points
from exptrack.metrics.axes import FINITE, RANGE, Axis, Grid, Measured, Number, Range
from exptrack.metrics.series import STEP_BOUNDS

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
    infinite = [steps for _, steps, one in whole if math.isinf(one.least) or math.isinf(one.greatest)]
    finite: dict[Range, tuple[float, float]] = {}
    if infinite:
        wanted = {"series": series, "ranges": json.dumps(infinite)}
        rows = connection.fold(FINITE_EXTREMES, wanted, list)
        finite = dict(zip(infinite, unpack_extremes(b"".join(row[0] for row in rows)), strict=True))
    for cell, steps, one in whole:
        total = one.total
        if steps in finite:
            total = one.least + one.greatest  # some versions of SQLite add infinities to NaN
        elif not math.isfinite(total):
            total = _add_up(value for (value,) in connection.fold(VALUES, (series, *steps), list))
        limits = finite.get(steps, (one.least, one.greatest))
        _add(cells, cell, _Part(one.points, one.valued, one.least, one.greatest, limits, total, steps, steps))


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
        rows = connection.fold(ENDS, {"series": series, "ranges": json.dumps(ranges)}, list)
        for ends, part in ((firsts, 0), (lasts, 1)):
            found = zip(*unpack_points(b"".join(row[part] for row in rows)), strict=True)
            for at, point in zip(sought, found, strict=True):
                ends[at] = point if _is_range(ends[at]) else ends[at]
    return {
        "first_step": array("q", [point[0] for point in firsts]),
        "last_step": array("q", [point[0] for point in lasts]),
        "first_time_s": array("d", [point[1] / 1000 for point in firsts]),
        "last_time_s": array("d", [point[1] / 1000 for point in lasts]),
        "first": array("d", [point[2] for point in firsts]),
        "last": array("d", [point[2] for point in lasts]),
        "min": array("d", [one.least for one in held]),
        "max": array("d", [one.greatest for one in held]),
        "finite_min": array("d", [one.finite[0] for one in held]),
        "finite_max": array("d", [one.finite[1] for one in held]),
        "nan_count": array("q", [one.points - one.valued for one in held]),
        "count": array("q", [one.points for one in held]),
        "sum": array("d", [one.total for one in held]),
        "start": axis.list_starts(places, grid),
    }


def _is_range(end: tuple[Any, ...]) -> bool:
    """Return whether this end of a cell is a range of steps, and not a point."""
    return len(end) == 2


def _range_of(end: tuple[Any, ...]) -> Range:
    return (end[0], end[1]) if _is_range(end) else (end[0], end[0])


def choose_ranges(bounds: Range, points: int, grid: Grid) -> list[Range]:
    """Return the ranges of steps to begin with, on a grid of steps: its cells, or fewer if points are few."""
    low, high = bounds
    cells = range(int(grid.find_cell(low)), int(grid.find_cell(high)) + 1)
    if points // POINTS_A_RANGE < len(cells):
        return cut(bounds, points // POINTS_A_RANGE + 1)
    begins = [int(grid.origin + cell * grid.width) for cell in cells]
    return [(max(begin, low), min(begin + int(grid.width) - 1, high)) for begin in begins]
