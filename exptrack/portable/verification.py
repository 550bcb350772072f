"""Proving that an archive holds what was put into it.

Invariants: nothing here writes. SQLite's own ``integrity_check`` proves the structure and misses most
flipped bits, so every kind of content carries a checksum of its own: blobs and chunks by name, configs by
hash, events each, and a finished run as a whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from exptrack.artifacts.blobs import CODEC, StoredBlob, unpack_chunk
from exptrack.artifacts.chunks import MAX_STORED_BYTES, Unpacker
from exptrack.artifacts.folders import build_manifest_of_rows
from exptrack.artifacts.store import ENTRIES_OF, artifact_checksum
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, Row
from exptrack.errors import ArchiveCorruptError, ConfigError
from exptrack.metrics.store import SELECT_POINTS, SERIES_OF_RUN, points_checksum, stored_number
from exptrack.metrics.summary import Summary
from exptrack.records import FOLDER_TYPE
from exptrack.runs.events import event_checksum
from exptrack.runs.seal import RUN_CONFIG_ROWS, run_checksum

ALL_RUNS = "SELECT id, run_id, status, config_hash, checksum FROM run ORDER BY id"
EVENTS_OF_RUN = "SELECT seq, happened_at, kind, data, checksum FROM event WHERE run = ? ORDER BY seq"
COUNT_POINTS = "SELECT coalesce(sum(count), 0) FROM metric_series"
COUNT_BLOBS = "SELECT count(*) FROM blob"
COUNT_CHUNKS = "SELECT count(*) FROM chunk"
CHUNK_IDS = "SELECT id FROM chunk ORDER BY id"
ONE_CHUNK = f"""
SELECT c.id, c.sha256, c.raw_bytes, c.stored_bytes AS said_bytes, {CODEC}, length(d.data) AS stored_bytes,
       CASE WHEN length(d.data) <= {MAX_STORED_BYTES} THEN d.data END AS data
FROM chunk AS c LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE c.id = ?
"""
# Whole ones; and those nobody writes although they are not.
ALL_BLOBS = """
SELECT b.id, b.hash, b.list_sha256 IS NOT NULL AS whole FROM blob AS b
WHERE b.list_sha256 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM blob_writer AS w WHERE w.blob = b.id)
ORDER BY b.id
"""
BLOBS_WITH_CHUNK = "SELECT DISTINCT blob FROM blob_chunk WHERE chunk = ?"
HOLDERS_OF_BLOB = """
SELECT r.run_id, a.name, a.version, NULL AS path
FROM artifact AS a JOIN run AS r ON r.id = a.run WHERE a.blob = :blob
UNION ALL
SELECT r.run_id, a.name, a.version, e.path
FROM artifact_entry AS e JOIN artifact AS a ON a.id = e.artifact JOIN run AS r ON r.id = a.run
WHERE e.blob = :blob
ORDER BY 1, 2, 3, 4
"""
ALL_ARTIFACTS = """
SELECT a.id, a.blob, a.name, a.version, r.run_id, a.kind, b.hash, a.is_text, a.media_type, a.step, a.metadata,
       a.created_at, a.checksum
FROM artifact AS a LEFT JOIN blob AS b ON b.id = a.blob JOIN run AS r ON r.id = a.run
WHERE a.blob IS NOT NULL ORDER BY a.id
"""
BLOB_IS_THERE = "SELECT 1 FROM blob WHERE id = ?"
ARTIFACT_IS_THERE = "SELECT 1 FROM artifact WHERE id = ? AND blob IS NOT NULL"
MOST_HOLDERS_NAMED = 20
ORPHAN_OWNERS = """
SELECT r.run_id FROM run AS r LEFT JOIN run_owner AS o ON o.run = r.id
WHERE (r.status = 'running') <> (o.run IS NOT NULL)
"""
# Numbers are given one after the other and no trial is deleted alone.
NUMBERS_WITH_GAPS = """
SELECT s.name, count(*) AS trials, max(t.number) AS last FROM trial AS t JOIN study AS s ON s.id = t.study
GROUP BY t.study HAVING min(t.number) <> 0 OR max(t.number) <> count(*) - 1 ORDER BY s.id
"""
ODD_TRIALS = """
SELECT s.name, t.number, t.state, t.ended_at IS NOT NULL AS ended,
       (SELECT count(*) FROM study_objective AS o WHERE o.study = t.study) AS objectives,
       (SELECT count(*) FROM trial_value AS v JOIN study_objective AS o ON o.position = v.position
        WHERE v.trial = t.id AND o.study = t.study) AS given
