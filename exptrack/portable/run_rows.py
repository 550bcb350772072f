"""Everything that a file holds of a run but its points and the bytes of its artifacts, for other files to take.

`read_runs` returns runs in a form that means the same in every file: names instead of row ids. `RunWriter`
writes such runs to a file.

Invariants:

- The sums of a run and its series are computed from what is written, as every writer of exptrack does it. The
  points are not read for that: their part of a sum is carried over, so damage to them stays visible.
- Rows are written by named columns, so SQLite checks their types and limits.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exptrack.artifacts.registration import artifact_checksum
from exptrack.config.store import INSERT_CONFIG, INSERT_VALUE, RowIds
from exptrack.database.connection import Connection
from exptrack.database.row_sums import METRIC_KIND, SEAL_KIND, hash_row, wrap_sum
from exptrack.metrics.store import hash_summary, metric_row_id
from exptrack.records import ConfigSource
from exptrack.runs.events import checksum_event
from exptrack.runs.ownership import INSERT_OWNER
from exptrack.runs.store import INSERT_ENVIRONMENT

RUNS_AT_ONCE = 100  # read and written together

_OF_RUNS = "IN (SELECT value FROM json_each(?))"
FACTS_OF_RUNS = f"""
SELECT id, run_id, status, reason, traceback, name, group_name, parent_run_id, external_id, started_at,
       ended_at, heartbeat_at, duration_ms, config_hash, family, fingerprint, host, vcs_commit, vcs_dirty,
       deleted_at, checksum
FROM run WHERE id {_OF_RUNS}
"""
OWNERS_OF_RUNS = f"""
SELECT run, host_id, boot_id, pid, pid_started, lease_s FROM run_owner WHERE run {_OF_RUNS}
"""
ENVIRONMENTS_OF_RUNS = f"""
SELECT run, python, platform, command, script, vcs_branch, vcs_remote, code_digest, system, variables,
       data_references
FROM run_environment WHERE run {_OF_RUNS}
"""
CONFIGS_OF_RUNS = f"SELECT run, format, snapshot, source_files, overrides FROM run_config WHERE run {_OF_RUNS}"
LEAVES_OF_RUNS = f"""
SELECT v.run, k.key, v.type, v.num, v.text, s.kind, s.name, s.line
FROM config_value AS v
JOIN config_key AS k ON k.id = v.key
LEFT JOIN config_source AS s ON s.id = v.source
WHERE v.run {_OF_RUNS} ORDER BY v.run, k.key
"""
TAGS_OF_RUNS = f"SELECT run, tag, added_at FROM run_tag WHERE run {_OF_RUNS} ORDER BY run, tag"
NOTES_OF_RUNS = f"SELECT run, written_at, text FROM note WHERE run {_OF_RUNS} ORDER BY run, seq"
EVENTS_OF_RUNS = f"SELECT run, happened_at, kind, data, late FROM event WHERE run {_OF_RUNS} ORDER BY run, seq"
INPUTS_OF_RUNS = f"""
SELECT run, hash, from_run_id, name, version, used_at FROM run_input WHERE run {_OF_RUNS} ORDER BY run, seq
"""
ARTIFACTS_OF_RUNS = f"""
SELECT id, run, name, version, kind, hash, is_text, media_type, step, metadata, description, created_at,
       removed_at
FROM artifact WHERE run {_OF_RUNS} ORDER BY run, name, version
"""
ENTRIES_OF_RUNS = f"""
SELECT e.artifact, e.path, e.mode, b.hash
FROM artifact AS a JOIN artifact_entry AS e ON e.artifact = a.id LEFT JOIN blob AS b ON b.id = e.blob
WHERE a.run {_OF_RUNS} ORDER BY e.artifact, e.path
"""
ATTRIBUTES_OF_RUNS = f"""
SELECT run, key, type, num, text, set_at FROM run_attribute WHERE run {_OF_RUNS} ORDER BY run, key
"""
ALIASES_OF_RUNS = f"""
SELECT run, name, alias, version, set_at FROM artifact_alias WHERE run {_OF_RUNS} ORDER BY run, name, alias
"""
INGESTS_OF_RUNS = f"""
SELECT run, source, sequence, stored_at FROM run_ingest WHERE run {_OF_RUNS} ORDER BY run, source
"""
SERIES_OF_RUNS = f"""
SELECT s.run, s.id, n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value,
       s.last_time_ms, s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed,
       s.checksum, s.rows_sum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run {_OF_RUNS} ORDER BY s.id
"""

LAST_ROW_IDS = """
SELECT (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'run') AS run,
       (SELECT coalesce(max(id), 0) FROM metric_series) AS series,
       (SELECT coalesce(max(id), 0) FROM artifact) AS artifact
