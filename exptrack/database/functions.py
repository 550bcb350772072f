"""Define SQL functions: add to a sum of hashes, and pack several numbers into one blob.

SQLite calls the packing functions for each range of a long series. A subquery returns one value, so a blob
saves a subquery for each further number.

Invariant: each ``pack_*`` function has one ``unpack_*`` function here that reads its format. No file holds the
format.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from array import array

from exptrack.named_tuples import NamedTuple

_EXTREMES = struct.Struct("dd")
_POINT = struct.Struct("qqd")
_BUCKET = struct.Struct("qqdddqq")


class Aggregate(NamedTuple):
    """What a range of points holds: how many, how many with a value, their extremes and sum, and their times.

    Without a value the extremes are NaN. `total` is NaN where SQLite found none. Times are milliseconds.
    """

    points: int
    valued: int
    least: float
    greatest: float
    total: float
    first_ms: int
    last_ms: int


def register_functions(raw: sqlite3.Connection) -> None:
    """Make the functions known to one SQLite connection."""
    raw.create_function("add_wrapping", 2, add_wrapping, deterministic=True)
    raw.create_function("pack_extremes", 2, pack_extremes, deterministic=True)
    raw.create_function("pack_point", 3, pack_point, deterministic=True)
    raw.create_function("pack_bucket", 7, pack_bucket, deterministic=True)


def add_wrapping(total: int, change: int) -> int:
    """Add two 64-bit integers modulo 2^64; SQLite's own addition turns a large sum into a float."""
    return (total + change + (1 << 63)) % (1 << 64) - (1 << 63)


def pack_extremes(least: float | None, greatest: float | None) -> bytes:
    """Pack the least and greatest of some values; NULL becomes NaN."""
    if least is None or greatest is None:
        least = greatest = math.nan
    return _EXTREMES.pack(least, greatest)


def pack_point(step: int, time_ms: int, value: float | None) -> bytes:
    """Pack a point: its step, its time in ms and its value; NULL becomes NaN."""
    return _POINT.pack(step, time_ms, math.nan if value is None else value)


def pack_bucket(
    points: int,
    valued: int,
    least: float | None,
    greatest: float | None,
    total: float | None,
    first_ms: int | None,
    last_ms: int | None,
) -> bytes:
    """Pack the fields of an Aggregate; NULL becomes NaN, or 0 for a time."""
    if least is None or greatest is None:
        least = greatest = math.nan
    total = math.nan if total is None else total
    return _BUCKET.pack(points, valued, least, greatest, total, first_ms or 0, last_ms or 0)


def unpack_extremes(packed: bytes) -> list[tuple[float, float]]:
    """Unpack joined results of ``pack_extremes()``."""
    return list(_EXTREMES.iter_unpack(packed))


def unpack_points(packed: bytes) -> tuple[array[int], array[int], array[float]]:
    """Unpack joined results of ``pack_point()``: steps, times in ms and values."""
    integers = array("q", packed)
    return integers[0::3], integers[1::3], array("d", packed)[2::3]


def unpack_bucket_columns(
    packed: bytes,
) -> tuple[array[int], array[int], array[float], array[float], array[float]]:
    """Unpack joined results of ``pack_bucket()`` without their times, a column for each field."""
    integers, floats = array("q", packed), array("d", packed)
    return integers[0::7], integers[1::7], floats[2::7], floats[3::7], floats[4::7]


def unpack_buckets(packed: bytes) -> list[Aggregate]:
    """Unpack joined results of ``pack_bucket()``."""
    return list(map(Aggregate._make, _BUCKET.iter_unpack(packed)))