FROM trial AS t JOIN study AS s ON s.id = t.study
WHERE ended <> (t.state IN ('complete', 'pruned', 'fail')) OR (t.state = 'complete' AND given <> objectives)
ORDER BY t.study, t.number
"""
MAX_STRUCTURE_PROBLEMS = 100


def verify(connection: Connection, progress: Callable[[str, int, int], None] | None = None) -> VerifyReport:
    """Check structure, references, checksums, summaries, studies and artifacts; reads the whole file.

    `progress` is called with a part (``"runs"``, ``"chunks"``, ``"artifacts"``), how much of it is done and how
    much there is. What is damaged is reported, never raised. Memory stays bounded.
    """
    tell = progress or (lambda _part, _done, _total: None)
    problems = list(_structure_problems(connection))
    if not _readable(problems):
        return VerifyReport(0, 0, 0, 0, tuple(problems))
    runs = connection.all(ALL_RUNS)
    for done, row in enumerate(runs, 1):
        try:
            problems += _run_problems(connection, row["id"], row["run_id"], row["config_hash"])
            if row["checksum"] and run_checksum(connection, row["id"]) != row["checksum"]:
                problems.append(
                    Problem("run", row["run_id"], "facts, config or summaries changed after its end")
                )
        except ArchiveCorruptError as error:
            problems.append(Problem("run", row["run_id"], str(error)))
        tell("runs", done, len(runs))
    for row in connection.all(ORPHAN_OWNERS):
        problems.append(Problem("run", row["run_id"], "status and owner contradict each other"))
    problems += _study_problems(connection)
    blobs, chunks = int(connection.value(COUNT_BLOBS)), int(connection.value(COUNT_CHUNKS))
    try:
        problems += _artifact_problems(connection, tell, blobs, chunks)
    except ArchiveCorruptError as error:
        problems.append(Problem("file", str(connection.path), str(error)))
    return VerifyReport(len(runs), int(connection.value(COUNT_POINTS)), blobs, chunks, tuple(problems))


def _study_problems(connection: Connection) -> Iterator[Problem]:
    for row in connection.all(NUMBERS_WITH_GAPS):
        yield Problem("study", row["name"], f"has {row['trials']:,} trials, the last one number {row['last']}")
    for row in connection.all(ODD_TRIALS):
        where = f"{row['name']} #{row['number']}"
        if row["ended"] != (row["state"] in ("complete", "pruned", "fail")):
            yield Problem("study", where, f"is {row['state']} {'with' if row['ended'] else 'without'} an end")
        else:
            yield Problem("study", where, f"has {row['given']} values for {row['objectives']} objectives")


def _artifact_problems(
    connection: Connection, tell: Callable[[str, int, int], None], blobs: int, chunks: int
) -> Iterator[Problem]:
    """Hash every chunk, every blob and every folder again."""
    damaged: set[int] = set()
    unpacker = Unpacker()
    for done, (chunk,) in enumerate(connection.iterate(CHUNK_IDS), 1):
        row = connection.one(ONE_CHUNK, (chunk,))
        problem = None if row is None else _chunk_problem(row, unpacker)
        if row is not None and problem is not None:
            touched = [found[0] for found in connection.all(BLOBS_WITH_CHUNK, (row["id"],))]
            damaged.update(touched)
            holders = [holder for blob in touched for holder in _holders(connection, blob)]
            yield Problem("chunk", row["sha256"].hex(), f"{problem}; {_named(holders)}")
        tell("chunks", done, chunks)
    for done, row in enumerate(connection.all(ALL_BLOBS), 1):
        # What is said of a chunk need not be said of each blob that has it.
        if row["id"] not in damaged:
            problem = _blob_problem(connection, row)
            if problem is not None:
                yield Problem("artifact", row["hash"], f"{problem}; {_named(_holders(connection, row['id']))}")
        tell("artifacts", done, blobs)
    for row in connection.iterate(ALL_ARTIFACTS):
        where = f"{row['run_id']} {row['name']} version {row['version']}"
        if row["hash"] is None:
            yield Problem("artifact", where, "its blob is not in the file")
        elif artifact_checksum(row) != row["checksum"]:
            yield Problem("artifact", where, "what is said of it is not what was registered")
        elif row["media_type"] == FOLDER_TYPE and row["blob"] not in damaged:
            if not _is_sound_folder(connection, row):
                yield Problem("artifact", where, "what the folder holds is not what was registered")


def _chunk_problem(row: Row, unpacker: Unpacker) -> str | None:
    try:
        found = unpack_chunk(row, unpacker)
    except ValueError as error:
        return str(error)
    if hashlib.sha256(found).digest() != row["sha256"]:
        return "a chunk is not what was stored"
    if row["said_bytes"] != row["stored_bytes"]:
        return f"a chunk takes {row['stored_bytes']:,} bytes, not {row['said_bytes']:,}"
    return None


def _blob_problem(connection: Connection, row: Row) -> str | None:
    if not row["whole"]:
        return "it was never written to its end, and nobody writes it"
    whole = hashlib.sha256()
    try:
        # What was removed since the list was read is no problem; nothing is removed from a snapshot.
        with connection.snapshot():
            if connection.value(BLOB_IS_THERE, (row["id"],)) is None:
                return None
            for piece in StoredBlob(connection, row["id"], row["hash"]):
                whole.update(piece)
    except ArchiveCorruptError as error:
        return str(error)
    return None if f"sha256:{whole.hexdigest()}" == row["hash"] else "its bytes have another hash"


def _is_sound_folder(connection: Connection, row: Row) -> bool:
    with connection.snapshot():
        if connection.value(ARTIFACT_IS_THERE, (row["id"],)) is None:
            return True  # removed since the list was read
        try:
            found = b"".join(StoredBlob(connection, row["blob"], row["name"]))
        except ArchiveCorruptError:
            return True  # said of its blob already
        try:
            return found == build_manifest_of_rows(connection.all(ENTRIES_OF, (row["id"],)))
        except ArchiveCorruptError:
            return False


def _holders(connection: Connection, blob: int) -> list[str]:
    """Every artifact that holds a blob, in words."""
    found = []
    for row in connection.all(HOLDERS_OF_BLOB, {"blob": blob}):
        path = f"/{row['path']}" if row["path"] else ""
        found.append(f"{row['name']}{path} version {row['version']} of run {row['run_id']}")
    return found


def _named(holders: list[str]) -> str:
    if not holders:
        return "no artifact is touched"
    more = len(holders) - MOST_HOLDERS_NAMED
    return f"touches {', '.join(holders[:MOST_HOLDERS_NAMED])}{f' and {more:,} more' if more > 0 else ''}"


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
        config = parse_stored_config(*read_stored_config(connection, run))
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


def series_problems(connection: Connection, run: int) -> Iterator[tuple[str, str]]:
    """Recompute each summary and checksum of a run; yield (metric, what is wrong)."""
    for row in connection.all(SERIES_OF_RUN, (run,)):
        for what in _summary_problems(row, connection.iterate(SELECT_POINTS, (row["id"],))):
            yield row["name"], what
        if row["checksum"] is not None:
            actual = points_checksum(connection.iterate(SELECT_POINTS, (row["id"],)))
            if actual != row["checksum"]:
                yield row["name"], "its points are not the ones that were logged (checksum)"


def _summary_problems(row: Row, points: Iterator[Row]) -> Iterator[str]:
    """Compare a summary with its points.

    These come by step, not in the order of logging: which one was first, last or the first of several
    equal extremes they do not say, only that there is such a point.
    """
    found = Summary()
    first, last = (
        (row["first_step"], row["first_value"]),
        (row["last_step"], row["last_time_ms"], row["last_value"]),
    )
    lowest, highest = (row["min_step"], row["min_value"]), (row["max_step"], row["max_value"])
    missing = {"first": first, "last": last, "min": lowest, "max": highest}
    if row["min_value"] is None:
        missing = {"first": first, "last": last}
    errors = scale = exact = 0.0
    for step, _seq, time_ms, value in points:
        found.add(step, time_ms, stored_number(value))
        if missing:
            here, now = (step, value), (step, time_ms, value)
            missing = {what: point for what, point in missing.items() if point not in (here, now)}
        if value is not None:
            # Neumaier's sum: what a float drops is kept beside it.
            total = exact + value
            errors += (exact - total) + value if abs(exact) >= abs(value) else (value - total) + exact
            exact = total
            scale += abs(value)
    for column in ("count", "nan_count", "top_step", "min_value", "max_value"):
        if row[column] != getattr(found, column):
            yield f"{column} is {row[column]}, its points say {getattr(found, column)}"
    for what in missing:
        yield f"no point is the one its summary calls the {what}"
    if math.isfinite(scale) and not _same_sum(exact + errors, row["value_sum"], scale, found.count):
        yield f"value_sum is {row['value_sum']}, its points say otherwise"


def _same_sum(exact: float, stored: float, scale: float, count: int) -> bool:
    """Sums of floats depend on their order: allow each addition its rounding."""
    return abs(exact - stored) <= scale * count * 2.3e-16 + 5e-324


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing ``verify`` found wrong: in what part, where, and what."""

    part: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What ``verify`` looked at and what it found; `ok` when that is nothing."""

    runs: int
    points: int
    blobs: int
    chunks: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems
