"""Collect a series into buckets while its points come, along steps and times at once.

A training loop pays for it, so a part of the points that lies in one bucket of both axes is looked at once, by
builtins. That takes about 0.1 µs a point.

Invariants:

- Points come in key order. Buckets get wider as the axis gets longer, and never narrower. Their width is a
  power of two, and each begins at a multiple of it.
- Only positions that never decrease are collected. Times may decrease; then there are no buckets along times.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from exptrack.metrics.level_cells import ROW, Cells, merge_cells, pack_rows, unpack_rows
from exptrack.metrics.summary import LEVEL_POINTS

MOST_BUCKETS = 1024
NEAR = 256  # points; the end of a bucket is mostly nearer, and a search there stays in the processor's cache
POINTS_A_BUCKET = 96  # at least, on average: so levels take about 2 % of what the points take
STRIDES_A_BUCKET = 128  # at first; a level has 96 points a bucket or more, and its width is a power of two
SAMPLE, SAMPLES = 64, 16  # points over which a stride is taken, at least; and in how many places of many points
LARGEST = 2.0**900  # sums of values up to here cannot exceed a double


def count_buckets(points: int) -> int:
    """Return how many buckets a level of so many points may have."""
    return max(1, min(MOST_BUCKETS, points // POINTS_A_BUCKET))


def find_shift(low: int, high: int, most: int) -> int:
    """Return the exponent of the least power of two of which `most` buckets hold these positions."""
    shift = max(0, ((high - low) // most).bit_length() - 1)
    while (high >> shift) - (low >> shift) >= most:
        shift += 1
    return shift


class AxisCells:
    """The buckets along one axis: those that are complete, packed, and the one that still grows."""

    __slots__ = ("_first", "_last", "_open", "_packed", "end", "shift")

    def __init__(self, shift: int) -> None:
        self.shift = shift
        #: Where the growing bucket ends.
        self.end: float = -math.inf
        self._first = self._last = 0  # cells
        self._open: list[Any] | None = None
        self._packed = bytearray()

    def begin(self, position: int) -> None:
        """Let the next points be in the bucket of this position, which lies behind the present one."""
        self._close()
        cell = position >> self.shift
        if not self._packed:
            self._first = cell
        doublings = 0
        while (cell >> doublings) - (self._first >> doublings) >= MOST_BUCKETS:
            doublings += 1
        if doublings:
            self.shift += doublings
            self._first >>= doublings
            cell >>= doublings
            self._packed = pack_rows(merge_cells(unpack_rows(self._packed), doublings))
            if ROW.unpack_from(self._packed, len(self._packed) - ROW.size)[0] == cell:
                _, *self._open = ROW.unpack_from(self._packed, len(self._packed) - ROW.size)
                del self._packed[-ROW.size :]
        self._last = cell
        self.end = (cell + 1) << self.shift

    def _close(self) -> None:
        if self._open is not None:
            self._packed += ROW.pack(self._last, *self._open)
            self._open = None

    def join(self, part: Sequence[Any]) -> None:
        """Add a part to the growing bucket: the columns of `Cells` but for the first."""
        held = self._open
        if held is None:
            self._open = list(part)
            return
        count, nan_count, _, last_step, _, last_ms, _, last, low, high, total, finite_low, finite_high = part
        held[0] += count
        held[1] += nan_count
        held[3], held[5], held[7] = last_step, last_ms, last
        # A comparison with NaN is false, so NaN stands until there is a number.
        if low < held[8] or held[8] != held[8]:
            held[8] = low
        if high > held[9] or held[9] != held[9]:
            held[9] = high
        held[10] += total
        if finite_low < held[11] or held[11] != held[11]:
            held[11] = finite_low
        if finite_high > held[12] or held[12] != held[12]:
            held[12] = finite_high

    def cells(self) -> Cells:
        """Return the buckets so far."""
        growing = b"" if self._open is None else ROW.pack(self._last, *self._open)
        return unpack_rows(bytes(self._packed) + growing)


class LevelBuilder:
    """Buckets of a series from one of its points on.

    `skipped` is the number of points before, which were not collected.
    """

    __slots__ = ("by_step", "by_time", "first_ms", "is_huge", "last_ms", "skipped")

    def __init__(self, skipped: int, step_shift: int, time_shift: int) -> None:
        self.skipped = skipped
        self.by_step = AxisCells(step_shift)
        #: None once times have decreased.
        self.by_time: AxisCells | None = AxisCells(time_shift)
        #: Whether a value is so large that sums may exceed every double.
        self.is_huge = False
        #: The times of the first and the last point.
        self.first_ms = self.last_ms = -math.inf

    @classmethod
    def begin(cls, skipped: int, steps: Sequence[int], times_ms: Sequence[int]) -> LevelBuilder:
        """Return a builder for these points and those behind; its first buckets hold up to 128 of them."""
        return cls(skipped, _guess_shift(steps), _guess_shift(times_ms))

    def add(self, steps: Sequence[int], times_ms: list[int], values: Sequence[float]) -> tuple[float, float]:
        """Add points in key order, and return their extremes. No value is -0.0, as none is stored.

        An extreme that is not among the values is infinite.
        """
        by_step, by_time = self.by_step, self.by_time
        if by_time is not None and (times_ms[0] < self.last_ms or times_ms != sorted(times_ms)):
            self.by_time = by_time = None
        if self.last_ms == -math.inf:
            self.first_ms = times_ms[0]
        self.last_ms = times_ms[-1]
        least, greatest = math.inf, -math.inf
        begin, count = 0, len(steps)
        while begin < count:
            if steps[begin] >= by_step.end:
                by_step.begin(steps[begin])
            near = begin + NEAR
            end = near if near < count and steps[near] >= by_step.end else count
            end = bisect_left(steps, by_step.end, begin, end)
            if by_time is not None:
                if times_ms[begin] >= by_time.end:
                    by_time.begin(times_ms[begin])
                if times_ms[end - 1] >= by_time.end:
                    end = bisect_left(times_ms, by_time.end, begin, end)
            held = values[begin:end]
            total = sum(held)
            if math.isfinite(total):
                nan_count, low, high = 0, min(held), max(held)
                finite_low, finite_high = low, high
            else:
                nan_count, low, high, total, finite_low, finite_high = _sum_up(held)
            if low < least:
                least = low
            if high > greatest:
                greatest = high
            if finite_high > LARGEST or finite_low < -LARGEST:
                self.is_huge = True
            part = (
                end - begin,
                nan_count,
                steps[begin],
                steps[end - 1],
                times_ms[begin],
                times_ms[end - 1],
                held[0],
                held[-1],
                low,
                high,
                total,
                finite_low,
                finite_high,
            )
            by_step.join(part)
            if by_time is not None:
                by_time.join(part)
            begin = end
        return least, greatest


def _guess_shift(positions: Sequence[int]) -> int:
    """Return the power of two up to 128 times the least distance from one point to the next.

    Many points make a level themselves, and its buckets only get wider.
    """
    if len(positions) >= LEVEL_POINTS:
        return find_shift(positions[0], max(positions[0], positions[-1]), count_buckets(len(positions)))
    far = min(max(SAMPLE, len(positions) // SAMPLES), len(positions) - 1)
    if far < 1:
        return 0
    span = min(positions[at + far] - positions[at] for at in range(0, len(positions) - far, far))
    return max(0, (max(0, span) * STRIDES_A_BUCKET // far).bit_length() - 1)


def _sum_up(values: Sequence[float]) -> tuple[int, float, float, float, float, float]:
    """Return what values hold of which some are not finite, or whose sum is not: as in a part."""
    numbers = [value for value in values if value == value]
    finite = [value for value in numbers if math.isfinite(value)]
    return (
        len(values) - len(numbers),
        min(numbers, default=math.nan),
        max(numbers, default=math.nan),
        sum(numbers),
        min(finite, default=math.nan),
        max(finite, default=math.nan),
    )
