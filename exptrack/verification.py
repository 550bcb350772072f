"""Proving that an archive holds what was put into it.

Invariants: nothing here writes. SQLite's own ``integrity_check`` proves the structure and misses most
flipped bits, so every kind of content carries a checksum of its own: blobs and chunks by name, configs by
hash, events each, and a finished run as a whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from exptrack.blobs import COUNT_CHUNKS, blob_problems
from exptrack.config import config_from_snapshot
from exptrack.connection import Connection
from exptrack.errors import ArchiveCorruptError, ConfigError
from exptrack.events import event_checksum
from exptrack.metrics import series_problems
from exptrack.records import Problem, VerifyReport
from exptrack.snapshots import SOURCES_OF, read_config

RUN_FACTS = """
SELECT run_id, status, reason, traceback, name, group_name, started_at, ended_at, duration_ms, config_hash,
       family, fingerprint, host, vcs_commit, vcs_dirty
FROM run WHERE id = ?
"""
RUN_ENVIRONMENT = "SELECT * FROM run_environment WHERE run = ?"
RUN_CONFIG_ROWS = """
SELECT k.key, v.type, v.num, v.text FROM config_value AS v JOIN config_key AS k ON k.id = v.key
WHERE v.run = ? ORDER BY k.key
"""
RUN_SERIES = """
SELECT n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value, s.last_time_ms,
       s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed, s.checksum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? ORDER BY n.name
"""
ALL_RUNS = "SELECT id, run_id, status, config_hash, checksum FROM run ORDER BY id"
EVENTS_OF_RUN = "SELECT seq, happened_at, kind, data, checksum FROM event WHERE run = ? ORDER BY seq"
COUNT_POINTS = "SELECT coalesce(sum(count), 0) FROM metric_series"
COUNT_BLOBS = "SELECT count(*) FROM blob"
ORPHAN_OWNERS = """
SELECT r.run_id FROM run AS r LEFT JOIN run_owner AS o ON o.run = r.id
WHERE (r.status = 'running') <> (o.run IS NOT NULL)
"""
MAX_STRUCTURE_PROBLEMS = 100


def run_checksum(connection: Connection, run: int) -> str:
    """SHA-256 (hex) over a run's facts, environment, config and series, as JSON lines.

    Points enter by their series' checksum. Tags, notes and the parent may change after the end and
    stay out; so do the numbers that rows have in this file only.
    """
    digest = hashlib.sha256()
    digest.update(_json_line(read_config(connection, run)))
    for sql in (RUN_FACTS, RUN_ENVIRONMENT, RUN_CONFIG_ROWS, SOURCES_OF, RUN_SERIES):
        for row in connection.iterate(sql, (run,)):
            # A Row iterates its values; `run` is a row number of this file.
            fields = [row[key] for key in row.keys() if key != "run"]  # noqa: SIM118
            digest.update(_json_line(fields))
    return digest.hexdigest()


def _json_line(value: object) -> bytes:
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()


def verify(connection: Connection, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
    """Check structure, references, checksums, summaries and artifacts; reads the whole file.

    `progress` is called with runs done and runs in all. What is damaged is reported, never raised.
    """
    problems = list(_structure_problems(connection))
    runs = connection.all(ALL_RUNS) if _readable(problems) else []
    for done, row in enumerate(runs, 1):
        try:
            problems += _run_problems(connection, row["id"], row["run_id"], row["config_hash"])
            if row["checksum"] and run_checksum(connection, row["id"]) != row["checksum"]:
                problems.append(
                    Problem("run", row["run_id"], "facts, config or summaries changed after its end")
                )
        except ArchiveCorruptError as error:
            problems.append(Problem("run", row["run_id"], str(error)))
        if progress is not None:
            progress(done, len(runs))
    if not _readable(problems):
        return VerifyReport(0, 0, 0, 0, tuple(problems))
    for row in connection.all(ORPHAN_OWNERS):
        problems.append(Problem("run", row["run_id"], "status and owner contradict each other"))
    problems += [Problem("artifact", where, what) for where, what in blob_problems(connection)]
    return VerifyReport(
        runs=len(runs),
        points=int(connection.value(COUNT_POINTS)),
        blobs=int(connection.value(COUNT_BLOBS)),
        chunks=int(connection.value(COUNT_CHUNKS)),
        problems=tuple(problems),
    )


def _readable(problems: list[Problem]) -> bool:
    return not any(problem.part == "file" for problem in problems)


def _structure_problems(connection: Connection) -> Iterator[Problem]:
    try:
        for row in connection.iterate(f"PRAGMA integrity_check({MAX_STRUCTURE_PROBLEMS})"):
            if row[0] != "ok":
                yield Problem("structure", str(connection.path), row[0])
        for row in connection.iterate("PRAGMA foreign_key_check"):
            yield Problem("reference", f"{row[0]} row {row[1]}", f"points to no row of {row[2]}")
    except ArchiveCorruptError as error:
        yield Problem("file", str(connection.path), str(error))


def _run_problems(connection: Connection, run: int, run_id: str, config_hash: str) -> Iterator[Problem]:
    try:
        config = config_from_snapshot(*read_config(connection, run))
    except (ValueError, ConfigError) as error:
        yield Problem("config", run_id, f"the snapshot cannot be read: {error}")
    else:
        if config.hash() != config_hash:
            yield Problem("config", run_id, "the snapshot is not the one that was hashed")
        expected = sorted(config.leaves())
        found = [tuple(row) for row in connection.all(RUN_CONFIG_ROWS, (run,))]
        if found != sorted(map(tuple, expected)):
            yield Problem("config", run_id, "the searchable values differ from the snapshot")
    for position, row in enumerate(connection.all(EVENTS_OF_RUN, (run,))):
        if row["seq"] != position:
            yield Problem("event", run_id, f"event {position} is missing")
            break
        if row["checksum"] != event_checksum(row["happened_at"], row["kind"], row["data"]):
            yield Problem("event", run_id, f"event {position} is not what was appended")
    for metric, what in series_problems(connection, run):
        yield Problem("metric", f"{run_id} {metric}", what)
