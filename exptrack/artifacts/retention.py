"""Remove artifacts: single versions, all but the best or the last, and bytes that no artifact names.

Invariants: a removed version keeps its row, so its number is never given again, and an event of the run records
the removal. A removal deletes a blob or a chunk only if nothing else names it. Row, event and bytes go in one
transaction that survives a power cut.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from exptrack.artifacts.aliases import Naming, drop_aliases
from exptrack.artifacts.blobs import collect_unused
from exptrack.artifacts.records import GcReport, RemovalReport, RunStorage
from exptrack.database.connection import Connection, Row, in_section
from exptrack.errors import ArtifactNotFoundError, InvalidValueError
from exptrack.metrics.writer import drain_all
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.row_sums import changing_artifact
from exptrack.validation import check_direction, check_name, check_step, check_whole

# The chunks that only these runs use: of no other artifact, folder or writer.
_GONE = "(SELECT value FROM json_each(:runs))"
BYTES_OF_RUNS_ALONE = f"""
WITH own(blob) AS MATERIALIZED (
    SELECT b.id FROM blob AS b
    WHERE b.id IN (
        SELECT a.blob FROM artifact AS a WHERE a.run IN {_GONE}
        UNION
        SELECT e.blob FROM artifact AS a CROSS JOIN artifact_entry AS e ON e.artifact = a.id
        WHERE a.run IN {_GONE}
    )
      AND NOT EXISTS (SELECT 1 FROM artifact AS a WHERE a.blob = b.id AND a.run NOT IN {_GONE})
      AND NOT EXISTS (
        SELECT 1 FROM artifact_entry AS e CROSS JOIN artifact AS a ON a.id = e.artifact
        WHERE e.blob = b.id AND a.run NOT IN {_GONE}
    )
      AND NOT EXISTS (SELECT 1 FROM blob_writer AS w WHERE w.blob = b.id)
)
SELECT coalesce(sum(c.stored_bytes), 0) FROM chunk AS c
WHERE c.id IN (SELECT bc.chunk FROM blob_chunk AS bc WHERE bc.blob IN own)
  AND NOT EXISTS (SELECT 1 FROM blob_chunk AS bc WHERE bc.chunk = c.id AND bc.blob NOT IN own)
"""
METRIC_OF_RUN = """
SELECT 1 FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? AND n.name = ?
"""
VALUE_AT = """
SELECT p.value
FROM metric_point AS p JOIN metric_series AS s ON s.id = p.series JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ? AND p.step <= ?
ORDER BY p.step DESC, p.seq DESC LIMIT 1
"""
BLOBS_OF_ARTIFACT = """
SELECT blob FROM artifact WHERE id = :id AND blob IS NOT NULL
UNION
SELECT blob FROM artifact_entry WHERE artifact = :id AND blob IS NOT NULL
"""
DELETE_ENTRIES = "DELETE FROM artifact_entry WHERE artifact = ?"
REMOVE_ARTIFACT = "UPDATE artifact SET blob = NULL, removed_at = ? WHERE id = ?"
STORAGE = """
SELECT s.run_id, r.name, s.stored_bytes, s.shared_bytes,
       (SELECT count(*) FROM artifact AS a WHERE a.run = r.id AND a.blob IS NOT NULL) AS artifacts,
       (SELECT coalesce(sum(b.size_bytes), 0) FROM artifact AS a JOIN blob AS b ON b.id = a.blob
        WHERE a.run = r.id)
       + (SELECT coalesce(sum(b.size_bytes), 0)
          FROM artifact AS a JOIN artifact_entry AS e ON e.artifact = a.id JOIN blob AS b ON b.id = e.blob
          WHERE a.run = r.id) AS size_bytes
