"""The axes along which points are put into buckets: the step, the time, or what another metric was.

Each axis reads ranges of steps inside SQLite: what each holds in sum, and between which positions on the axis
its points lie.

Invariant: what an axis says of a range holds for each of its points, in whatever order they were logged.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.functions import Aggregate, unpack_buckets, unpack_extremes
from exptrack.validation import INT64_MIN

FINITE = "BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
# A correlated subquery for each range reads it from the key. Grouping would sort every point, and window
# functions would copy every point. A subquery returns one value, so several are packed into it.
RANGE = """
        WHERE series = :series
        AND step BETWEEN json_extract(e.value, '$[0]') AND json_extract(e.value, '$[1]')"""
AGGREGATES = f"""
SELECT (
        SELECT pack_bucket(count(*), count(value), min(value), max(value), total(value), 0, 0)
        FROM metric_point{RANGE})
FROM json_each(:ranges) AS e
"""
AGGREGATES_WITH_TIMES = f"""
SELECT (
        SELECT pack_bucket(
            count(*), count(value), min(value), max(value), total(value), min(time_ms), max(time_ms)
        )
        FROM metric_point{RANGE})
FROM json_each(:ranges) AS e
"""
POINTS_BY_STEP = """
SELECT p.step, p.step, p.time_ms, p.value
FROM json_each(:ranges) AS e CROSS JOIN metric_point AS p
WHERE p.series = :series
AND p.step BETWEEN json_extract(e.value, '$[0]') AND json_extract(e.value, '$[1]')
"""
POINTS_BY_TIME = POINTS_BY_STEP.replace("p.step, p.step", "p.time_ms, p.step")
# The value that the other metric had: that of its last point up to the step.
POINTS_BY_METRIC = POINTS_BY_STEP.replace(
    "p.step, p.step",
    f"""(
    SELECT x.value FROM metric_point AS x
    WHERE x.series = :other AND x.step <= p.step AND x.value {FINITE}
    ORDER BY x.step DESC, x.seq DESC LIMIT 1), p.step""",
)
# Where the other metric lay: in the range, and before it.
EXTENTS_BY_METRIC = f"""
SELECT (
        SELECT pack_extremes(min(value), max(value)) FROM metric_point{RANGE.replace(":series", ":other")}
        AND value {FINITE}),
    (
        SELECT value FROM metric_point
        WHERE series = :other AND step < json_extract(e.value, '$[0]') AND value {FINITE}
        ORDER BY step DESC, seq DESC LIMIT 1)
FROM json_each(:ranges) AS e
"""

Number: TypeAlias = int | float
Range: TypeAlias = tuple[int, int]  # of steps; both ends are included


class Extent(NamedTuple):
    """Between which positions the points of a range lie; not `certain` if some may have no position."""

    low: Number
    high: Number
    certain: bool = True


Measured: TypeAlias = tuple[Aggregate, Extent | None]  # None: no point has a position


class Grid(NamedTuple):
    """Cells along an axis: cell n begins at `origin` + n * `width`.

    Only positions from `low` to below `stop` count.
    """

    origin: Number
    width: Number
    low: Number
    stop: Number

    def find_cell(self, position: Number | None) -> Number:
        """Return the number of the cell; minus or plus infinity outside of the grid, and for no position."""
        if position is None or position < self.low:
            return -math.inf
        if position >= self.stop:
            return math.inf
        return (position - self.origin) // self.width


class Axis(Protocol):
    """What the position of a point is."""

    @property
    def points_sql(self) -> str:
        """The statement for the points of ranges: position, step, milliseconds, value."""
        ...

    @property
    def values(self) -> Mapping[str, int]:
        """What that statement binds besides the series and the ranges."""
        ...

    def measure(self, connection: Connection, series: int, ranges: Sequence[Range]) -> list[Measured]:
        """Read what each range holds, and between which positions its points lie."""
        ...

    def list_starts(self, places: Sequence[Number], grid: Grid) -> array[Any]:
        """Return where cells begin, in the unit that users see."""
        ...


class StepAxis:
    """Positions are steps."""

    points_sql = POINTS_BY_STEP
    values: Mapping[str, int] = MappingProxyType({})

    def measure(self, connection: Connection, series: int, ranges: Sequence[Range]) -> list[Measured]:
        """Read what each range holds; its ends are the positions."""
        found = _read_aggregates(connection, AGGREGATES, series, ranges)
        return list(zip(found, (Extent(*ends) for ends in ranges), strict=True))

    def list_starts(self, places: Sequence[Number], grid: Grid) -> array[Any]:
        """Return where cells begin, as steps; the first cell may reach below the least step there is."""
        return array("q", [max(INT64_MIN, int(grid.origin + place * grid.width)) for place in places])


class TimeAxis:
    """Positions are milliseconds since the run's start."""

    points_sql = POINTS_BY_TIME
    values: Mapping[str, int] = MappingProxyType({})

    def measure(self, connection: Connection, series: int, ranges: Sequence[Range]) -> list[Measured]:
        """Read what each range holds, with the least and greatest time."""
        found = _read_aggregates(connection, AGGREGATES_WITH_TIMES, series, ranges)
        return [(one, Extent(one.first_ms, one.last_ms)) for one in found]

    def list_starts(self, places: Sequence[Number], grid: Grid) -> array[Any]:
        """Return where cells begin, in seconds."""
        return array("d", [(grid.origin + place * grid.width) / 1000 for place in places])


class MetricAxis:
    """Positions are the values of another series of the run: of its last finite point up to the step."""

    points_sql = POINTS_BY_METRIC

    def __init__(self, other: int) -> None:
        self.values: Mapping[str, int] = {"other": other}

    def measure(self, connection: Connection, series: int, ranges: Sequence[Range]) -> list[Measured]:
        """Read what each range holds, and between which values the other series was meanwhile."""
        found = _read_aggregates(connection, AGGREGATES, series, ranges)
        wanted = {**self.values, "ranges": json.dumps(ranges)}
        rows = connection.fold(EXTENTS_BY_METRIC, wanted, list)
        inside = unpack_extremes(b"".join(row[0] for row in rows))
        extents: list[Extent | None] = []
        for (least, greatest), (_packed, before) in zip(inside, rows, strict=True):
            if before is None:
                # A point before the first value has no position.
                extents.append(None if math.isnan(least) else Extent(least, greatest, certain=False))
            elif math.isnan(least):
                extents.append(Extent(before, before))
            else:
                extents.append(Extent(min(before, least), max(before, greatest)))
        return list(zip(found, extents, strict=True))

    def list_starts(self, places: Sequence[Number], grid: Grid) -> array[Any]:
        """Return where cells begin, as values."""
        return array("d", [grid.origin + place * grid.width for place in places])


def _read_aggregates(connection: Connection, sql: str, series: int, ranges: Sequence[Range]) -> list[Aggregate]:
    rows = connection.fold(sql, {"series": series, "ranges": json.dumps(ranges)}, list)
    return unpack_buckets(b"".join(row[0] for row in rows))
