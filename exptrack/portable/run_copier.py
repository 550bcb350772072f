"""Copy runs whole from one archive to another: rows, points and the bytes of their artifacts.

Invariants: the runs of a batch come in one transaction, together with small contents; large contents are
stored before that, piece by piece. SQLite itself copies the points from the other file, attached as ``source``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from exptrack.artifacts.blobs import UNUSED_BLOBS_AMONG, Intake, collect_unused
from exptrack.artifacts.stored_blob import StoredBlob
from exptrack.database.connection import Connection, in_section
from exptrack.database.failures import DAMAGE
from exptrack.errors import ArchiveCorruptError, InvalidTypeError
from exptrack.metrics.levels import has_levels
from exptrack.portable.merge_groups import restore_groups
from exptrack.portable.run_rows import RUNS_AT_ONCE, RunRows, RunWriter
from exptrack.records import RunStatus
from exptrack.runs.seal import save_run_checksum

POINTS_AT_ONCE = 1_000_000  # copied in one transaction

POINTS_OF_RUNS = "SELECT run, sum(count) FROM metric_series GROUP BY run"
BLOB_IDS = "SELECT hash, id FROM blob WHERE hash IN (SELECT value FROM json_each(?))"
SIZE_OF_BLOBS = """
SELECT count(*), coalesce(sum(size_bytes), 0) FROM blob WHERE hash IN (SELECT value FROM json_each(?))
"""
BLOB_OF_HASH = "SELECT id FROM blob WHERE hash = ?"
_COPIED = """
WITH copied (old, new) AS MATERIALIZED (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
)
"""
# In the order of the keys of both files. Named columns, not all: SQLite then checks the types of values.
COPY_POINTS = f"""
INSERT INTO metric_point (series, step, seq, time_ms, value)
{_COPIED}
SELECT copied.new, p.step, p.seq, p.time_ms, p.value
FROM copied CROSS JOIN source.metric_point AS p ON p.series = copied.old
"""
COPY_CHECKS = f"""
INSERT INTO metric_check (series, step, seq, crc)
{_COPIED}
SELECT copied.new, p.step, p.seq, p.crc
FROM copied CROSS JOIN source.metric_check AS p ON p.series = copied.old
"""
COPY_LEVELS = f"""
INSERT INTO metric_level (series, axis, width, buckets, points, codec, data, checksum)
{_COPIED}
SELECT copied.new, p.axis, p.width, p.buckets, p.points, p.codec, p.data, p.checksum
FROM copied CROSS JOIN source.metric_level AS p ON p.series = copied.old
"""


class MiscountError(ArchiveCorruptError):
    """The points of a run are not as many as its rows say: they are damaged, or have changed since."""


class RunCopier:
    """Copies runs of the archive `source`, which errors call `place`, into another archive.

    `blobs` and `blob_bytes` count the contents that it stored, or would store. `meanwhile` is entered while
    SQLite alone works. The levels of the series in `doubtful_levels`, by row ids of the source, are not copied.
    """

    def __init__(self, connection: Connection, source: Connection, place: os.PathLike[str]) -> None:
        self._connection = connection
        self._source = source
        self._place = os.fspath(place)
        self.meanwhile: Callable[[], AbstractContextManager[object]] = nullcontext
        self.doubtful_levels: Container[int] = ()
        self._has_levels = has_levels(source)
        self.blobs = self.blob_bytes = 0
        self._counted: set[str] = set()

    def batches(self, row_ids: Iterable[int]) -> Iterator[list[int]]:
        """Divide runs into those that one transaction copies."""
        points: dict[int, int] = dict(self._source.fold(POINTS_OF_RUNS, (), list))
        batch: list[int] = []
        size = 0
        for row_id in row_ids:
            batch.append(row_id)
            size += points.get(row_id, 0)
            if len(batch) >= RUNS_AT_ONCE or size >= POINTS_AT_ONCE:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def put_blobs(self, intake: Intake, runs: Iterable[RunRows]) -> None:
        """Store the bytes that the archive does not have, proved by their hashes.

        Raises:
            ArchiveCorruptError: some are missing or damaged.
        """
        for blob_hash in sorted(self.find_missing(runs)):
            row = self._source.one(BLOB_OF_HASH, (blob_hash,))
            stored = None if row is None else StoredBlob(self._source, row["id"], blob_hash)
            put = None if stored is None else intake.put_packed(stored.iter_packed())
            if put is None or put.hash != blob_hash:
                raise ArchiveCorruptError(
                    f"the bytes of {blob_hash} in {self._place} are missing or damaged; run 'exptrack verify'"
                    " on it",
                    path=self._place,
                )
            self.blobs += 1
            self.blob_bytes += put.size_bytes

    def count_blobs(self, runs: Iterable[RunRows]) -> None:
        """Count the contents that the archive does not have, each once, and store nothing."""
        missing = self.find_missing(runs) - self._counted
        self._counted |= missing
        count, size = self._source.all(SIZE_OF_BLOBS, (json.dumps(sorted(missing)),))[0]
        self.blobs += count
        self.blob_bytes += size

    def find_missing(self, runs: Iterable[RunRows]) -> set[str]:
        """Return the hashes of the contents of runs that the archive does not have."""
        hashes = set[str]().union(*(one.blobs() for one in runs))
        return hashes - {row[0] for row in self._connection.all(BLOB_IDS, (json.dumps(sorted(hashes)),))}

    def _copy_points(self, series: list[tuple[int, int]], points: int) -> None:
        """Copy the points of series, given by their row ids in both files. Call inside a transaction.

        Raises:
            MiscountError: there are more or fewer.
            ArchiveCorruptError: a value of them has another type.
        """
        mapped = (json.dumps(series),)
        try:
            with self.meanwhile():
                copied = self._connection.execute(COPY_POINTS, mapped).rowcount if series else 0
            if series:
                self._connection.execute(COPY_CHECKS, mapped)
            if series and self._has_levels:
                sound = [pair for pair in series if pair[0] not in self.doubtful_levels]
                self._connection.execute(COPY_LEVELS, (json.dumps(sound),))
        except (InvalidTypeError, *DAMAGE) as error:
            raise ArchiveCorruptError(
                f"points in {self._place} are damaged ({error}); run 'exptrack verify' on it", path=self._place
            ) from error
        if copied != points:
            raise MiscountError(
                f"{self._place} has {copied:,} points of {points:,} that it should have; run 'exptrack verify'"
                " on it",
                path=self._place,
            )

    def write(self, runs: Sequence[tuple[RunRows, int | None, bool]]) -> None:
        """Write runs, each with its row id or None for a new one, and whether its series come from the source.

        Call inside a transaction, with the source attached.

        Raises:
            MiscountError: the source has more or fewer points than its rows say.
            ArchiveCorruptError: a value of a point has another type.
        """
        connection = self._connection
        hashes = json.dumps(sorted(set[str]().union(*(one.blobs() for one, _, _ in runs))))
        blobs: dict[str, int] = dict(connection.fold(BLOB_IDS, (hashes,), list))
        writer = RunWriter(connection)
        copied: list[tuple[int, int]] = []
        unsealed: list[int] = []
        for one, place, with_series in runs:
            row_id, series = writer.write(one, blobs, row_id=place, series=with_series)
            copied += series
            if one.facts.checksum is None and one.facts.status != RunStatus.RUNNING:
                unsealed.append(row_id)
        writer.flush()
        points = sum(one.points for one, _, with_series in runs if with_series)
        self._copy_points(sorted(copied), points)
        for row_id in unsealed:
            save_run_checksum(connection, row_id)
        groups = {one.facts.group_name for one, _, _ in runs if one.facts.deleted_at is None}
        restore_groups(connection, self._source, groups)


@in_section
def collect_blobs(connection: Connection, hashes: Iterable[str]) -> None:
    """Delete those of these blobs that no artifact names any more. Commits if there is one."""
    ids = dict(connection.fold(BLOB_IDS, (json.dumps(sorted(hashes)),), list))
    unused = json.dumps(sorted(ids.values()))
    if ids and connection.all(UNUSED_BLOBS_AMONG, {"among": unused}):
        with connection.transaction(durable=True):
            collect_unused(connection, list(ids.values()))
