"""Lay out points as the pages of a table, which SQLite opens as one value: no number is bound or made.

A statement that reads them inserts any number of points in one step. The thread that runs it gives the GIL up
once, not once a row.

Invariants:

- A cell is 40 bytes and begins at a multiple of 8. So a column is a slice of words with a stride of 5.
- Row ids begin where they take three bytes, so all cells have one size. The keys of inner cells follow them.
- Numbers stand as SQLite stores them: integers of 8 bytes, series of 6, doubles. SQLite reads NaN as NULL.
"""

from __future__ import annotations

import sqlite3
import struct
import sys
from array import array
from collections.abc import Sequence
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    # The series, steps, times and values of points whose repetition is 0. No value is -0.0.
    Part: TypeAlias = tuple[int, array[int], array[int], array[float]]

# A build of SQLite may leave the function out, and Python then has no such method.
CAN_OPEN_IMAGES = hasattr(sqlite3.Connection, "deserialize")
PAGE_BYTES = 1 << 16
CELL_WORDS = 5
# Each cell has a pointer of two bytes, behind the header of a leaf.
CELLS_A_PAGE = (PAGE_BYTES - 8) // (8 * CELL_WORDS + 2)
CELLS_AT = PAGE_BYTES - 8 * CELL_WORDS * CELLS_A_PAGE
FIRST_ROW_ID = 1 << 14
MOST_LEAVES = 32
LEAST_POINTS = CELLS_A_PAGE + 1  # the tree has one inner page, over two leaves or more
MOST_POINTS = MOST_LEAVES * CELLS_A_PAGE  # more would take much memory, and save nothing
MOST_SERIES = (1 << 47) - 1  # in a column of 6 bytes
MAKE_TABLE = "CREATE TABLE point (seq INTEGER, series INTEGER, step INTEGER, time_ms INTEGER, value REAL)"
LEAF, INNER, FIRST_LEAF = 13, 5, 3
PAGE_COUNT_AT = 28  # in the header of a file
# The length of the payload; then the length of its header and the types: zero, 6 bytes, 8 bytes twice, double.
_PAYLOAD, _HEADER = 36, bytes((6, 8, 5, 6, 6, 7))


def lay_out(parts: Sequence[Part]) -> bytearray:
    """Return the bytes of a database whose table ``point`` holds these points, in this order.

    There are at least `LEAST_POINTS` and at most `MOST_POINTS`, of series up to `MOST_SERIES`.
    """
    columns: list[array[Any]] = [array("Q"), array("q"), array("q"), array("d")]
    for series, steps, times_ms, values in parts:
        # The end of the header and the series share a word.
        columns[0] += array("Q", [int.from_bytes(_HEADER[-2:], "big") << 48 | series]) * len(steps)
        columns[1] += steps
        columns[2] += times_ms
        columns[3] += values
    if sys.byteorder == "little":
        for column in columns:
            column.byteswap()
    words = [memoryview(column).cast("B").cast("Q") for column in columns]
    count = len(columns[0])
    leaves = -(-count // CELLS_A_PAGE)
    image = bytearray().join((_first_page(), _root(leaves), *map(_leaf, range(leaves))))
    struct.pack_into(">I", image, PAGE_COUNT_AT, FIRST_LEAF - 1 + leaves)
    # The header of the last leaf says how many of its cells count.
    struct.pack_into(">H", image, len(image) - PAGE_BYTES + 3, count - (leaves - 1) * CELLS_A_PAGE)
    cells = memoryview(image).cast("Q")
    for leaf in range(leaves):
        begin = leaf * CELLS_A_PAGE
        end = min(count, begin + CELLS_A_PAGE)
        at = ((FIRST_LEAF - 1 + leaf) * PAGE_BYTES + CELLS_AT) // 8
        last = at + CELL_WORDS * (end - begin)
        for place, some in enumerate(words, 1):
            cells[at + place : last : CELL_WORDS] = some[begin:end]
    return image


@cache
def _first_page() -> bytes:
    """Return the page with the header and the schema, which SQLite writes."""
    raw = sqlite3.connect(":memory:")
    try:
        raw.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        raw.execute("PRAGMA auto_vacuum = NONE")
        raw.execute(MAKE_TABLE)
        return raw.serialize()[:PAGE_BYTES]
    finally:
        raw.close()


@cache
def _root(leaves: int) -> bytes:
    cells = [
        (FIRST_LEAF + leaf).to_bytes(4, "big") + _three_bytes(FIRST_ROW_ID + (leaf + 1) * CELLS_A_PAGE - 1)
        for leaf in range(leaves - 1)
    ]
    size = len(cells[0])
    begin = PAGE_BYTES - size * len(cells)
    header = struct.pack(">BHHHBI", INNER, 0, len(cells), begin, 0, FIRST_LEAF + leaves - 1)
    pointers = struct.pack(f">{len(cells)}H", *range(begin, PAGE_BYTES, size))
    return (header + pointers).ljust(begin, b"\0") + b"".join(cells)


@cache
def _leaf(number: int) -> bytes:
    """Return a full leaf whose points are not filled in yet."""
    leaf = bytearray(_leaf_without_row_ids())
    first = FIRST_ROW_ID + number * CELLS_A_PAGE
    # The three bytes of the row ids as columns: the third counts to 127, and at its end the others change.
    begin = first & 0x7F
    rest = range(first >> 7, (first + CELLS_A_PAGE - 1 >> 7) + 1)
    columns = (
        b"".join(bytes((0x80 | one >> 7,)) * 128 for one in rest),
        b"".join(bytes((0x80 | one & 0x7F,)) * 128 for one in rest),
        bytes(range(128)) * len(rest),
    )
    for place, column in enumerate(columns, 1):
        leaf[CELLS_AT + place :: 8 * CELL_WORDS] = column[begin : begin + CELLS_A_PAGE]
    return bytes(leaf)


@cache
def _leaf_without_row_ids() -> bytes:
    header = struct.pack(">BHHHB", LEAF, 0, CELLS_A_PAGE, CELLS_AT, 0)
    pointers = struct.pack(f">{CELLS_A_PAGE}H", *range(CELLS_AT, PAGE_BYTES, 8 * CELL_WORDS))
    cell = (bytes([_PAYLOAD, 0, 0, 0]) + _HEADER).ljust(8 * CELL_WORDS, b"\0")
    return (header + pointers).ljust(CELLS_AT, b"\0") + cell * CELLS_A_PAGE


def _three_bytes(row_id: int) -> bytes:
    return bytes((0x80 | row_id >> 14, 0x80 | row_id >> 7 & 0x7F, row_id & 0x7F))
