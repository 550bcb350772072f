"""Keep what the full cells of a long series hold that still grows, so that the next look reads its end alone.

Whoever watches a run asks for the same curve again and again. A scan takes time for each point, most of which
were there before.

Invariants:

- An answer is that of a scan. What was kept enters it only if the file proves that its points are still the
  same. The row of a series has the sum of the hashes of its points: without those behind the kept points, it
  has to be the sum that was kept. The count has to be the one that was kept, too.
  (What another program has changed in points without the sums is seen by the next process that looks.)
- A cell that may still gain points is never kept: the last one of the series.
- The memory has a bound, whatever a process looks at.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Sequence

from exptrack.database.connection import Connection
from exptrack.database.row_sums import sum_points, wrap_sum
from exptrack.metrics.axes import Grid, Number, Range
from exptrack.metrics.cells import Held, scan_cells_of_steps
from exptrack.metrics.store import hash_summary, nan_if_null
from exptrack.metrics.summary import LEVEL_POINTS, SUMMARY_COLUMNS
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Columns: TypeAlias = dict[str, array[Any]]
    Point: TypeAlias = tuple[int, int, int, float | None]

MOST_SERIES, MOST_CELLS = 64, 2048  # of a connection, and of each series: 15 MB in all
END_PART = 8  # to read a point by itself takes some five times as long as to scan it

SUM_OF_SERIES = f"""
SELECT s.run, n.name, s.rows_sum, {", ".join(f"s.{column}" for column in SUMMARY_COLUMNS)}
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.id = ?
"""
POINTS_FROM = "SELECT step, seq, time_ms, value FROM metric_point WHERE series = ? AND step >= ?"


class FullCells(NamedTuple):
    """The cells of a series from step `low` to below `stop`, with the number of their points, and their sum."""

    low: int
    stop: int
    points: int
    points_sum: int
    columns: Columns


_kept: weakref.WeakKeyDictionary[Connection, dict[tuple[int, Number, Number], FullCells]] = (
    weakref.WeakKeyDictionary()
)


def read_cells_of_steps(connection: Connection, held: Held, bounds: Range, grid: Grid) -> Columns:
    """Read a series on a grid of steps; `bounds` are its least and greatest step there.

    Call inside a snapshot in which `held` was read.
    """
    if held.points < LEVEL_POINTS:
        return scan_cells_of_steps(connection, held, bounds, grid)
    kept, key = _kept.setdefault(connection, {}), (held.series, grid.origin, grid.width)
    full = kept.get(key)
    end: list[Point] = []
    columns: Columns | None = None
    points_sum = _read_points_sum(connection, held.series)
    begins_so = full is not None and full.low == bounds[0] and full.stop <= bounds[1]
    if full is not None and begins_so and _is_near(held.points - full.points, held):
        end = connection.fold(POINTS_FROM, (held.series, full.stop), list)
        if len(end) == held.points - full.points and wrap_sum(points_sum - _add_up(end)) == full.points_sum:
            rest = scan_cells_of_steps(connection, held, (full.stop, bounds[1]), grid)
            columns = {name: column + rest[name] for name, column in full.columns.items()}
    if columns is None:
        columns = scan_cells_of_steps(connection, held, bounds, grid)
        if sum(columns["count"]) != held.points or not _is_near(columns["count"][-1], held):
            return columns  # it is a part of the series, or nearly all of it lies in one cell
        end = connection.fold(POINTS_FROM, (held.series, columns["start"][-1]), list)
    stop = columns["start"][-1]
    end = [point for point in end if point[0] >= stop]
    if 1 < len(columns["start"]) <= MOST_CELLS:
        kept.pop(key, None)  # it comes to the end; what was not asked for longest is dropped first
        kept[key] = FullCells(
            bounds[0],
            stop,
            held.points - len(end),
            wrap_sum(points_sum - _add_up(end)),
            {name: column[:-1] for name, column in columns.items()},
        )
        while len(kept) > MOST_SERIES:
            kept.pop(next(iter(kept)), None)
    return columns


def _is_near(points: int, held: Held) -> bool:
    """Whether so many points at the end of a series are few enough to be read one by one, and at least one."""
    return 0 < points <= held.points // END_PART


def _read_points_sum(connection: Connection, series: int) -> int:
    """Return what the points of a series add to the sum in its row."""
    ((run, name, rows_sum, *numbers),) = connection.fold(SUM_OF_SERIES, (series,), list)
    return int(rows_sum) - hash_summary(series, run, name, numbers)


def _add_up(points: Sequence[Point]) -> int:
    if not points:
        return 0
    steps, seqs, times_ms, values = zip(*points, strict=True)
    return sum_points(steps, seqs, times_ms, list(map(nan_if_null, values)))