"""
INSERT_FACTS = """
INSERT INTO run
    (id, run_id, status, reason, traceback, name, group_name, parent_run_id, external_id, started_at, ended_at,
     heartbeat_at, duration_ms, config_hash, family, fingerprint, host, vcs_commit, vcs_dirty, deleted_at,
     checksum, rows_sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_TAG = "INSERT INTO run_tag (run, tag, added_at) VALUES (?, ?, ?)"
INSERT_NOTE = "INSERT INTO note (run, seq, written_at, text) VALUES (?, ?, ?, ?)"
INSERT_EVENT = """
INSERT INTO event (run, seq, happened_at, kind, data, late, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
INSERT_INPUT = """
INSERT INTO run_input (run, seq, hash, from_run_id, name, version, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
INSERT_ARTIFACT = """
INSERT INTO artifact
    (id, run, name, version, kind, blob, hash, is_text, media_type, step, metadata, description, created_at,
     removed_at, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_ENTRY = "INSERT INTO artifact_entry (artifact, path, mode, blob) VALUES (?, ?, ?, ?)"
INSERT_ATTRIBUTE = "INSERT INTO run_attribute (run, key, type, num, text, set_at) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_ALIAS = "INSERT INTO artifact_alias (run, name, alias, version, set_at) VALUES (?, ?, ?, ?, ?)"
INSERT_INGEST = "INSERT INTO run_ingest (run, source, sequence, stored_at) VALUES (?, ?, ?, ?)"
INSERT_SERIES = """
INSERT INTO metric_series
    (id, run, metric, count, nan_count, first_step, first_value, last_step, last_value, last_time_ms, top_step,
     min_step, min_value, max_step, max_value, value_sum, completed, checksum, rows_sum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The rows that hang from a run by its row id, but for its series.
DELETE_DETAILS = tuple(
    f"DELETE FROM {table} WHERE run = ?"
    for table in (
        "run_owner", "run_environment", "run_config", "config_value", "run_tag", "note", "event", "run_input",
        "run_attribute", "artifact_alias", "run_ingest",
    )
)  # fmt: skip
DELETE_ENTRIES = "DELETE FROM artifact_entry WHERE artifact IN (SELECT id FROM artifact WHERE run = ?)"
DELETE_ARTIFACTS = "DELETE FROM artifact WHERE run = ?"
_SERIES_OF_RUN = "(SELECT id FROM metric_series WHERE run = ?)"
DELETE_POINTS = f"DELETE FROM metric_point WHERE series IN {_SERIES_OF_RUN}"
DELETE_CHECKS = f"DELETE FROM metric_check WHERE series IN {_SERIES_OF_RUN}"
DELETE_LEVELS = f"DELETE FROM metric_level WHERE series IN {_SERIES_OF_RUN}"
DELETE_SERIES = "DELETE FROM metric_series WHERE run = ?"
DELETE_RUN = "DELETE FROM run WHERE id = ?"


class Facts(NamedTuple):
    """The columns of a run's row."""

    run_id: str
    status: str
    reason: str | None
    traceback: str | None
    name: str | None
    group_name: str | None
    parent_run_id: str | None
    external_id: str | None
    started_at: str
    ended_at: str | None
    heartbeat_at: str
    duration_ms: int
    config_hash: str
    family: str
    fingerprint: str
    host: str
    vcs_commit: str | None
    vcs_dirty: int | None
    deleted_at: str | None
    checksum: str | None


class EventRow(NamedTuple):
    """An event without its number, which is local to a file."""

    happened_at: str
    kind: str
    data: str
    late: int


class ArtifactRow(NamedTuple):
    """A version of an artifact; `entries` are the path, mode and hash of what a folder holds."""

    name: str
    version: int
    kind: str
    hash: str
    is_text: int
    media_type: str | None
    step: int | None
    metadata: str
    description: str | None
    created_at: str
    removed_at: str | None
    entries: tuple[tuple[str, int, str | None], ...] = ()


class SeriesRows(NamedTuple):
    """The summary of a series, and its row id in the file that it was read from."""

    row_id: int
    name: str
    numbers: tuple[Any, ...]  # the columns from count to value_sum
    completed: int
    checksum: int | None
    points_sum: int  # what the points add to the sum of the row


class RunRows(NamedTuple):
    """What a file holds of a run. `row_id` and those of the series belong to the file it was read from."""

    row_id: int
    facts: Facts
    owner: tuple[Any, ...] | None
    environment: tuple[Any, ...] | None
    config: tuple[Any, ...] | None
    leaves: tuple[tuple[Any, ...], ...]  # key, type, num, text, and kind, name, line of the source
    tags: tuple[tuple[str, str], ...]  # tag, added_at
    notes: tuple[tuple[str, str], ...]  # written_at, text
    events: tuple[EventRow, ...]
    inputs: tuple[tuple[Any, ...], ...]  # hash, from_run_id, name, version, used_at
    artifacts: tuple[ArtifactRow, ...]
    attributes: tuple[tuple[Any, ...], ...]  # key, type, num, text, set_at
    aliases: tuple[tuple[Any, ...], ...]  # name, alias, version, set_at
    ingests: tuple[tuple[Any, ...], ...]  # source, sequence, stored_at
    series: tuple[SeriesRows, ...]

    @property
    def points(self) -> int:
        """The number of points of all series."""
        return sum(one.numbers[0] for one in self.series)

    def blobs(self) -> set[str]:
        """Return the hashes of the bytes that the run's artifacts name."""
        found = {one.hash for one in self.artifacts if one.removed_at is None}
        return found | {entry[2] for one in self.artifacts for entry in one.entries if entry[2] is not None}


def read_runs(connection: Connection, row_ids: Sequence[int]) -> list[RunRows]:
    """Read runs, in the order of their row ids. Call inside a reading or a section."""
    wanted = (json.dumps(list(row_ids)),)

    def read(sql: str) -> dict[int, list[tuple[Any, ...]]]:
        found: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for run, *row in connection.fold(sql, wanted, list):
            found[run].append(tuple(row))
        return found

    facts = {row[0]: Facts(*row[1:]) for row in connection.fold(FACTS_OF_RUNS, wanted, list)}
    owners, environments, configs = map(read, (OWNERS_OF_RUNS, ENVIRONMENTS_OF_RUNS, CONFIGS_OF_RUNS))
    leaves, tags, notes, events = map(read, (LEAVES_OF_RUNS, TAGS_OF_RUNS, NOTES_OF_RUNS, EVENTS_OF_RUNS))
    inputs, attributes, aliases, ingests = map(
        read, (INPUTS_OF_RUNS, ATTRIBUTES_OF_RUNS, ALIASES_OF_RUNS, INGESTS_OF_RUNS)
    )
    artifacts, series = _read_artifacts(connection, wanted), read(SERIES_OF_RUNS)
    return [
        RunRows(
            row_id=run,
            facts=facts[run],
            owner=_only(owners.get(run)),
            environment=_only(environments.get(run)),
            config=_only(configs.get(run)),
            leaves=tuple(leaves.get(run, ())),
            tags=tuple((tag, at) for tag, at in tags.get(run, ())),
            notes=tuple((at, text) for at, text in notes.get(run, ())),
            events=tuple(EventRow(*row) for row in events.get(run, ())),
            inputs=tuple(inputs.get(run, ())),
            artifacts=tuple(artifacts.get(run, ())),
            attributes=tuple(attributes.get(run, ())),
            aliases=tuple(aliases.get(run, ())),
            ingests=tuple(ingests.get(run, ())),
            series=tuple(_make_series(run, row) for row in series.get(run, ())),
        )
        for run in sorted(facts)
    ]


def _only(rows: list[tuple[Any, ...]] | None) -> tuple[Any, ...] | None:
    return rows[0] if rows else None


def _read_artifacts(connection: Connection, wanted: tuple[str]) -> dict[int, list[ArtifactRow]]:
    entries: defaultdict[int, list[tuple[str, int, str | None]]] = defaultdict(list)
    for artifact, path, mode, blob_hash in connection.fold(ENTRIES_OF_RUNS, wanted, list):
        entries[artifact].append((path, mode, blob_hash))
    found: defaultdict[int, list[ArtifactRow]] = defaultdict(list)
    for artifact, run, *row in connection.fold(ARTIFACTS_OF_RUNS, wanted, list):
        found[run].append(ArtifactRow(*row)._replace(entries=tuple(entries.get(artifact, ()))))
    return found


def _make_series(run: int, row: tuple[Any, ...]) -> SeriesRows:
    row_id, name, *numbers, completed, checksum, rows_sum = row
    points_sum = wrap_sum(rows_sum - hash_summary(row_id, run, name, numbers))
    return SeriesRows(row_id, name, tuple(numbers), completed, checksum, points_sum)


class RunWriter:
    """Writes runs that were read from another file. Use it inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._row_ids = RowIds(connection)
        self._metrics: dict[str, int] = {}
        last = connection.one(LAST_ROW_IDS)
        assert last is not None
        self._last_run, self._last_series, self._last_artifact = last["run"], last["series"], last["artifact"]
        self._rows: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)

    def write(
        self, run: RunRows, blobs: Mapping[str, int], *, row_id: int | None = None, series: bool = True
    ) -> tuple[int, list[tuple[int, int]]]:
        """Write a run under `row_id`, by default a new one; `blobs` has the row ids of blobs by hash.

        Returns the row id, and for each series its row id in the other file and here. Without `series`, those
        in the file stay and are only summed up. The rows are in the file after :meth:`flush`.
        """
        if row_id is None:
            self._last_run += 1
            row_id = self._last_run
        sums = self._write_details(row_id, run) + self._write_artifacts(row_id, run, blobs)
        copied = self._write_series(row_id, run.series) if series else []
        sums += sum(hash_row(METRIC_KIND, (one.name,)) for one in run.series)
        facts = run.facts
        sums += hash_row("run", (row_id, *facts[:-1]))
        if facts.checksum is not None:
            sums += hash_row(SEAL_KIND, (facts.checksum,))
        self._rows[INSERT_FACTS].append((row_id, *facts, wrap_sum(sums)))
        return row_id, copied

    def _write_details(self, run: int, rows: RunRows) -> int:
        """Write the rows with one owner and no row ids; return their part of the sum."""
        sums = 0

        def put(sql: str, kind: str, found: Iterable[Sequence[Any]], numbered: bool = False) -> int:
            pending = self._rows[sql]
            total = 0
            for seq, row in enumerate(found):
                pending.append((run, seq, *row) if numbered else (run, *row))
                total += hash_row(kind, row)
            return total

        for sql, kind, row in (
            (INSERT_OWNER, "run_owner", rows.owner),
            (INSERT_ENVIRONMENT, "run_environment", rows.environment),
            (INSERT_CONFIG, "run_config", rows.config),
        ):
            sums += put(sql, kind, () if row is None else (row,))
        sums += put(INSERT_TAG, "run_tag", rows.tags)
        sums += put(INSERT_NOTE, "note", rows.notes, numbered=True)
        sums += put(INSERT_INPUT, "run_input", rows.inputs, numbered=True)
        sums += put(INSERT_ATTRIBUTE, "run_attribute", rows.attributes)
        sums += put(INSERT_ALIAS, "artifact_alias", rows.aliases)
        sums += put(INSERT_INGEST, "run_ingest", rows.ingests)
        for seq, event in enumerate(rows.events):
            checksum = checksum_event(event.happened_at, event.kind, event.data)
            self._rows[INSERT_EVENT].append((run, seq, *event, checksum))
            sums += hash_row("event", event)
        self._row_ids.look_up_keys([leaf[0] for leaf in rows.leaves])
        for key, kind, num, text, *source in rows.leaves:
            source_id = None if source[0] is None else self._row_ids.get_source_id(ConfigSource(*source))
            values = (run, self._row_ids.get_key_id(key), kind, num, text, source_id)
            self._rows[INSERT_VALUE].append(values)
        return sums + hash_row("config_value", rows.leaves)

    def _write_artifacts(self, run: int, rows: RunRows, blobs: Mapping[str, int]) -> int:
        sums = 0
        for one in rows.artifacts:
            self._last_artifact += 1
            artifact = self._last_artifact
            blob = None if one.removed_at is not None else blobs[one.hash]
            facts = (
                one.name, one.version, one.kind, blob, one.hash, one.is_text, one.media_type, one.step,
                one.metadata, one.description, one.created_at, one.removed_at,
            )  # fmt: skip
            checksum = artifact_checksum({"run_id": rows.facts.run_id, **one._asdict()})
            self._rows[INSERT_ARTIFACT].append((artifact, run, *facts, checksum))
            sums += hash_row("artifact", (artifact, *facts))
            self._rows[INSERT_ENTRY] += [
                (artifact, path, mode, None if blob_hash is None else blobs[blob_hash])
                for path, mode, blob_hash in one.entries
            ]
        return sums

    def _write_series(self, run: int, series: Iterable[SeriesRows]) -> list[tuple[int, int]]:
        copied = []
        for one in series:
            self._last_series += 1
            metric = self._metrics.get(one.name)
            if metric is None:
                metric = self._metrics[one.name] = metric_row_id(self._connection, one.name)
            total = wrap_sum(hash_summary(self._last_series, run, one.name, one.numbers) + one.points_sum)
            row = (self._last_series, run, metric, *one.numbers, one.completed, one.checksum, total)
            self._rows[INSERT_SERIES].append(row)
            copied.append((one.row_id, self._last_series))
        return copied

    def flush(self) -> None:
        """Put the rows written so far into the file."""
        for sql, rows in self._rows.items():
            self._connection.execute_many(sql, rows)
        self._rows.clear()


def delete_details(connection: Connection, run: int) -> None:
    """Delete the row of a run and all that hangs from it but its series. Call inside a transaction."""
    for sql in (*DELETE_DETAILS, DELETE_ENTRIES, DELETE_ARTIFACTS, DELETE_RUN):
        connection.execute(sql, (run,))


def delete_series(connection: Connection, run: int) -> None:
    """Delete the series of a run with their points. Call inside a transaction."""
    for sql in (DELETE_POINTS, DELETE_CHECKS, DELETE_LEVELS, DELETE_SERIES):
        connection.execute(sql, (run,))
