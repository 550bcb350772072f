"""The buckets of a level as columns: merge them to wider buckets, and turn them to bytes and back.

Invariant: a merged bucket holds what its parts hold. Its sum alone may differ from theirs, by rounding.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from operator import eq
from typing import Any, NamedTuple

INTEGERS, FLOATS, FINITE = 7, 5, 2
COLUMNS = INTEGERS + FLOATS + FINITE
ROW = struct.Struct(f"={INTEGERS}q{FLOATS + FINITE}d")


class Cells(NamedTuple):
    """Buckets in the order of their cells. Cell n begins at n times the width, on the axis of the level.

    Extremes are NaN where a bucket has no value, or no finite one. Times are milliseconds.
    """

    cells: array[int]
    counts: array[int]
    nan_counts: array[int]
    first_steps: array[int]
    last_steps: array[int]
    first_ms: array[int]
    last_ms: array[int]
    firsts: array[float]
    lasts: array[float]
    least: array[float]
    greatest: array[float]
    sums: array[float]
    finite_least: array[float]
    finite_greatest: array[float]


def unpack_rows(packed: bytes | bytearray) -> Cells:
    """Return joined rows, each packed by `ROW`, as columns."""
    integers, floats = array("q", bytes(packed)), array("d", bytes(packed))
    found: list[Any] = [integers[place::COLUMNS] for place in range(INTEGERS)]
    return Cells(*found, *[floats[place::COLUMNS] for place in range(INTEGERS, COLUMNS)])


def pack_rows(cells: Cells) -> bytearray:
    """Pack columns to joined rows."""
    packed = bytearray(len(cells.cells) * ROW.size)
    words = memoryview(packed).cast("q")
    columns: list[array[Any]] = list(cells)
    for place, column in enumerate(columns):
        words[place::COLUMNS] = memoryview(column).cast("B").cast("q")
    return packed


def merge_cells(cells: Cells, doublings: int) -> Cells:
    """Merge buckets whose cells are one if the width is doubled this many times."""
    wider = array("q", [cell >> doublings for cell in cells.cells])
    begins = [place for place, (one, other) in enumerate(pairwise(wider), 1) if one != other]
    ends = [*begins, len(wider)]
    begins.insert(0, 0)
    if len(begins) == len(wider):
        return cells._replace(cells=wider)
    spans = list(map(slice, begins, ends))
    lasts = [end - 1 for end in ends]

    def pick(column: array[Any], places: Sequence[int]) -> array[Any]:
        return array(column.typecode, [column[place] for place in places])

    def fold(function: Callable[[array[Any]], Any], column: array[Any]) -> array[Any]:
        return array(column.typecode, [function(column[span]) for span in spans])

    def extreme(of_all: Any, of_numbers: Any, column: array[float]) -> array[float]:
        return fold(of_all if all(map(eq, column, column)) else of_numbers, column)

    low = extreme(min, _least_number, cells.least)
    high = extreme(max, _greatest_number, cells.greatest)
    is_finite = not any(map(math.isinf, chain(cells.least, cells.greatest)))
    return Cells(
        pick(wider, begins),
        fold(sum, cells.counts),
        fold(sum, cells.nan_counts),
        pick(cells.first_steps, begins),
        pick(cells.last_steps, lasts),
        pick(cells.first_ms, begins),
        pick(cells.last_ms, lasts),
        pick(cells.firsts, begins),
        pick(cells.lasts, lasts),
        low,
        high,
        fold(sum, cells.sums),
        low if is_finite else extreme(min, _least_number, cells.finite_least),
        high if is_finite else extreme(max, _greatest_number, cells.finite_greatest),
    )


def _least_number(part: Iterable[float]) -> float:
    return min((value for value in part if value == value), default=math.nan)


def _greatest_number(part: Iterable[float]) -> float:
    return max((value for value in part if value == value), default=math.nan)


def encode_cells(cells: Cells) -> bytes:
    """Turn columns to bytes: one after the other, as little-endian numbers of 8 bytes.

    The finite extremes are left out if no value is infinite.
    """
    columns: list[array[Any]] = list(cells)
    if not any(map(math.isinf, chain(cells.least, cells.greatest))):
        columns = columns[:-FINITE]
    if sys.byteorder == "big":
        columns = [column[:] for column in columns]
        for column in columns:
            column.byteswap()
    return b"".join(columns)


def decode_cells(data: bytes, buckets: int) -> Cells:
    """Turn bytes of `encode_cells` to columns.

    Raises:
        ValueError: the bytes are not those of so many buckets.
    """
    found, rest = divmod(len(data), 8 * buckets)
    if rest or found not in (COLUMNS - FINITE, COLUMNS):
        raise ValueError(f"{len(data):,} bytes are not the columns of {buckets:,} buckets")
    columns: list[array[Any]] = []
    for place in range(found):
        column = array("q" if place < INTEGERS else "d", data[8 * buckets * place : 8 * buckets * (place + 1)])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
    if found < COLUMNS:
        columns += columns[INTEGERS + 2], columns[INTEGERS + 3]
    return Cells(*columns)
