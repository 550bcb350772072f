"""Read metrics of many runs at once, downsampled to common buckets.

Invariants: all curves show one moment and share the width of their buckets. Every bucket begins at a multiple
of that width, so that buckets of several runs, and of several reads, lie above one another.
"""

from __future__ import annotations

import json
import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidValueError
from exptrack.metrics.axes import Axis, Extent, Grid, Measured, MetricAxis, Number, Range, StepAxis, TimeAxis
from exptrack.metrics.buckets import MAX_BUCKETS, Buckets
from exptrack.metrics.cells import (
    POINTS_A_RANGE,
    Held,
    cut,
    fill_cells,
    read_bounds,
)
from exptrack.metrics.growing_cells import read_cells_of_steps
from exptrack.metrics.levels import has_levels, read_columns, read_level
from exptrack.metrics.series import check_range
from exptrack.metrics.summary import may_have_levels
from exptrack.plain import short_repr
from exptrack.shown import shown
from exptrack.validation import INT64_MAX, INT64_MIN, check_name, check_number, check_whole

if TYPE_CHECKING:
    from exptrack.markup.elements import Child
    from exptrack.markup.notebook import View

LEAST_S = 0.001
RANGES_A_BUCKET = 2  # at the first look along an axis that is not the key
KEPT_RANGES = 500_000  # of all curves; of further ones the first look is taken again
METRICS_PREFIX = "metrics."

SERIES_OF_RUNS = """
SELECT s.run, n.name, s.id, s.count, s.nan_count, s.checksum
FROM metric_name AS n JOIN metric_series AS s ON s.metric = n.id
WHERE n.name IN (SELECT value FROM json_each(:names)) AND s.run IN (SELECT value FROM json_each(:runs))
"""


@shown
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curves:
    """Downsampled metrics of several runs, with buckets of one width that begin at multiples of it.

    `by` is ``"step"``, ``"time"`` or the name of the metric that is the axis. `width` is in its unit: steps,
    seconds, or as that metric counts. There is a curve for each run and metric, run by run in the order
    asked for. It is empty if the run did not log the metric.
    """

    by: str
    width: int | float
    curves: tuple[Buckets, ...]

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[Buckets]:
        return iter(self.curves)

    def __getitem__(self, place: int) -> Buckets:
        return self.curves[place]

    def __repr__(self) -> str:
        return f"<Curves by {self.by}: {len(self.curves):,} of width {self.width:,}>"

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_CHARTS, View, draw_curves
        from exptrack.markup.parts import paragraph

        by_name: dict[str, list[Buckets]] = {}
        for curve in self.curves:
            by_name.setdefault(curve.name, []).append(curve)
        parts: list[Child] = []
        for name, curves in list(by_name.items())[:MOST_CHARTS]:
            parts += [paragraph(name), *draw_curves(name, curves)]
        left_out = len(by_name) - MOST_CHARTS
        parts.append(paragraph(f"… and {left_out:,} metrics more") if left_out > 0 else None)
        return View(f"{len(self.curves):,} curves by {self.by}", parts)


class RunAddress(NamedTuple):
    """A run whose metrics are read: its row id, id and start."""

    run: int
    run_id: str
    started_at: datetime


