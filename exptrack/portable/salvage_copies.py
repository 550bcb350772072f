"""Fill what is missing in a draft from the drafts of other copies of the archive.

A run that is whole in another copy takes the place of one that is not. Chunks, configs and blocks of points
come from another copy if the checksums that the first copy has of them prove them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from exptrack.artifacts.blobs import Intake
from exptrack.config.exp_config import ExpConfig
from exptrack.database.connection import Row
from exptrack.metrics.store import BLOCK_POINTS, PointsChecksum, nan_if_null
from exptrack.portable.merge_page_views import merge_page_views
from exptrack.portable.merge_studies import merge_studies
from exptrack.portable.run_copier import RunCopier
from exptrack.portable.run_rows import read_runs
from exptrack.portable.salvage_config import parse_config
from exptrack.portable.salvage_intake import Draft
from exptrack.portable.salvage_report import SalvagedRun

PACKED_CHUNK = """
SELECT c.sha256, c.raw_bytes, c.codec, d.data FROM chunk AS c JOIN chunk_data AS d ON d.chunk = c.id
WHERE c.sha256 = ?
"""
CONFIG_OF_HASH = """
SELECT c.snapshot FROM run AS r JOIN run_config AS c ON c.run = r.id WHERE r.config_hash = ? LIMIT 1
"""
SERIES_NAMED = """
SELECT s.id FROM run AS r JOIN metric_series AS s ON s.run = r.id JOIN metric_name AS n ON n.id = s.metric
WHERE r.run_id = ? AND n.name = ?
"""
RUN_ID_OF = "SELECT run_id FROM run WHERE id = ?"
BLOCKS_OF = "SELECT step, seq, crc FROM metric_check WHERE series = ? ORDER BY step, seq"
POINTS_FROM = """
SELECT step, seq, time_ms, value FROM metric_point
WHERE series = ? AND (step, seq) >= (?, ?) ORDER BY step, seq LIMIT ?
"""
DELETE_RANGE = """
DELETE FROM metric_point WHERE series = ? AND (step, seq) >= (?, ?) AND (step, seq) < (?, ?)
"""
INSERT_POINT = "INSERT OR IGNORE INTO metric_point (series, step, seq, time_ms, value) VALUES (?, ?, ?, ?, ?)"
RUN_NAMED = "SELECT id, checksum FROM run WHERE run_id = ?"
DELETE_RUN = "DELETE FROM run WHERE id = ?"
COUNT_TRIALS = """
SELECT (SELECT count(*) FROM trial AS t WHERE t.study = s.id) FROM study AS s WHERE s.uid = ?
"""
DELETE_STUDY = "DELETE FROM study WHERE uid = ?"
PAGE_VIEW_NAMES = "SELECT name FROM page_view ORDER BY name"
STUDY_UIDS = "SELECT uid FROM study ORDER BY id"
Key = tuple[int, int]  # of a point: its step and seq
FIRST_KEY, LAST_KEY = (-(1 << 63), 0), ((1 << 63) - 1, (1 << 63) - 1)


class PackedChunk(NamedTuple):
    """A chunk as it is stored."""

    sha256: bytes
    raw_bytes: int
    codec: str
    data: bytes


class OtherCopies:
    """The drafts of the other copies, in which everything is proved."""

    def __init__(self, drafts: Sequence[Draft] = ()) -> None:
        self._drafts = drafts

    def find_chunk(self, sha256: bytes) -> PackedChunk | None:
        """Return a chunk by its hash."""
        for draft in self._drafts:
            row = draft.connection.one(PACKED_CHUNK, (sha256,))
            if row is not None:
                return PackedChunk(*row)
        return None

    def find_config(self, config_hash: str) -> ExpConfig | None:
        """Return a config by its hash."""
        for draft in self._drafts:
            config = parse_config(draft.connection.value(CONFIG_OF_HASH, (config_hash,)))
            if config is not None and config.hash() == config_hash:
                return config
        return None

    def fill_series(self, first: Draft, row: Row) -> bool:
        """Replace the blocks of a series by those of another copy that match its checksums.

        Returns whether any was replaced. Call inside a transaction of `first`.
        """
        run_id = first.connection.value(RUN_ID_OF, (row["run"],))
        blocks = [((step, seq), crc) for step, seq, crc in first.connection.all(BLOCKS_OF, (row["id"],))]
        if row["count"] <= BLOCK_POINTS:
            blocks = [(FIRST_KEY, row["checksum"])]
        ends = [*(key for key, _crc in blocks[1:]), LAST_KEY]
        filled = False
        for draft in self._drafts:
            other = draft.connection.value(SERIES_NAMED, (run_id, row["name"]))
            for (begin, crc), end in zip(blocks, ends, strict=True) if other is not None else ():
                if crc in _checksums(_read_block(first, row["id"], begin, end)):
                    continue
                points = _read_block(draft, other, begin, end)
                if crc in _checksums(points):
                    first.connection.execute(DELETE_RANGE, (row["id"], *begin, *end))
                    first.connection.execute_many(INSERT_POINT, [(row["id"], *point) for point in points])
                    filled = True
        return filled

    def take_runs(self, first: Draft, runs: dict[str, SalvagedRun], wholes: Sequence[dict[str, int]]) -> None:
        """Copy the runs that are whole in another copy only. `wholes` has their row ids in each other copy."""
        for draft, whole in zip(self._drafts, wholes, strict=True):
            chosen = []
            for run_id, row_id in whole.items():
                known = runs.get(run_id)
                if known is None or not known.whole:
                    chosen.append((run_id, row_id))
            copier = RunCopier(first.connection, draft.connection, draft.connection.place)
            for run_id, row_id in chosen:
                _copy_run(first, draft, copier, run_id, row_id)
                runs.pop(run_id, None)

    def take_studies(self, first: Draft, clean: Callable[[], None]) -> None:
        """Take the studies that are whole in another copy only; `clean` deletes rows without an owner."""
        for draft in self._drafts:
            wanted = []
            for (uid,) in draft.connection.all(STUDY_UIDS):
                known = first.connection.value(COUNT_TRIALS, (uid,))
                if uid in draft.findings.of_study or (known is not None and uid not in first.findings.of_study):
                    continue
                if known is None or known <= draft.connection.value(COUNT_TRIALS, (uid,)):
                    first.change(first.connection.execute, DELETE_STUDY, (uid,))
                    first.findings.of_study.pop(uid, None)
                    wanted.append(uid)
            clean()
            merge_studies(first.connection, draft.connection, wanted, dry_run=False)

    def take_page_views(self, first: Draft) -> None:
        """Take the newest row of each named view of the page."""
        for draft in self._drafts:
            names = [row[0] for row in draft.connection.all(PAGE_VIEW_NAMES)]
            merge_page_views(first.connection, draft.connection, names, dry_run=False)


def _copy_run(first: Draft, draft: Draft, copier: RunCopier, run_id: str, row_id: int) -> None:
    rows = draft.connection.reading(lambda: read_runs(draft.connection, [row_id]))
    with Intake(first.connection) as intake:
        copier.put_blobs(intake, rows)

        def write() -> None:
            known = first.connection.one(RUN_NAMED, (run_id,))
            if known is not None:
                first.connection.execute(DELETE_RUN, (known["id"],))
                first.findings.forget_run(known["id"])
                first.forget_run(known["id"])
            copier.write([(rows[0], None, True)])

        def work() -> None:
            with first.connection.attached(draft.connection.path, alive=True):
                intake.attach(write)

        first.connection.section(work)


def _read_block(draft: Draft, series: int, begin: Key, end: Key) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = draft.connection.fold(POINTS_FROM, (series, *begin, BLOCK_POINTS + 1), list)
    return [row for row in rows if row[:2] < end]


def _checksums(points: list[tuple[Any, ...]]) -> tuple[int, ...]:
    """Return the checksum of a block, and that of a series of this block alone."""
    if not 0 < len(points) <= BLOCK_POINTS:
        return ()
    steps, seqs, times_ms, values = map(list, zip(*points, strict=True))
    checksum = PointsChecksum()
    checksum.add(steps, seqs, times_ms, [nan_if_null(value) for value in values])
    return checksum.blocks()[0].crc, checksum.value()
