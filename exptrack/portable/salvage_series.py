"""Prove the points of a draft's series, block by block, and leave out what cannot be proved.

The sum of a series proves its summary and all of its points. Where it fails, and the run had ended, each block
of 1,024 points is proved by its own checksum. Where one number of one point is wrong, the sum tells by how
much, and the checksum of the block tells at which point: that point is mended.

Invariant: a summary that was computed here is proved by the seal of its run only.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from exptrack.database.connection import Connection, Row
from exptrack.database.row_sums import sum_points, wrap_sum
from exptrack.metrics.series_seals import INSERT_BLOCK, SEAL_SERIES
from exptrack.metrics.store import (
    BLOCK_POINTS,
    CHECKSUM_BATCH,
    SELECT_POINTS,
    PointsChecksum,
    hash_summary,
    nan_if_null,
)
from exptrack.metrics.summary import SUMMARY_COLUMNS, Summary
from exptrack.portable.salvage_copies import BLOCKS_OF, OtherCopies
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_points import PointMender, wanted_sum
from exptrack.portable.salvage_report import count_of
from exptrack.records import RunStatus

MOST_POINTS_MENDED = 1 << 20  # of a series that is searched for one wrong point

SERIES_OF = """
SELECT s.*, n.name FROM metric_series AS s LEFT JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? ORDER BY s.id
"""
DELETE_FROM = "DELETE FROM metric_point WHERE series = ? AND (step, seq) >= (?, ?)"
DELETE_BETWEEN = f"{DELETE_FROM} AND (step, seq) < (?, ?)"
INSERT_LOST = f"""
INSERT OR IGNORE INTO metric_series (id, run, metric, {", ".join(SUMMARY_COLUMNS)})
VALUES (?, ?, ?, {", ".join("?" * len(SUMMARY_COLUMNS))})
"""
ONE_SERIES = "SELECT * FROM metric_series WHERE id = ?"
NAME_OF_METRIC = "SELECT name FROM metric_name WHERE id = ?"
SET_OWNER = "UPDATE OR IGNORE metric_series SET run = ?, metric = ? WHERE id = ?"
SAVE_SUMMARY = f"""
UPDATE metric_series SET {", ".join(f"{column} = ?" for column in SUMMARY_COLUMNS)}, rows_sum = ? WHERE id = ?
"""
DELETE_SERIES = "DELETE FROM metric_series WHERE id = ?"
DELETE_POINTS = "DELETE FROM metric_point WHERE series = ?"
DELETE_CHECKS = "DELETE FROM metric_check WHERE series = ?"

Key = tuple[int, int]


class Block(NamedTuple):
    """A block of points: its first key, that of the next one, and its checksums as found and as stored."""

    start: Key
    end: Key | None
    points: int
    found: int
    stored: int | None


class Scan:
    """What the points of a series give: their sum, their checksum, and a summary as if logged by step."""

    def __init__(self, connection: Connection, series: int) -> None:
        self.total = 0
        self.checksum = PointsChecksum()
        self.summary = Summary()
        connection.fold(SELECT_POINTS, (series,), self._take)

    def _take(self, points: Iterator[tuple[Any, ...]]) -> None:
        self.__dict__.update(total=0, checksum=PointsChecksum(), summary=Summary())
        while batch := list(islice(points, CHECKSUM_BATCH)):
            steps, seqs, times_ms, stored = map(list, zip(*batch, strict=True))
            values = [nan_if_null(value) for value in stored]
            self.total += sum_points(steps, seqs, times_ms, values)
            self.checksum.add(steps, seqs, times_ms, values)
            self.summary.extend(steps, times_ms, values)


def restore_series(draft: Draft) -> set[int]:
    """Make the rows of series that only an index still has, from their points. Return their row ids."""
    connection = draft.connection
    wrong, lost = draft.read_other_series()
    restored = set()

    def mend() -> None:
        for series, run, metric in wrong:
            row = connection.one(ONE_SERIES, (series,))
            name = connection.value(NAME_OF_METRIC, (metric,))
            if row is None or name is None:
                continue
            numbers = [row[column] for column in SUMMARY_COLUMNS]
            total = hash_summary(series, run, name, numbers) + Scan(connection, series).total
            if wrap_sum(total) == row["rows_sum"]:
                connection.execute(SET_OWNER, (run, metric, series))
        for series, run, metric in lost:
            scan = Scan(connection, series)
            if scan.summary.count:
                values = (series, run, metric, *scan.summary.columns())
                if connection.execute(INSERT_LOST, values).rowcount:
                    restored.add(series)

    draft.change(mend)
    return restored


class SeriesProof:
    """Proves the series of one run. Call inside a transaction of the draft.

    First `prove_sums` tells which series are whole. Then the seal of the run can be looked at, as it covers
    their checksums. Then `settle` keeps what can be proved of the others.
    """

    def __init__(
        self, draft: Draft, run: int, status: str | None, restored: set[int], others: OtherCopies
    ) -> None:
        self._draft = draft
        self._connection = draft.connection
        self._run = run
        self._status = status
        self._restored = restored
        self._others = others
        self._doubtful: list[tuple[Row, Scan]] = []
        # Of restored series: the checksums of their blocks, while those of the points that are there stand in
        # their place.
        self._blocks_of_restored: dict[int, list[tuple[Any, ...]]] = {}
        self.changed = False  # a series is not as the seal of the run says
        self.unproven = False

    def prove_sums(self) -> None:
        """Find the series whose sums hold. Mend a summary, and checksums, that their points and sum prove."""
        for row in self._connection.all(SERIES_OF, (self._run,)):
            if row["name"] is None:
                self._leave_out(row, f"a metric without a name: {count_of(row['count'], 'point')}")
                continue
            scan = Scan(self._connection, row["id"])
            numbers = [row[column] for column in SUMMARY_COLUMNS]
            if row["id"] in self._restored or not self._holds(row, scan, numbers):
                numbers = list(scan.summary.columns())
                if row["id"] in self._restored:
                    self._blocks_of_restored[row["id"]] = self._connection.fold(BLOCKS_OF, (row["id"],), list)
                    self._save_summary(row, scan, numbers)
                    self._save_checksum(row, scan)
                    self._doubtful.append((row, scan))
                    continue
                if not self._holds(row, scan, numbers):
                    self._doubtful.append((row, scan))
                    continue
                self._save_summary(row, scan, numbers)
            self._save_checksum(row, scan)

    def _holds(self, row: Row, scan: Scan, numbers: list[Any]) -> bool:
        total = hash_summary(row["id"], row["run"], row["name"], numbers) + scan.total
        return bool(wrap_sum(total) == row["rows_sum"])

    def _save_summary(self, row: Row, scan: Scan, numbers: Sequence[Any]) -> None:
        total = wrap_sum(hash_summary(row["id"], row["run"], row["name"], numbers) + scan.total)
        self._connection.execute(SAVE_SUMMARY, (*numbers, total, row["id"]))

    def _save_checksum(self, row: Row, scan: Scan) -> None:
        """Let the checksums of a series be those of its points, if its run has ended."""
        over = self._status != RunStatus.RUNNING
        checksum = scan.checksum.value() if over else None
        completed = int(self._status == RunStatus.COMPLETED)
        if (checksum, completed) != (row["checksum"], row["completed"]):
            self._connection.execute(SEAL_SERIES, (completed, checksum, row["id"]))
        blocks = scan.checksum.blocks() if over and scan.checksum.count > BLOCK_POINTS else []
        if [tuple(block) for block in self._connection.all(BLOCKS_OF, (row["id"],))] != blocks:
            self._save_blocks(row["id"], blocks)

    def _save_blocks(self, series: int, blocks: Sequence[tuple[Any, ...]]) -> None:
        self._connection.execute(DELETE_CHECKS, (series,))
        self._connection.execute_many(INSERT_BLOCK, [(series, *block) for block in blocks])

    def settle(self, *, sealed: bool, named: bool) -> None:
        """Keep what can be proved of the other series, and note what is missing.

        `sealed` says that the seal of the run holds, `named` that the names of its metrics are proved.
        """
        for row, scan in self._doubtful:
            new = row["id"] in self._restored
            if new and sealed:
                continue  # the seal covers what was computed from the points
            if new:
                self._save_blocks(row["id"], self._blocks_of_restored[row["id"]])
            if sealed and row["checksum"] == scan.checksum.value():
                self._save_summary(row, scan, [row[column] for column in SUMMARY_COLUMNS])
                self._save_checksum(row, scan)
                continue
            if self._others.fill_series(self._draft, row):
                scan = Scan(self._connection, row["id"])
                if sealed and row["checksum"] == scan.checksum.value():
                    self._save_summary(row, scan, [row[column] for column in SUMMARY_COLUMNS])
                    continue
            blocks = find_blocks(self._connection, row)
            bad = find_unproved(blocks, None if new else row["checksum"])
            if sealed and self._mend(row, blocks, bad):
                continue
            ended = row["checksum"] is not None or new
            known = sealed or named or row["id"] in self._draft.sure_series
            self._keep(row, scan, blocks, bad if ended and known else blocks)

    def _keep(self, row: Row, scan: Scan, blocks: list[Block], bad: list[Block]) -> None:
        """Keep the sound blocks of a series."""
        series, what = row["id"], f"the metric {row['name']!r}"
        self.changed = True
        if self._draft.unproven:
            self.unproven = True
        else:
            unproven = sum(block.points for block in bad)
            self._draft.findings.leave_out_points(self._run, unproven)
            for begin, end, count in join_blocks(bad):
                self._delete(series, begin, end)
                until = row["top_step"] if end is None else end[0] - (end[1] == 0)
                self._miss(
                    f"{what} from step {begin[0]} to {max(until, begin[0])}:"
                    f" {count_of(count, 'point')} without a proof"
                )
        overwritten = row["count"] - scan.checksum.count
        if overwritten > 0:
            self._miss(f"{what}: {count_of(overwritten, 'point')} overwritten")
        elif not bad and self._lacks_blocks(row, blocks):
            self._miss(f"{what}: points overwritten")
        scan = Scan(self._connection, series)
        if scan.summary.count:
            self._save_summary(row, scan, scan.summary.columns())
        else:
            self._remove(series)

    def _lacks_blocks(self, row: Row, blocks: list[Block]) -> bool:
        """Whether no point is left of a block that has a checksum."""
        starts = {block.start for block in blocks}
        return any((step, seq) not in starts for step, seq, _ in self._connection.all(BLOCKS_OF, (row["id"],)))

    def _leave_out(self, row: Row, what: str) -> None:
        self.changed = True
        self._miss(what)
        self._remove(row["id"])

    def _remove(self, series: int) -> None:
        for sql in (DELETE_POINTS, DELETE_CHECKS, DELETE_SERIES):
            self._connection.execute(sql, (series,))

    def _delete(self, series: int, begin: Key, end: Key | None) -> None:
        if end is None:
            self._connection.execute(DELETE_FROM, (series, *begin))
        else:
            self._connection.execute(DELETE_BETWEEN, (series, *begin, *end))

    def _miss(self, what: str) -> None:
        self._draft.findings.miss(self._run, what)

    def _mend(self, row: Row, blocks: list[Block], bad: list[Block]) -> bool:
        """Mend the one point that is wrong or lost, if it is one; return whether all points are proved then."""
        found = sum(block.points for block in blocks)
        if not bad or len(bad) > 2 or not -1 <= found - row["count"] <= 0 or found > MOST_POINTS_MENDED:
            return False
        for block in bad:
            alone = row["count"] <= BLOCK_POINTS
            if block.stored is None and not alone:
                continue
            begin = sum(one.points for one in blocks[: blocks.index(block)])
            mender = PointMender(self._connection, row)
            if mender.mend(begin, begin + block.points, None if alone else block.stored):
                scan = Scan(self._connection, row["id"])
                return scan.checksum.value() == row["checksum"] and wrap_sum(scan.total - wanted_sum(row)) == 0
        return False


def find_blocks(connection: Connection, row: Row) -> list[Block]:
    """Divide the points of a series by the keys at which its blocks begin, as far as these are known."""
    stored = {(step, seq): crc for step, seq, crc in connection.all(BLOCKS_OF, (row["id"],))}
    if row["count"] <= BLOCK_POINTS:
        stored = {}
    starts = set(stored)
    found: list[Block] = []

    def divide(points: Iterator[tuple[Any, ...]]) -> None:
        found.clear()
        block: list[tuple[Any, ...]] = []
        for point in points:
            if block and (len(block) == BLOCK_POINTS or point[:2] in starts or _is_past(point, block)):
                found.append(_make_block(block, stored))
                block = []
            block.append(point)
        if block:
            found.append(_make_block(block, stored))

    ordered = sorted(starts)

    def _is_past(point: tuple[Any, ...], block: list[tuple[Any, ...]]) -> bool:
        """Whether a lost point began a block between these two."""
        return bisect_right(ordered, point[:2]) != bisect_right(ordered, block[0][:2])

    connection.fold(SELECT_POINTS, (row["id"],), divide)
    following = [block.start for block in found[1:]]
    return [
        block._replace(end=following[place] if place < len(following) else None)
        for place, block in enumerate(found)
    ]


def _make_block(points: list[tuple[Any, ...]], stored: dict[Key, int]) -> Block:
    steps, seqs, times_ms, values = map(list, zip(*points, strict=True))
    checksum = PointsChecksum()
    checksum.add(steps, seqs, times_ms, [nan_if_null(value) for value in values])
    start = points[0][:2]
    return Block((start[0], start[1]), None, len(points), checksum.blocks()[0].crc, stored.get(points[0][:2]))


def find_unproved(blocks: list[Block], checksum: int | None) -> list[Block]:
    """Return the blocks that no checksum proves; one without its own may be proved by that of the series."""
    crcs = [one.found if one.stored is None else one.stored for one in blocks]
    together = checksum is not None and zlib.crc32(struct.pack(f"<{len(crcs)}I", *crcs)) == checksum
    return [one for one in blocks if one.found != one.stored and not (together and one.stored is None)]


def join_blocks(blocks: list[Block]) -> Iterator[tuple[Key, Key | None, int]]:
    """Yield the ranges of adjacent blocks: first key, key of the block behind, and number of points."""
    waiting: tuple[Key, Key | None, int] | None = None
    for block in blocks:
        if waiting is not None and waiting[1] == block.start:
            waiting = (waiting[0], block.end, waiting[2] + block.points)
            continue
        if waiting is not None:
            yield waiting
        waiting = (block.start, block.end, block.points)
    if waiting is not None:
        yield waiting