class Scale(NamedTuple):
    """Which axis the buckets lie along, in its own unit: steps, milliseconds, or the values of metric `by`."""

    by: str
    width: Number | None
    low: Number
    stop: Number

    @property
    def is_of_steps(self) -> bool:
        return self.by == "step"

    @property
    def is_of_times(self) -> bool:
        return self.by == "time"

    def make_grid(self, extents: Sequence[Extent], buckets: int) -> Grid:
        """Return the grid that holds what lies within the extents and within the bounds that were asked for."""
        if not extents:
            return Grid(0, self.width or 1, self.low, self.stop)
        low = max(min(one.low for one in extents), self.low)
        high = max(low, min(max(one.high for one in extents), self.stop))
        width = self.width
        if width is not None:
            if not high / width - low / width <= MAX_BUCKETS:
                raise InvalidValueError(
                    f"a width of {self.show_width(width):g} makes more than {MAX_BUCKETS:,} buckets;"
                    " give a larger one, or bounds"
                )
        elif self.is_of_steps or self.is_of_times:
            # A power of two, as levels have it: a bucket is made of whole buckets of each smaller width.
            width = 1 << (max(1, -int((low - high - 1) // buckets)) - 1).bit_length()
        else:
            # Halves, because the difference of two doubles may be none.
            span = (high / 2 - low / 2) / buckets * 2
            width = max(span, sys.float_info.min) if span else 1.0
        return Grid(0, width, self.low, self.stop)

    def show_width(self, width: Number) -> Number:
        """Return a width in the unit that users see."""
        return width / 1000 if self.is_of_times else width


def check_scale(by: object, width: object, start: object, stop: object) -> Scale:
    """Return the axis that curves are asked for."""
    axis = check_name(by, "by")
    if axis == "step":
        low, high = check_range(start, stop)
        return Scale(axis, None if width is None else check_whole(width, "width", 1), low, high + 1)
    low_s = -math.inf if start is None else _check_finite(start, "start")
    stop_s = math.inf if stop is None else _check_finite(stop, "stop")
    size = None if width is None else _check_finite(width, "width")
    if size is not None and size <= 0:
        raise InvalidValueError(f"width must be above 0, not {short_repr(width)}")
    if axis != "time":
        return Scale(axis, size, low_s, stop_s)
    if size is not None and size < LEAST_S:
        raise InvalidValueError(
            f"times are kept to the millisecond; width must be {LEAST_S} s or more, not {short_repr(width)}"
        )
    width_ms = None if size is None else round(min(size * 1000, INT64_MAX))
    return Scale(axis, width_ms, _ceil_ms(low_s), _ceil_ms(stop_s))


def _check_finite(value: object, what: str) -> float:
    number = float(check_number(value, what))
    if not math.isfinite(number):
        raise InvalidValueError(f"{what} must be a finite number, not {short_repr(value)}")
    return number


def _ceil_ms(seconds: float) -> int:
    """Return the first whole millisecond at or after a time; 0.459 s is 459 ms, though 0.459 * 1000 is more."""
    ms = min(max(seconds * 1000, INT64_MIN), INT64_MAX)
    return round(ms) if abs(ms - round(ms)) < 1e-6 else math.ceil(ms)


class _Curve(NamedTuple):
    """A series on its way to be a curve: where it lies, and the first look at it, if that was kept.

    `bounds` are its steps; None if its level told where it lies.
    """

    held: Held
    axis: Axis
    bounds: Range | None
    extent: Extent | None
    ranges: list[Range]
    found: list[Measured]


@in_reading
@decoding_rows
def read_curves(
    connection: Connection, runs: Sequence[RunAddress], names: Sequence[str], scale: Scale, buckets: int
) -> Curves:
    """Read metrics of runs, downsampled to common buckets; see :meth:`exptrack.Archive.curves`."""
    asked = dict.fromkeys((*names, scale.by, scale.by.removeprefix(METRICS_PREFIX)))
    with connection.snapshot():
        rows = connection.all(
            SERIES_OF_RUNS,
            {"names": json.dumps(list(asked)), "runs": json.dumps([one.run for one in runs])},
        )
        with_levels = any(may_have_levels(row) for row in rows) and has_levels(connection)
        series = {
            (row["run"], row["name"]): Held(
                row["id"], row["count"], row["nan_count"], with_levels and may_have_levels(row)
            )
            for row in rows
        }
        looked: dict[tuple[int, str], _Curve | None] = {}
        kept = 0
        for one in runs:
            for name in names:
                curve = _look(connection, series, one.run, name, scale, buckets)
                if curve is not None and kept > KEPT_RANGES:
                    curve = curve._replace(found=[])
                kept += 0 if curve is None else len(curve.found)
                looked[one.run, name] = curve
        extents = [curve.extent for curve in looked.values() if curve is not None and curve.extent is not None]
        grid = scale.make_grid(extents, buckets)
        width = scale.show_width(grid.width)
        found = []
        for one in runs:
            for name in names:
                columns = _fill(connection, looked[one.run, name], scale, grid, buckets)
                found.append(Buckets(one.run_id, name, one.started_at, width, columns, scale.by))
    return Curves(scale.by, width, tuple(found))


def _look(
    connection: Connection,
    series: dict[tuple[int, str], Held],
    run: int,
    name: str,
    scale: Scale,
    buckets: int,
) -> _Curve | None:
    """Take the first look at a series; None if it has no points on this axis."""
    held = series.get((run, name))
    if held is None:
        return None
    if scale.is_of_steps:
        bounds = read_bounds(connection, held.series, int(scale.low), int(scale.stop) - 1)
        return None if bounds is None else _Curve(held, StepAxis(), bounds, Extent(*bounds), [], [])
    if scale.is_of_times:
        level = read_level(connection, held.series, "time", INT64_MAX) if held.has_levels else None
        if level is not None:
            return _Curve(held, TimeAxis(), None, Extent(level.low, level.high), [], [])
        return _measure(connection, held, TimeAxis(), buckets)
    other = series.get((run, scale.by)) or series.get((run, scale.by.removeprefix(METRICS_PREFIX)))
    return None if other is None else _measure(connection, held, MetricAxis(other.series), buckets)


def _measure(connection: Connection, held: Held, axis: Axis, buckets: int) -> _Curve | None:
    """Take the first look at all points of a series along an axis that is not the key."""
    bounds = read_bounds(connection, held.series, INT64_MIN, INT64_MAX)
    if bounds is None:
        return None
    ranges = cut(bounds, min(RANGES_A_BUCKET * buckets, held.points // POINTS_A_RANGE + 1))
    measured = axis.measure(connection, held.series, ranges)
    known = [extent for aggregate, extent in measured if aggregate.points and extent is not None]
    extent = Extent(min(one.low for one in known), max(one.high for one in known)) if known else None
    return _Curve(held, axis, bounds, extent, ranges, measured)


def _fill(
    connection: Connection, curve: _Curve | None, scale: Scale, grid: Grid, buckets: int
) -> dict[str, array[Any]]:
    """Return the columns of a curve."""
    if curve is None:
        axis = StepAxis() if scale.is_of_steps else TimeAxis() if scale.is_of_times else MetricAxis(0)
        return fill_cells(connection, 0, axis, grid, [], [])
    held = curve.held
    if held.has_levels and (scale.is_of_steps or scale.is_of_times):
        columns = read_columns(connection, held.series, scale.by, grid)
        if columns is not None:
            return columns
    if scale.is_of_steps and curve.bounds is not None:
        return read_cells_of_steps(connection, held, curve.bounds, grid)
    looked = curve if curve.bounds is not None else _measure(connection, held, curve.axis, buckets)
    if looked is None:
        return fill_cells(connection, held.series, curve.axis, grid, [], [])
    found = looked.found or looked.axis.measure(connection, held.series, looked.ranges)
    return fill_cells(connection, held.series, looked.axis, grid, looked.ranges, found)
