"""Compare the stored levels of a series with its points, while these are read for other checks.

Invariant: all columns must be equal but the sums, which may differ by what adding in another order rounds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from exptrack.database.connection import Connection, Row
from exptrack.metrics.level_builder import LevelBuilder
from exptrack.metrics.level_cells import Cells
from exptrack.metrics.levels import AXES, Level, LevelRow, decode_level, has_levels

SERIES_WITH_LEVELS = """
SELECT DISTINCT series FROM metric_level WHERE series IN (SELECT id FROM metric_series WHERE run = ?)
"""
LEVELS_OF = """
SELECT axis, width, buckets, points, codec, data, checksum FROM metric_level WHERE series = ? ORDER BY axis
"""
ROUNDING = 2.3e-16  # of one addition, relative to its result; slightly more than 2^-52
LEAST = 5e-324  # above zero


def find_series_with_levels(connection: Connection, run: int) -> set[int]:
    """Return the row ids of the series of a run that have levels."""
    if not has_levels(connection):
        return set()
    return {row[0] for row in connection.all(SERIES_WITH_LEVELS, (run,))}


def read_levels(connection: Connection, series: int) -> list[tuple[Any, ...]]:
    """Return the rows of the levels of a series."""
    found: list[tuple[Any, ...]] = connection.fold(LEVELS_OF, (series,), list)
    return found


class LevelProof:
    """The stored levels of a series, and its points collected anew in buckets of the same widths."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self._problems: list[str] = []
        self._levels: dict[str, tuple[Level, int]] = {}
        for row in rows:
            try:
                level = decode_level(LevelRow(*row))
            except (ValueError, TypeError, AttributeError) as error:
                self._problems.append(f"a level of it cannot be read: {error}")
            else:
                self._levels[level.axis] = level, LevelRow(*row).points
        # One that is not stored gets buckets so wide that they cost nothing.
        shifts = [self._levels[axis][0].shift if axis in self._levels else 62 for axis in AXES]
        self._built = LevelBuilder(0, *shifts)

    def add(self, steps: Sequence[int], times_ms: Sequence[int], values: Sequence[float]) -> None:
        """Add points in key order."""
        self._built.add(steps, list(times_ms), values)

    def extremes(self) -> tuple[float | None, float | None]:
        """Return the least and the greatest value of all points, None if every value is NaN."""
        cells = self._built.by_step.cells()
        least = [value for value in cells.least if value == value]
        greatest = [value for value in cells.greatest if value == value]
        return min(least, default=None), max(greatest, default=None)

    def problems(self, row: Row) -> Iterator[str]:
        """Yield what is wrong with the levels, once all points were added; `row` is that of the series."""
        yield from self._problems
        for axis, (level, points) in self._levels.items():
            if points != row["checksum"]:
                yield f"its level by {axis} was made of other points"
            elif not self._agrees(level):
                yield f"its level by {axis} does not say what its points say"

    def _agrees(self, level: Level) -> bool:
        found = self._built.by_step if level.axis == "step" else self._built.by_time
        return found is not None and found.shift == level.shift and _are_equal(level.cells, found.cells())


def _are_equal(stored: Cells, found: Cells) -> bool:
    if len(stored.cells) != len(found.cells):
        return False
    columns: list[tuple[str, array[Any], array[Any]]] = [
        (name, getattr(stored, name), getattr(found, name)) for name in Cells._fields
    ]
    if not all(_is_same(one, other) for name, one, other in columns if name != "sums"):
        return False
    sizes = map(max, map(abs, found.finite_least), map(abs, found.finite_greatest))
    return all(
        one == other
        or (one != one and other != other)
        or abs(one - other) <= count * count * ROUNDING * size + LEAST
        for one, other, count, size in zip(stored.sums, found.sums, found.counts, sizes, strict=True)
    )


def _is_same(one: array[Any], other: array[Any]) -> bool:
    """Whether two columns are equal, NaN included."""
    return one == other or all(x == y or (x != x and y != y) for x, y in zip(one, other, strict=True))