FROM run_storage AS s JOIN run AS r ON r.run_id = s.run_id
ORDER BY s.stored_bytes DESC, s.run_id
"""


class Retention(Naming):
    """The part of :class:`ArtifactStore` that removes versions."""

    @in_section
    def remove(self, name: str, version: int | None = None) -> RemovalReport:
        """Remove one version, or all versions if `version` is None, and free their space. Commits, power-safe.

        Bytes that other artifacts share stay. A removed version loses its aliases. An event of the run records
        each removal.

        Raises:
            ArtifactNotFoundError: the run has no such artifact.
        """
        number = None if version is None else check_step(version)
        with self._connection.transaction(durable=True):
            self._require_run()
            rows = self._read_versions(name)
            chosen = [row for row in rows if number is None or row["version"] == number]
            if not chosen:
                raise ArtifactNotFoundError(check_name(name, "artifact name"), self.run_id, number)
            report = self._remove(name, chosen)
        return replace(report, file_bytes=self._connection.vacuum_free_pages())

    @in_section
    def keep(
        self,
        name: str,
        *,
        last: int | None = None,
        best: int | None = None,
        metric: str | None = None,
        direction: str | None = None,
    ) -> RemovalReport:
        """Keep the `last` N versions, the `best` N by a metric, or both; remove the rest. Commits, power-safe.

        `best` needs `metric` and `direction` (``"minimize"`` or ``"maximize"``). A version is judged by the
        metric's value at its step, or by the latest value before it. NaN is worse than every number; of equal
        values the newer version is kept. `best` alone never removes a version that has no step.

        Raises:
            InvalidValueError: neither `last` nor `best` is given, or `best` without metric and direction.
            ArtifactNotFoundError: the run has no such artifact.
        """
        last = None if last is None else check_whole(last, "last", 1)
        best = None if best is None else check_whole(best, "best", 1)
        if last is None and best is None:
            raise InvalidValueError(
                "keep() was not told how many versions; give last=3, or best=3 with metric and direction"
            )
        if (best is None) != (metric is None and direction is None) or (metric is None) != (direction is None):
            raise InvalidValueError(
                "best, metric and direction go together; give all three (direction: 'minimize' or 'maximize')"
            )
        if metric is not None:
            metric, direction = check_name(metric, "metric"), check_direction(direction)
        drain_all(self._connection.file)
        with self._connection.transaction(durable=True):
            rows = self._read_versions(name)
            if not rows:
                raise ArtifactNotFoundError(check_name(name, "artifact name"), self.run_id)
            kept = {row["id"] for row in rows[-last:]} if last is not None else set()
            if best is not None and metric is not None:
                kept |= self._choose_best(rows, best, metric, direction or "")
            report = self._remove(name, [row for row in rows if row["id"] not in kept])
        return replace(report, file_bytes=self._connection.vacuum_free_pages())

    def _choose_best(self, rows: list[Row], count: int, metric: str, direction: str) -> set[int]:
        """Return the row ids of the best versions, and of those without a step."""
        checked = check_name(metric, "metric name")
        if self._connection.value(METRIC_OF_RUN, (self._run, checked)) is None:
            raise InvalidValueError(
                f"run {self.run_id} has not logged {metric!r}, and nothing was removed; name a metric it logged"
            )
        sign = -1.0 if direction == "maximize" else 1.0

        def rank(row: Row) -> tuple[bool, float, int]:
            value = self._connection.value(VALUE_AT, (self._run, checked, row["step"]))
            return (value is None, 0.0 if value is None else sign * value, -row["version"])

        ranked = sorted((row for row in rows if row["step"] is not None), key=rank)
        return {row["id"] for row in ranked[:count]} | {row["id"] for row in rows if row["step"] is None}

    def _remove(self, name: str, rows: list[Row]) -> RemovalReport:
        """Remove these versions. Call inside a transaction."""
        connection, now = self._connection, time_of_event(self._connection, self._run)
        blobs = [blob[0] for row in rows for blob in connection.all(BLOBS_OF_ARTIFACT, {"id": row["id"]})]
        for row in rows:
            connection.execute(DELETE_ENTRIES, (row["id"],))
            with changing_artifact(connection, self._run, row["id"]):
                connection.execute(REMOVE_ARTIFACT, (now, row["id"]))
            facts = {"name": name, "version": row["version"]}
            record_event(connection, self._run, "artifact-removed", facts)
        removed = collect_unused(connection, blobs)
        versions = tuple(row["version"] for row in rows)
        drop_aliases(connection, self._run, name, versions, now)
        return RemovalReport(name, versions, removed.blobs, removed.stored_bytes, 0)


@in_section
def gc_artifacts(connection: Connection) -> GcReport:
    """Delete bytes that no artifact names and return their space to the file system. Commits, power-safe.

    Raises:
        ArchiveCorruptError: an artifact names bytes that are missing; nothing is deleted.
    """
    with connection.transaction(durable=True):
        removed = collect_unused(connection)
    return GcReport(*removed, connection.vacuum_free_pages())


def list_storage(connection: Connection) -> list[RunStorage]:
    """List the space that the artifacts of each run take; see :meth:`exptrack.Archive.storage`."""
    return [
        RunStorage(
            row["run_id"],
            row["name"],
            row["artifacts"],
            row["size_bytes"],
            row["stored_bytes"],
            row["shared_bytes"],
        )
        for row in connection.all(STORAGE)
    ]


def count_bytes_of_runs_alone(connection: Connection, runs: Sequence[int]) -> int:
    """Return the stored bytes of artifacts that deleting these runs together would give back."""
    found = connection.value(BYTES_OF_RUNS_ALONE, {"runs": json.dumps(list(runs))})
    assert isinstance(found, int)
    return found
