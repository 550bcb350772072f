"""Store what a long series of an ended run holds in a few hundred buckets, and answer from it.

A curve then comes from a few kilobytes, instead of a scan of all points.

Invariants:

- A level is derived from points alone, and is written in the transaction that seals its series. It goes when
  the seal is lifted.
- It names the checksum of the points that it was made of. One that names another checksum, or that is damaged,
  answers nothing; the points are read then.
"""

from __future__ import annotations

import math
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import islice, pairwise
from operator import add, le, lt
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.database.own_schema import has_table
from exptrack.metrics.axes import Grid
from exptrack.metrics.level_builder import (
    MOST_BUCKETS,
    AxisCells,
    LevelBuilder,
    count_buckets,
    find_shift,
)
from exptrack.metrics.level_cells import COLUMNS, Cells, decode_cells, encode_cells, merge_cells
from exptrack.metrics.summary import LEVEL_POINTS
from exptrack.shuffling import compress_shuffled, unshuffle
from exptrack.validation import INT64_MAX

AXES = ("step", "time")
ZSTD_LEVEL = 1
WORTH_IT = 0.97
WIDTH = 8  # bytes of a number
MOST_BYTES = COLUMNS * WIDTH * MOST_BUCKETS
BATCH = 4096

INSERT_LEVEL = """
INSERT INTO metric_level (series, axis, width, buckets, points, codec, data, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_LEVEL = """
SELECT l.axis, l.width, l.buckets, l.points, l.codec, l.data, l.checksum
FROM metric_level AS l JOIN metric_series AS s ON s.id = l.series
WHERE l.series = ? AND l.axis = ? AND l.width <= ? AND l.points = s.checksum
"""
LEVEL_BYTES = "SELECT coalesce(sum(length(data)), 0) FROM metric_level"
DELETE_LEVELS = "DELETE FROM metric_level WHERE series = ?"
_FACTS = struct.Struct("<qqq")


class Level(NamedTuple):
    """What a series holds in buckets along an axis: bucket n begins at n times 2 to the power of `shift`."""

    axis: str
    shift: int
    cells: Cells

    @property
    def low(self) -> int:
        """The first position of a point."""
        return self.cells.first_steps[0] if self.axis == "step" else self.cells.first_ms[0]

    @property
    def high(self) -> int:
        """The last position of a point."""
        return self.cells.last_steps[-1] if self.axis == "step" else self.cells.last_ms[-1]

    def widen(self, shift: int) -> Level:
        """Return it with wider buckets."""
        return self._replace(shift=shift, cells=merge_cells(self.cells, shift - self.shift))


class LevelRow(NamedTuple):
    """A level as it is stored, but for the series."""

    axis: str
    width: int
    buckets: int
    points: int
    codec: str
    data: bytes
    checksum: int


def make_levels(parts: Sequence[LevelBuilder], count: int) -> list[Level]:
    """Return the levels of a series, all points of which were collected, in parts that follow one another.

    There is none if the series is short or has huge values, and none along times if these decrease.
    """
    if count < LEVEL_POINTS or any(part.is_huge for part in parts):
        return []
    most = count_buckets(count)
    levels = [_join("step", [part.by_step for part in parts], most)]
    by_time = [part.by_time for part in parts if part.by_time is not None]
    is_ordered = all(one.last_ms <= other.first_ms for one, other in pairwise(parts))
    if is_ordered and len(by_time) == len(parts):
        levels.append(_join("time", by_time, most))
    return levels


def _join(axis: str, parts: list[AxisCells], most: int) -> Level:
    """Return the buckets of parts that follow one another, with at most so many of them."""
    shift = max(part.shift for part in parts)
    found = [merge_cells(part.cells(), shift - part.shift) for part in parts]
    level = Level(axis, shift, Cells(*[reduce(add, columns) for columns in zip(*found, strict=True)]))
    return level.widen(max(shift, find_shift(level.low, level.high, most)))


def collect(points: Iterable[tuple[Any, ...]]) -> LevelBuilder | None:
    """Collect rows of step, milliseconds and value in key order; None if there is none."""
    built = None
    rows = iter(points)
    while batch := list(islice(rows, BATCH)):
        steps, times_ms, values = map(list, zip(*batch, strict=True))
        built = built or LevelBuilder.begin(0, steps, times_ms)
        built.add(steps, times_ms, [math.nan if value is None else value for value in values])
    return built


def encode_level(level: Level, points: int) -> LevelRow:
    """Return the row of a level; `points` is the checksum of the points that it was made of."""
    import zstandard

    raw = encode_cells(level.cells)
    codec, data = "shuffle8+zstd", compress_shuffled(zstandard.ZstdCompressor(level=ZSTD_LEVEL), raw, WIDTH)
    if len(data) >= WORTH_IT * len(raw):
        codec, data = "raw", raw
    row = LevelRow(level.axis, 1 << level.shift, len(level.cells.cells), points, codec, data, 0)
    return row._replace(checksum=checksum_level(row))


def checksum_level(row: LevelRow) -> int:
    """Return the CRC-32 of a row: of its axis and codec, its numbers as int64, and its bytes."""
    facts = f"{row.axis} {row.codec}".encode() + _FACTS.pack(row.width, row.buckets, row.points)
    return zlib.crc32(row.data, zlib.crc32(facts))


def decode_level(row: LevelRow) -> Level:
    """Return the level of a row.

    Raises:
        ValueError: it is damaged, or no level; nothing large was expanded.
    """
    shift = row.width.bit_length() - 1
    if row.axis not in AXES or row.width != 1 << max(shift, 0) or not 0 < row.buckets <= MOST_BUCKETS:
        raise ValueError("its axis, width or number of buckets is none of a level")
    if checksum_level(row) != row.checksum:
        raise ValueError("it does not match its checksum")
    return Level(row.axis, shift, decode_cells(_unpack(row), row.buckets))


def _unpack(row: LevelRow) -> bytes:
    if row.codec == "raw":
        return row.data
    if row.codec != "shuffle8+zstd":
        raise ValueError(f"its codec {row.codec!r} is unknown")
    import zstandard

    try:
        if not 0 < zstandard.frame_content_size(row.data) <= MOST_BYTES:
            raise ValueError("its compressed frame declares no size of a level")
        return unshuffle(zstandard.ZstdDecompressor().decompress(row.data), WIDTH)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def save_levels(connection: Connection, series: int, levels: Iterable[Level], points: int) -> None:
    """Store the levels of a series in place of those it has. Call inside a transaction."""
    connection.execute(DELETE_LEVELS, (series,))
    connection.execute_many(INSERT_LEVEL, [(series, *encode_level(level, points)) for level in levels])


def has_levels(connection: Connection) -> bool:
    """Whether the file has the table of levels. An older file that is only read has none."""
    return has_table(connection, "metric_level")


def count_level_bytes(connection: Connection) -> int:
    """Return how many bytes the levels of all series take."""
    return int(connection.value(LEVEL_BYTES)) if has_levels(connection) else 0


def read_level(connection: Connection, series: int, axis: str, width: int) -> Level | None:
    """Return the level of a series along an axis if its buckets are at most this wide; None if it has none.

    A damaged one counts as none, as the points say the same. So does one that no points can make: its checksum
    may be right, as anyone can compute it.
    """

    def take(rows: Iterator[tuple[Any, ...]]) -> LevelRow | None:
        return next((LevelRow(*row) for row in rows), None)

    row = connection.fold(SELECT_LEVEL, (series, axis, width), take)
    if row is None:
        return None
    try:
        level = decode_level(row)
    except ValueError:
        return None
    return level if _can_be(level) else None


def _can_be(level: Level) -> bool:
    """Whether some points make this level; then its buckets can be merged, and their numbers fit in 64 bits."""
    cells, shift = level.cells, level.shift
    firsts, lasts = (
        (cells.first_steps, cells.last_steps) if level.axis == "step" else (cells.first_ms, cells.last_ms)
    )
    return (
        all(map(lt, cells.cells, cells.cells[1:]))
        and [first >> shift for first in firsts] == cells.cells.tolist() == [last >> shift for last in lasts]
        and min(cells.counts) > 0
        and sum(cells.counts) <= INT64_MAX
        and min(cells.nan_counts) >= 0
        and all(map(le, cells.nan_counts, cells.counts))
    )


def read_columns(connection: Connection, series: int, axis: str, grid: Grid) -> dict[str, array[Any]] | None:
    """Return what the cells of a grid hold, from the level of a series along an axis.

    Return None if there is no level, or none of which the cells are made; or if points lie outside of the grid.
    """
    width = grid.width
    if not isinstance(width, int) or width & (width - 1) or grid.origin != 0:
        return None
    level = read_level(connection, series, axis, width)
    if level is None or level.low < grid.low or level.high >= grid.stop:
        return None
    shift = width.bit_length() - 1
    cells = level.cells if level.shift == shift else level.widen(shift).cells
    starts = [cell << shift for cell in cells.cells]
    return {
        "first_step": cells.first_steps,
        "last_step": cells.last_steps,
        "first_time_s": array("d", [ms / 1000 for ms in cells.first_ms]),
        "last_time_s": array("d", [ms / 1000 for ms in cells.last_ms]),
        "first": cells.firsts,
        "last": cells.lasts,
        "min": cells.least,
        "max": cells.greatest,
        "finite_min": cells.finite_least,
        "finite_max": cells.finite_greatest,
        "nan_count": cells.nan_counts,
        "count": cells.counts,
        "sum": cells.sums,
        "start": array("q", starts) if axis == "step" else array("d", [start / 1000 for start in starts]),
    }
