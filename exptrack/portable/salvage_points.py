"""Mend one damaged point of a series: the sum of the series tells the difference, a checksum proves the place.

The sum of a series has 64 bits, and each number of a point enters it times an odd number. So if one number of
one point is wrong, the difference of the sums gives the right one for each point that it may be. If a point
is lost, it gives the value for each time that it may have had. The checksum of the block proves which it was.

Invariant: after a mending the sum of the series holds, and so do the checksums of its points if it has any.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from itertools import pairwise

from exptrack.database.connection import Connection, Row
from exptrack.database.row_sums import SEQ, STEP, TIME, VALUE, sum_points, wrap_sum
from exptrack.metrics.store import SELECT_POINTS, PointsChecksum, hash_summary, nan_if_null
from exptrack.metrics.summary import SUMMARY_COLUMNS
from exptrack.portable.salvage_intake import Draft, Point

WHOLE = 1 << 64
MOST_PLACES = 16  # to which a point may have belonged
MOST_TIMES = 5_000  # milliseconds between the neighbours of a lost point
MOST_STRAYS = 10_000

NEAR_MISSES = """
SELECT * FROM (
    SELECT s.*, n.name, (SELECT count(*) FROM metric_point AS p WHERE p.series = s.id) - s.count AS surplus
    FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
) WHERE surplus IN (-1, 1)
"""
SERIES_WITH_NAME = """
SELECT s.*, n.name FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.id = ?
"""
POINTS_WITHOUT_SERIES = """
SELECT step, seq, time_ms, value FROM metric_point WHERE series NOT IN (SELECT id FROM metric_series) LIMIT ?
"""
INSERT_POINT = "INSERT OR IGNORE INTO metric_point (series, step, seq, time_ms, value) VALUES (?, ?, ?, ?, ?)"
DELETE_POINT = "DELETE FROM metric_point WHERE series = ? AND step = ? AND seq = ?"
SET_POINT = "UPDATE metric_point SET time_ms = ?, value = ? WHERE series = ? AND step = ? AND seq = ?"
SET_KEY = "UPDATE metric_point SET step = ?, seq = ? WHERE series = ? AND step = ? AND seq = ?"


def read_points(connection: Connection, series: int) -> list[Point]:
    """Read the points of a series."""
    found: list[Point] = connection.fold(SELECT_POINTS, (series,), list)
    return found


def add_up(points: list[Point]) -> int:
    """Return what points add to the sum of their series."""
    if not points:
        return 0
    steps, seqs, times_ms, values = map(list, zip(*points, strict=True))
    return sum_points(steps, seqs, times_ms, [nan_if_null(value) for value in values])


def wanted_sum(row: Row) -> int:
    """Return what the points of a series ought to add to its sum."""
    numbers = [row[column] for column in SUMMARY_COLUMNS]
    return int(row["rows_sum"]) - hash_summary(row["id"], row["run"], row["name"], numbers)


def return_strays(draft: Draft) -> None:
    """Give points back to the series they came from: a damaged key has put them into another one."""
    connection = draft.connection
    rows = connection.all(NEAR_MISSES)
    surplus = [row for row in rows if row["surplus"] == 1]
    deficit = [row for row in rows if row["surplus"] == -1]
    strays: list[Point] = connection.fold(POINTS_WITHOUT_SERIES, (MOST_STRAYS,), list) if deficit else []

    def settle() -> None:
        for row in surplus:
            points = read_points(connection, row["id"])
            difference = wrap_sum(add_up(points) - wanted_sum(row))
            stray = next((one for one in points if wrap_sum(add_up([one])) == difference), None)
            if stray is not None:
                connection.execute(DELETE_POINT, (row["id"], *stray[:2]))
                strays.append(stray)
        for row in deficit if strays else ():
            lacking = wrap_sum(wanted_sum(row) - add_up(read_points(connection, row["id"])))
            stray = next((one for one in strays if wrap_sum(add_up([one])) == lacking), None)
            if stray is not None:
                connection.execute(INSERT_POINT, (row["id"], *stray))

    if draft.rivals:
        draft.change(_settle_rivals, draft, strays)
    if surplus or (deficit and strays):
        draft.change(settle)


def _settle_rivals(draft: Draft, strays: list[Point]) -> None:
    """Find which of two points of one key belongs there, and the step or series of the other."""
    connection = draft.connection
    for series, rival in draft.rivals:
        row = connection.one(SERIES_WITH_NAME, (series,))
        points = {point[:2]: point for point in read_points(connection, series)}
        if row is None or rival[:2] not in points:
            continue
        for kept, other in ((points[rival[:2]], rival), (rival, points[rival[:2]])):
            points[rival[:2]] = kept
            lacking = wrap_sum(wanted_sum(row) - add_up(list(points.values())))
            moved = (_signed((lacking - add_up([(0, *other[1:])])) * pow(STEP, -1, WHOLE)), *other[1:])
            if lacking == 0:
                strays.append(other)
            elif moved[:2] in points or not _has_checksum(row, [*points.values(), moved]):
                continue
            connection.execute(SET_POINT, (*kept[2:], series, *kept[:2]))
            if lacking:
                connection.execute(INSERT_POINT, (series, *moved))
            break


def _has_checksum(row: Row, points: list[Point]) -> bool:
    """Whether points in any order have the checksum of a series."""
    steps, seqs, times_ms, values = map(list, zip(*sorted(points, key=_key), strict=True))
    checksum = PointsChecksum()
    checksum.add(steps, seqs, times_ms, [nan_if_null(value) for value in values])
    return bool(checksum.value() == row["checksum"])


class PointMender:
    """Mends a series of which one point is wrong or lost, and whose summary is proved.

    Call inside a transaction of the draft.
    """

    def __init__(self, connection: Connection, row: Row) -> None:
        self._connection = connection
        self._row = row
        self._points = read_points(connection, row["id"])
        self._difference = wrap_sum(add_up(self._points) - wanted_sum(row))

    def mend(self, begin: int, end: int, of_block: int | None) -> bool:
        """Mend the point; return whether it was found.

        The points from `begin` to `end` are those of a block that does not match its checksum `of_block`. None
        stands for the checksum of a series of this block alone.
        """
        extra = len(self._points) - self._row["count"]
        block = self._points[begin:end]
        if extra == -1:
            return self._add(block, self._points[end : end + 1], of_block)
        return extra == 0 and (self._correct(block, of_block) or self._move())

    def _matches(self, points: list[Point], of_block: int | None) -> bool:
        steps, seqs, times_ms, values = map(list, zip(*points, strict=True))
        return self._matches_columns(steps, seqs, times_ms, [nan_if_null(value) for value in values], of_block)

    def _matches_columns(
        self, steps: list[int], seqs: list[int], times_ms: list[int], values: list[float], of_block: int | None
    ) -> bool:
        checksum = PointsChecksum()
        checksum.add(steps, seqs, times_ms, values)
        if of_block is None:
            return bool(checksum.value() == self._row["checksum"])
        return checksum.blocks()[0].crc == of_block

    def _correct(self, block: list[Point], of_block: int | None) -> bool:
        """Find the point whose time or value is wrong."""
        steps, seqs, times_ms, stored = map(list, zip(*block, strict=True))
        values = [nan_if_null(value) for value in stored]
        bits = array("Q", array("d", [value + 0.0 for value in values]).tobytes())
        by_time = _signed(self._difference * pow(TIME, -1, WHOLE))
        by_value = self._difference * pow(VALUE, -1, WHOLE)
        for place, (step, seq, time_ms, value) in enumerate(block):
            right = _to_float(bits[place] - by_value)
            values[place] = right
            if self._matches_columns(steps, seqs, times_ms, values, of_block):
                self._connection.execute(SET_POINT, (time_ms, _null_if_nan(right), self._row["id"], step, seq))
                return True
            values[place] = nan_if_null(value)
            times_ms[place] = _signed(time_ms - by_time)
            if self._matches_columns(steps, seqs, times_ms, values, of_block):
                self._connection.execute(SET_POINT, (times_ms[place], value, self._row["id"], step, seq))
                return True
            times_ms[place] = time_ms
        return False

    def _move(self) -> bool:
        """Find the point whose step or seq is wrong: one bit of it."""
        keys = {point[:2] for point in self._points}
        lowest = min(self._row["first_step"], min(keys)[0])
        for factor, place in ((STEP, 0), (SEQ, 1)):
            change = _signed(self._difference * pow(factor, -1, WHOLE))
            if change == 0 or abs(change) & (abs(change) - 1):
                continue
            tried = 0
            for point in self._points:
                key = (point[0] - change, point[1]) if place == 0 else (point[0], point[1] - change)
                if key in keys or key[1] < 0 or not lowest <= key[0] <= self._row["top_step"]:
                    continue
                tried += 1
                moved = [(*key, *point[2:]) if one is point else one for one in self._points]
                if _has_checksum(self._row, moved):
                    self._connection.execute(SET_KEY, (*key, self._row["id"], *point[:2]))
                    return True
                if tried == MOST_PLACES:
                    break
        return False

    def _add(self, block: list[Point], following: list[Point], of_block: int | None) -> bool:
        """Find the point that is lost: its step is in a gap, its time between those of its neighbours."""
        for place, step in self._find_gaps(block, following):
            before = block[place - 1][2] if place else block[0][2] - MOST_TIMES // 2
            after = block[place][2] if place < len(block) else before + MOST_TIMES // 2
            if following and place == len(block):
                after = following[0][2]
            for time_ms, value in self._guess_values(step, min(before, after), max(before, after)):
                point = (step, 0, time_ms, _null_if_nan(value))
                if self._matches([*block[:place], point, *block[place:]], of_block):
                    self._connection.execute(INSERT_POINT, (self._row["id"], *point))
                    return True
        return False

    def _find_gaps(self, block: list[Point], following: list[Point]) -> Iterator[tuple[int, int]]:
        """Yield the places in a block where a step may be missing, and that step."""
        steps = [point[0] for point in [*block, *following]]
        strides = [after - before for before, after in pairwise(steps)]
        stride = min((one for one in strides if one > 0), default=1)
        found = 0
        for place, one in enumerate(strides, 1):
            if one == 2 * stride:
                yield place, steps[place - 1] + stride
                found += 1
                if found == MOST_PLACES:
                    return
        if not following:
            yield len(block), steps[-1] + stride
        yield 0, steps[0] - stride

    def _guess_values(self, step: int, earliest: int, latest: int) -> Iterator[tuple[int, float]]:
        """Yield each time that a lost point may have, with the value that the sum then gives it."""
        least, most = self._row["min_value"], self._row["max_value"]
        back = pow(VALUE, -1, WHOLE)
        for time_ms in range(earliest, min(latest, earliest + MOST_TIMES) + 1):
            value = _to_float((-self._difference - step * STEP - time_ms * TIME) * back)
            if value != value or (least is not None and least <= value <= most):
                yield time_ms, value


def _signed(number: int) -> int:
    return (number + WHOLE // 2) % WHOLE - WHOLE // 2


def _to_float(bits: int) -> float:
    found: float = struct.unpack("=d", struct.pack("=Q", bits % WHOLE))[0]
    return found


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def _key(point: Point) -> tuple[int, int]:
    return point[:2]
