"""Prove the points of a stranger's file: all that `verify` proves of them, before any is stored.

Invariants:

- The pages of the points are walked once, in the order of their keys, as far as the callers ask. So SQLite
  finds exactly the points of a proved series, and reads each page once, whatever the pages behind them say.
- The private copy does not change.
- What is remembered of a series is what is wrong with it; of a sound one, nothing.
- No series counts as proved once the walk has met an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from exptrack.database.connection import Connection, Row
from exptrack.database.disk import reading_file
from exptrack.database.failures import DAMAGE
from exptrack.database.point_pages import Block, PageError, PointPages, to_floats, to_integers
from exptrack.database.row_sums import sum_columns, sum_words
from exptrack.database.stranger import POINTS, ROOT_PAGE, StrangerConnection, damaged_table
from exptrack.metrics.levels import has_levels
from exptrack.portable.level_checks import LevelProof, read_levels
from exptrack.portable.series_checks import CHANGED, SeriesProof

NAN = b"\0\0\0\0\0\0\xf8\x7f"
SERIES_AT_ONCE = 200
ROWS_AFTER = f"""
SELECT s.*, n.name, r.status, r.run_id,
       EXISTS (SELECT 1 FROM metric_check AS c WHERE c.series = s.id) AS has_blocks, {{levels}} AS has_levels
FROM metric_series AS s JOIN run AS r ON r.id = s.run JOIN metric_name AS n ON n.id = s.metric
WHERE s.id > ? ORDER BY s.id LIMIT {SERIES_AT_ONCE}
"""
WITH_LEVELS = "EXISTS (SELECT 1 FROM metric_level AS l WHERE l.series = s.id)"
BLOCKS_OF = "SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY step, seq LIMIT ?"


class PointProofs:
    """The proofs of all series of a private copy. Use it in a ``with`` block."""

    def __init__(self, connection: StrangerConnection) -> None:
        self._connection = connection
        root = connection.value(ROOT_PAGE, (POINTS,))
        with reading_file(connection.place):
            self._pages = PointPages(connection.path, root)
        self._steps = self._walk()
        self._upto = -(2**63)  # every series with a lower row id is proved
        #: What is wrong with the series that were proved, by row id. Sound ones are left out.
        self.problems: dict[int, str] = {}
        #: The row ids of series whose levels do not say what the points say. The points alone are true.
        self.doubtful_levels: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._pages.close()

    def prove(self, series: Iterable[int]) -> Iterator[None]:
        """Prove these series; pause after each step, which takes a millisecond.

        Raises:
            ArchiveCorruptError: the table of the points is damaged as a whole.
            ArchiveIOError: the system failed to read it.
        """
        last = max(series, default=self._upto - 1)
        while last >= self._upto:
            try:
                with reading_file(self._connection.place):
                    next(self._steps)
            except PageError as error:
                raise damaged_table(self._connection.place, POINTS, str(error)) from error
            except StopIteration:
                if last >= self._upto:
                    raise RuntimeError("the proof of the points had an error before") from None
            yield

    def _walk(self) -> Iterator[None]:
        """Prove series by series; pause after each block of points."""
        rows = read_series_rows(self._connection)
        row = next(rows, None)
        proof: SeriesProof | None = None
        for block in self._pages.read():
            if proof is not None and proof.row["id"] != block.series:
                self._end(proof)
                proof = None
            if proof is None:
                while row is not None and row["id"] < block.series:
                    self._end(begin_proof(self._connection, row))
                    row = next(rows, None)
                self._upto = block.series
                if row is None or row["id"] > block.series:
                    yield  # points of no series are not copied
                    continue
                proof, row = begin_proof(self._connection, row), next(rows, None)
            add_block(proof, block)
            yield
        if proof is not None:
            self._end(proof)
        while row is not None:
            self._end(begin_proof(self._connection, row))
            row = next(rows, None)
        self._upto = 2**63

    def _end(self, proof: SeriesProof) -> None:
        row_id, name = proof.row["id"], proof.row["name"]
        if proof.levels is not None and any(proof.levels.problems(proof.row)):
            self.doubtful_levels.add(row_id)
        odd = self._pages.problems.pop(row_id, None)
        try:
            problems = [odd] if odd is not None else list(self._find_problems(proof))
        except DAMAGE as error:
            problems = [f"it cannot be read: {error or type(error).__name__}"]
        if CHANGED in problems:
            self.problems[row_id] = f"the points of the metric {name!r} do not match their checksum"
        elif problems:
            self.problems[row_id] = f"the metric {name!r} is damaged: {problems[0]}"

    def _find_problems(self, proof: SeriesProof) -> Iterator[str]:
        yield from proof.problems(self._connection)
        expected = proof.stored_blocks()
        if expected or proof.row["has_blocks"]:
            parameters = (proof.row["id"], len(expected) + 1)
            stored: list[Any] = self._connection.fold(BLOCKS_OF, parameters, list)
            if stored != expected:
                yield "its points do not match the checksums of their blocks"


def read_series_rows(connection: Connection) -> Iterator[Row]:
    """Yield the rows of all series by row id, with what else is needed to prove them."""
    sql = ROWS_AFTER.format(levels=WITH_LEVELS if has_levels(connection) else "0")
    last = -(2**63)
    while rows := connection.all(sql, (last,)):
        yield from rows
        last = rows[-1]["id"]


def begin_proof(connection: Connection, row: Row, *, hashing: bool = False) -> SeriesProof:
    """Return a proof of the series of such a row, without its points yet."""
    levels = LevelProof(read_levels(connection, row["id"])) if row["has_levels"] else None
    return SeriesProof(row, hashing=hashing, levels=levels)


def add_block(proof: SeriesProof, block: Block) -> None:
    """Add a block that was read from pages."""
    steps, times_ms = to_integers(block.steps), to_integers(block.times_ms)
    values = to_floats(block.values).tolist()
    numbers = values if NAN not in block.values else [one for one in values if one == one]
    seqs = None if block.has_no_repetition() else to_integers(block.seqs)
    bits = sum_words(block.values, "little")
    total = sum_columns((_sum(block.steps),), seqs, (_sum(block.times_ms),), bits)
    first = (steps[0], seqs[0] if seqs else 0)
    columns = (block.steps, block.seqs, block.times_ms, block.values)
    proof.add(columns, first, steps, times_ms, values, numbers, total)


@lru_cache(maxsize=512)
def _sum(column: bytes) -> int:
    """Return the sum of a column. The series of a run have mostly the same steps and times."""
    return sum(to_integers(column))
