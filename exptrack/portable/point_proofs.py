"""Prove the points of a stranger's file: all that `verify` proves of them, before any is stored.

The pages of the points are walked once, in the order of their keys. A thread goes on with that while SQLite copies
points, which it does without Python. Only then, as a thread that computes keeps others from Python for 5 ms at a
time. Whoever needs a result that is not there yet walks on in the own thread.

Invariants:

- The walk and the other thread read one private copy, which does not change.
- What is remembered of a series is what is wrong with it; of a sound one, nothing.
- Whatever ends the walk early is an error for each caller. No series counts as proved after that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from exptrack.database.connection import Row
from exptrack.database.failures import DAMAGE
from exptrack.database.point_pages import Block, PageError, PointPages, to_floats, to_integers
from exptrack.database.row_sums import sum_columns
from exptrack.database.stranger import ROOT_PAGE, StrangerConnection, damaged_table
from exptrack.portable.series_checks import CHANGED, SeriesProof
from exptrack.threads import Signal, Worker

POINTS = "metric_point"
NAN = b"\0\0\0\0\0\0\xf8\x7f"
SERIES_AT_ONCE = 200
ROWS_AFTER = f"""
SELECT s.*, n.name, r.status, r.run_id,
       EXISTS (SELECT 1 FROM metric_check AS c WHERE c.series = s.id) AS has_blocks
FROM metric_series AS s JOIN run AS r ON r.id = s.run JOIN metric_name AS n ON n.id = s.metric
WHERE s.id > ? ORDER BY s.id LIMIT {SERIES_AT_ONCE}
"""
BLOCKS_OF = "SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY step, seq LIMIT ?"
END_WAIT_S = 5.0  # for a step of the walk, which takes milliseconds


class PointProofs:
    """The proofs of all series of a private copy. Use it in a ``with`` block."""

    def __init__(self, connection: StrangerConnection) -> None:
        self._connection = connection
        self._pages = PointPages(connection.path, connection.value(ROOT_PAGE, (POINTS,)))
        self._steps = self._prove()
        self._lock = threading.Lock()  # of the walk
        self._upto = -(2**63)  # every series with a lower row id is proved
        self._is_over = False
        self._error: Exception | None = None
        self._problems: dict[int, str] = {}
        self._is_open = False
        self._go = Signal()
        self._worker = Worker(self._work, "exptrack-points", self._go.set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        self._worker.stop(END_WAIT_S)
        with self._lock:
            self._is_over = True
            self._pages.close()

    def find_problems(self, series: Iterable[int]) -> dict[int, str]:
        """Return what is wrong with these series, by row id; sound ones are left out.

        Raises:
            ArchiveCorruptError: the table of the points is damaged as a whole.
        """
        wanted = list(series)
        last = max(wanted, default=self._upto - 1)
        while not self._is_over and last >= self._upto:
            self._advance()
        if self._error is not None and last >= self._upto:
            raise self._error
        return {one: self._problems[one] for one in wanted if one in self._problems}

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Prove on in a thread while the block runs. It should be one long call without Python."""
        self._is_open = not self._is_over and self._worker.begin()
        self._go.set()
        try:
            yield
        finally:
            self._is_open = False

    def _work(self) -> None:
        while not self._worker.has_to_end:
            if self._is_open and not self._is_over:
                self._advance()
            else:
                self._go.wait()

    def _advance(self) -> None:
        """Walk on for a block of points."""
        with self._lock:
            if self._is_over:
                return
            try:
                next(self._steps)
            except StopIteration:
                # An exception that was thrown at a thread amid a step ends the walk too.
                if not self._is_over:
                    self._fail(RuntimeError("the proof of the points was interrupted; merge again"))
            except PageError as error:
                self._fail(damaged_table(self._connection.place, POINTS, str(error)))
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error, self._is_over = error, True

    # The walk

    def _prove(self) -> Iterator[None]:
        """Prove series by series; pause after each block of points."""
        rows = self._read_rows()
        row = next(rows, None)
        proof: SeriesProof | None = None
        for block in self._pages.read():
            if proof is not None and proof.row["id"] != block.series:
                self._end(proof)
                proof = None
            if proof is None:
                while row is not None and row["id"] < block.series:
                    self._end(SeriesProof(row))
                    row = next(rows, None)
                self._upto = block.series
                if row is None or row["id"] > block.series:
                    yield  # points of no series are not copied
                    continue
                proof, row = SeriesProof(row), next(rows, None)
            add_block(proof, block)
            yield
        if proof is not None:
            self._end(proof)
        while row is not None:
            self._end(SeriesProof(row))
            row = next(rows, None)
        self._upto, self._is_over = 2**63, True

    def _read_rows(self) -> Iterator[Row]:
        last = -(2**63)
        while rows := self._connection.all(ROWS_AFTER, (last,)):
            yield from rows
            last = rows[-1]["id"]

    def _end(self, proof: SeriesProof) -> None:
        row_id, name = proof.row["id"], proof.row["name"]
        odd = self._pages.problems.pop(row_id, None)
        try:
            problems = [odd] if odd is not None else list(self._find_problems(proof))
        except DAMAGE as error:
            problems = [f"it cannot be read: {error or type(error).__name__}"]
        if CHANGED in problems:
            self._problems[row_id] = f"the points of the metric {name!r} do not match their checksum"
        elif problems:
            self._problems[row_id] = f"the metric {name!r} is damaged: {problems[0]}"

    def _find_problems(self, proof: SeriesProof) -> Iterator[str]:
        yield from proof.problems(self._connection)
        expected = proof.stored_blocks()
        if expected or proof.row["has_blocks"]:
            parameters = (proof.row["id"], len(expected) + 1)
            stored: list[Any] = self._connection.fold(BLOCKS_OF, parameters, list)
            if stored != expected:
                yield "its points do not match the checksums of their blocks"


def add_block(proof: SeriesProof, block: Block) -> None:
    """Add a block that was read from pages."""
    steps, times_ms = to_integers(block.steps), to_integers(block.times_ms)
    values = to_floats(block.values).tolist()
    numbers = values if NAN not in block.values else [one for one in values if one == one]
    has_seqs = block.seqs != bytes(len(block.seqs))
    seqs = to_integers(block.seqs) if has_seqs else None
    bits = to_integers(block.values)
    total = sum_columns((_sum(block.steps),), seqs, (_sum(block.times_ms),), bits)
    first = (steps[0], seqs[0] if seqs else 0)
    columns = (block.steps, block.seqs, block.times_ms, block.values)
    proof.add(columns, first, steps, times_ms, values, numbers, total)


@lru_cache(maxsize=512)
def _sum(column: bytes) -> int:
    """Return the sum of a column. The series of a run have mostly the same steps and times."""
    return sum(to_integers(column))
