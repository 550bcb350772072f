"""Downsample a metric series to buckets of equal width.

Invariant: no point is lost. Each enters the count, the sum and the extremes of its bucket, except that NaN is
only counted.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.metrics.axes import Grid, Range, StepAxis
from exptrack.metrics.cells import Held, fill_cells, read_bounds
from exptrack.metrics.growing_cells import read_cells_of_steps
from exptrack.metrics.level_builder import find_shift
from exptrack.metrics.levels import has_levels, read_columns
from exptrack.metrics.series import SERIES_OF, check_range, float_array, int_array
from exptrack.metrics.summary import LEVEL_POINTS, may_have_levels
from exptrack.metrics.writer import drain_all
from exptrack.shown import shown
from exptrack.validation import check_name, check_whole

if TYPE_CHECKING:
    from exptrack.markup.notebook import View
    from exptrack.metrics.series import FloatArray, IntArray

MAX_BUCKETS = 100_000
MANY_BUCKETS = 128  # of fewer, half would be missed


@shown
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Buckets:
    """A downsampled series: what each bucket of equal width along an axis holds.

    The axis `by` is ``"step"``, ``"time"`` or the name of another metric. `width` is that of a bucket: steps,
    seconds, or units of that metric. Buckets without points are left out.

    First and last are meant by step. `minimum` and `maximum` ignore NaN but include the infinities; they are
    NaN where every value is NaN. `finite_minimum` and `finite_maximum` ignore the infinities too. `counts` says
    how many points each bucket has, and `nan_counts` how many of them are NaN.
    """

    run_id: str
    name: str
    started_at: datetime
    width: int | float
    _columns: dict[str, array[Any]]
    by: str = "step"

    def __len__(self) -> int:
        return len(self._columns["first_step"])

    def __repr__(self) -> str:
        unit = {"step": " steps", "time": " s"}.get(self.by, f" of {self.by!r}")
        return f"<Buckets {self.name!r} of run {self.run_id}: {len(self):,} of {self.width:,}{unit}>"

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_curves

        return View(f"{self.name} of run {self.run_id}: {len(self):,} buckets", draw_curves(self.name, [self]))

    @property
    def starts(self) -> IntArray | FloatArray:
        """Where each bucket begins on the axis: a step, seconds since the run's start, or a value."""
        return (int_array if self.by == "step" else float_array)(self._columns["start"])

    @property
    def first_steps(self) -> IntArray:
        """The step of each bucket's first point."""
        return int_array(self._columns["first_step"])

    @property
    def last_steps(self) -> IntArray:
        """The step of each bucket's last point."""
        return int_array(self._columns["last_step"])

    @property
    def first_times(self) -> FloatArray:
        """The time of each bucket's first point, in seconds since the run's start."""
        return float_array(self._columns["first_time_s"])

    @property
    def last_times(self) -> FloatArray:
        """The time of each bucket's last point, in seconds since the run's start."""
        return float_array(self._columns["last_time_s"])

    @property
    def first(self) -> FloatArray:
        """The value of each bucket's first point."""
        return float_array(self._columns["first"])

    @property
    def last(self) -> FloatArray:
        """The value of each bucket's last point. If its step repeats, the one logged last."""
        return float_array(self._columns["last"])

    @property
    def minimum(self) -> FloatArray:
        """The least value of each bucket."""
        return float_array(self._columns["min"])

    @property
    def maximum(self) -> FloatArray:
        """The greatest value of each bucket."""
        return float_array(self._columns["max"])

    @property
    def finite_minimum(self) -> FloatArray:
        """The least finite value of each bucket."""
        return float_array(self._columns["finite_min"])

    @property
    def finite_maximum(self) -> FloatArray:
        """The greatest finite value of each bucket."""
        return float_array(self._columns["finite_max"])

    @property
    def nan_counts(self) -> IntArray:
        """The number of points in each bucket that are NaN."""
        return int_array(self._columns["nan_count"])

    @property
    def counts(self) -> IntArray:
        """The number of points in each bucket, NaN included."""
        return int_array(self._columns["count"])

    @property
    def sums(self) -> FloatArray:
        """The sum of each bucket's values without NaN; NaN where it holds infinities of both signs.

        The mean of a bucket is its sum divided by ``counts - nan_counts``.
        """
        return float_array(self._columns["sum"])

    def lists(self) -> dict[str, list[Any]]:
        """Return every column as a list. Works without numpy."""
        return {name: column.tolist() for name, column in self._columns.items()}

    def buffers(self) -> dict[str, memoryview[Any]]:
        """Return every column as a view of int64 or float64 numbers, without a copy and without numpy."""
        return {name: memoryview(column) for name, column in self._columns.items()}


@in_reading
@decoding_rows
def read_buckets(
    connection: Connection,
    run: int,
    run_id: str,
    started_at: datetime,
    name: object,
    buckets: object,
    *,
    start: int | None = None,
    stop: int | None = None,
) -> Buckets:
    """Read one metric of one run, downsampled; see :meth:`exptrack.Run.series`."""
    checked = check_name(name, "metric name")
    count = check_whole(buckets, "buckets", 1, MAX_BUCKETS)
    low, high = check_range(start, stop)
    drain_all(connection.file)
    grid = Grid(0, 1, 0, 1)
    # One snapshot, so that the summary, which is read first, describes the same points.
    with connection.snapshot():
        row = connection.one(SERIES_OF, (run, checked))
        bounds = None if row is None else read_bounds(connection, row["id"], low, high)
        if row is not None and bounds is not None:
            grid = _make_grid(bounds, count, row["count"])
            columns = _read_cells(connection, row, bounds, grid)
        else:
            columns = fill_cells(connection, 0, StepAxis(), grid, [], [])
    return Buckets(run_id, checked, started_at, int(grid.width), columns)


def _make_grid(bounds: Range, buckets: int, points: int) -> Grid:
    """Return the grid of a series between two steps.

    If many buckets of a long series are asked for, each is made of whole buckets of its level.
    """
    low, high = bounds
    if points >= LEVEL_POINTS and buckets >= MANY_BUCKETS:
        return Grid(0, 1 << find_shift(low, high, buckets), low, high + 1)
    return Grid(low, -((low - high - 1) // buckets), low, high + 1)


def _read_cells(connection: Connection, row: Row, bounds: Range, grid: Grid) -> dict[str, array[Any]]:
    if may_have_levels(row) and has_levels(connection):
        columns = read_columns(connection, row["id"], "step", grid)
        if columns is not None:
            return columns
    held = Held(row["id"], row["count"], row["nan_count"])
    return read_cells_of_steps(connection, held, bounds, grid)
