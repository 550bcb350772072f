"""Define SQL functions: add to a sum of hashes, and pack several numbers into one blob.

SQLite calls the packing functions for each bucket of a long series. A subquery returns one value, so a blob
saves a subquery for each further number.

Invariant: each ``pack_*`` function has one ``unpack_*`` function here that reads its format. No file holds the
format.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from array import array

_EXTREMES = struct.Struct("ddq")
_POINT = struct.Struct("qqd")


def register_functions(raw: sqlite3.Connection) -> None:
    """Make the functions known to one SQLite connection."""
    raw.create_function("add_wrapping", 2, add_wrapping, deterministic=True)
    raw.create_function("pack_extremes", 3, pack_extremes, deterministic=True)
    raw.create_function("pack_point", 3, pack_point, deterministic=True)


def add_wrapping(total: int, change: int) -> int:
    """Add two 64-bit integers modulo 2^64; SQLite's own addition turns a large sum into a float."""
    return (total + change + (1 << 63)) % (1 << 64) - (1 << 63)


def pack_extremes(least: float | None, greatest: float | None, missing: int) -> bytes:
    """Pack the least and greatest value of a bucket and its count of missing values; NULL becomes NaN."""
    if least is None or greatest is None:
        least = greatest = math.nan
    return _EXTREMES.pack(least, greatest, missing)


def pack_point(step: int, time_ms: int, value: float | None) -> bytes:
    """Pack a point: its step, its time in ms and its value; NULL becomes NaN."""
    return _POINT.pack(step, time_ms, math.nan if value is None else value)


def unpack_extremes(packed: bytes) -> tuple[array[float], array[float], array[int]]:
    """Unpack joined results of ``pack_extremes()``: least values, greatest values and counts of missing."""
    numbers = array("d", packed)
    return numbers[0::3], numbers[1::3], array("q", packed)[2::3]


def unpack_points(packed: bytes) -> tuple[array[int], array[int], array[float]]:
    """Unpack joined results of ``pack_point()``: steps, times in ms and values."""
    integers = array("q", packed)
    return integers[0::3], integers[1::3], array("d", packed)[2::3]
