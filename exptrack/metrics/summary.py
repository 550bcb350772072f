"""Keep the summary of a series up to date while points are added.

Invariant: the fields equal the values that a scan of all points of the series would give. NaN counts as a
point but enters neither minimum, maximum nor sum.
"""

from __future__ import annotations

import math

from exptrack.database.connection import Row

LEVEL_POINTS = 16_384  # of a series that has levels, from here on
# The columns of a summary, in the order in which they are hashed.
SUMMARY_COLUMNS = (
    "count",
    "nan_count",
    "first_step",
    "first_value",
    "last_step",
    "last_value",
    "last_time_ms",
    "top_step",
    "min_step",
    "min_value",
    "max_step",
    "max_value",
    "value_sum",
)


class Summary:
    """The summary of one series: count, first, last, least and greatest value, sum."""

    __slots__ = SUMMARY_COLUMNS

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
        """Add one point."""
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
        # inf + -inf is NaN, which SQLite would store as NULL, "no value". So the sum stays infinite.
        total = self.value_sum + stored
        self.value_sum = self.value_sum if math.isnan(total) else total

    def extend(
        self,
        steps: list[int],
        times_ms: list[int],
        values: list[float],
        extremes: tuple[float, float] | None = None,
        *,
        rising: bool = False,
    ) -> None:
        """Add several points; with `rising`, their steps rise.

        `extremes` are the least and the greatest of the values, if they are known.
        """
        total = self.value_sum + sum(values)
        if math.isnan(total):
            # There is a NaN among them, or infinities of both signs. add() handles these.
            for step, time_ms, value in zip(steps, times_ms, values, strict=True):
                self.add(step, time_ms, value)
            return
        if self.count == 0:
            self.first_step, self.first_value = steps[0], values[0]
            self.top_step = steps[0]
        self.count += len(steps)
        self.last_step, self.last_value, self.last_time_ms = steps[-1], values[-1], times_ms[-1]
        self.top_step = max(self.top_step, steps[-1] if rising else max(steps))
        least, most = extremes or (min(values), max(values))
        if self.min_value is None or least < self.min_value:
            self.min_step, self.min_value = steps[values.index(least)], least
        if self.max_value is None or most > self.max_value:
            self.max_step, self.max_value = steps[values.index(most)], most
        self.value_sum = total

    def columns(self) -> tuple[int | float | None, ...]:
        """Return the fields in the order of SUMMARY_COLUMNS."""
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


def may_have_levels(row: Row) -> bool:
    """Whether the series of a row of ``metric_series`` is long enough for levels, and its run has ended."""
    return row["count"] >= LEVEL_POINTS and row["checksum"] is not None
