"""Insert rows given as columns, many in one statement: points, and the series that they belong to.

While a statement runs, the thread has given up the GIL. Beside a busy thread, getting it back costs 5 ms. So
the fewer statements there are, the sooner a drain ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import repeat

from exptrack.database.connection import Connection
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from typing import Any

    from exptrack.metrics.columns import PointWords

INSERT_POINTS = """
INSERT INTO metric_point (series, step, seq, time_ms, value)
SELECT * FROM (VALUES {rows}) WHERE column1 > 0
"""
TAKE_POINTS = """
INSERT INTO metric_point (series, step, seq, time_ms, value)
SELECT series, step, seq, time_ms, value FROM batch.point
"""

MANY_POINTS = 1_024  # fewer never pay, and load nothing for that
ROWS_AT_ONCE = tuple(1 << power for power in range(11))
MAX_PARAMETERS = 32_766  # of one statement; SQLite's own default


class Part(NamedTuple):
    """Points of one series whose repetition is 0: columns of one length. No value is -0.0."""

    series: int
    steps: array[int]
    times_ms: array[int]
    values: array[float]


def pays_in_bulk(points: int) -> bool:
    """Return whether so many points are stored faster inside ``Connection.in_bulk``."""
    if points < MANY_POINTS:
        return False
    from exptrack.database.point_image import CAN_OPEN_IMAGES, LEAST_POINTS, MOST_POINTS

    return CAN_OPEN_IMAGES and LEAST_POINTS <= points <= MOST_POINTS


def insert_points(connection: Connection, parts: Sequence[Part]) -> None:
    """Insert points that repeat no step of their series.

    Inside ``Connection.in_bulk``, one statement inserts all, from an image of a table, where that pays.
    """
    count = sum(len(part.steps) for part in parts)
    if connection.takes_images and pays_in_bulk(count):
        from exptrack.database.point_image import MOST_SERIES, lay_out

        if all(part.series <= MOST_SERIES for part in parts):
            connection.take_image(lay_out(parts), TAKE_POINTS)
            return
    columns: list[list[Any]] = [[], [], [], []]
    for part in parts:
        columns[0] += repeat(part.series, len(part.steps))
        columns[1] += part.steps
        columns[2] += part.times_ms
        columns[3] += part.values
    insert_rows(connection, INSERT_POINTS, "(?, ?, 0, ?, ?)", columns)


def insert_repetitions(connection: Connection, series: int, words: PointWords, seqs: list[int]) -> None:
    """Insert points of one series, each with the number of earlier ones at its step."""
    columns: list[Sequence[Any]] = [[series] * len(seqs), words.steps, seqs, words.times_ms, words.values]
    insert_rows(connection, INSERT_POINTS, "(?, ?, ?, ?, ?)", columns)


def insert_rows(connection: Connection, sql: str, row: str, columns: Sequence[Sequence[Any]]) -> None:
    """Insert rows given as columns, up to 1024 in one statement; the first column is a row id.

    SQLite then loops over the rows: that takes two thirds of the time of ``executemany``. The last statement
    is filled up with rows of zeros, which it skips. So there are few sizes, and all stay prepared. NULLs in
    their place would take as long as rows: Python looks for an adapter for each None.
    """
    width, count = len(columns), len(columns[0]) if columns else 0
    sizes = [size for size in ROWS_AT_ONCE if size * width <= MAX_PARAMETERS]
    for begin in range(0, count, sizes[-1]):
        end = min(begin + sizes[-1], count)
        size = next(size for size in sizes if size >= end - begin)
        flat: list[Any] = [0] * (width * size)
        for place, column in enumerate(columns):
            flat[place : width * (end - begin) : width] = column[begin:end]
        connection.execute(_format_rows(sql, row, size), flat)


@cache
def _format_rows(sql: str, row: str, size: int) -> str:
    return sql.format(rows=", ".join([row] * size))
