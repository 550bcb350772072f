"""Functions."""

from __future__ import annotations

import math
import struct
from array import array

_EXTREMES = struct.Struct("ddq")
_POINT = struct.Struct("qqd")


def _pack_extremes(least: float | None, greatest: float | None, missing: int) -> bytes:
    if least is None or greatest is None:
        least = greatest = math.nan
    return _EXTREMES.pack(least, greatest, missing)


def _pack_point(step: int, time_ms: int, value: float | None) -> bytes:
    return _POINT.pack(step, time_ms, math.nan if value is None else value)


def unpack_extremes(packed: bytes) -> tuple[array[float], array[float], array[int]]:
    """Least and greatest values and counts that ``pack_extremes()`` packed in SQL; NULL has become NaN."""
    numbers = array("d", packed)
    return numbers[0::3], numbers[1::3], array("q", packed)[2::3]


def unpack_points(packed: bytes) -> tuple[array[int], array[int], array[float]]:
    """Steps, times in ms and values of the points that ``pack_point()`` packed in SQL."""
    integers = array("q", packed)
    return integers[0::3], integers[1::3], array("d", packed)[2::3]
