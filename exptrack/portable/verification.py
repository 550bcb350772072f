"""Verify that an archive still holds what was put into it.

Invariants: this file never writes. Content is read in pieces, so memory stays bounded. SQLite's own
``integrity_check`` proves the structure of a file but misses most flipped bits. So every kind of content has a
checksum of its own. Blobs and chunks have it in their name, configs in their hash; each event has one, and a
finished run has one over all its facts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exptrack.artifacts.blobs import CODEC, StoredBlob, unpack_chunk
from exptrack.artifacts.chunks import MAX_STORED_BYTES, Unpacker
from exptrack.artifacts.folders import build_manifest_of_rows
from exptrack.artifacts.store import ENTRIES_OF, artifact_checksum
from exptrack.config.exp_config import parse_stored_config
from exptrack.config.store import read_stored_config
from exptrack.database.connection import Connection, Row, in_reading
from exptrack.errors import ArchiveCorruptError, ConfigError
from exptrack.metrics.store import SELECT_POINTS, SERIES_OF_RUN, checksum_points, nan_if_null
from exptrack.metrics.summary import Summary
from exptrack.records import FOLDER_TYPE, Waiting
from exptrack.runs.events import checksum_event
from exptrack.runs.seal import RUN_CONFIG_ROWS, checksum_run

MAX_STRUCTURE_PROBLEMS = 100
MAX_HOLDERS_NAMED = 20

ALL_RUNS = "SELECT id, run_id, status, config_hash, checksum FROM run ORDER BY id"
EVENTS_OF_RUN = "SELECT seq, happened_at, kind, data, checksum FROM event WHERE run = ? ORDER BY seq"
COUNT_POINTS = "SELECT coalesce(sum(count), 0) FROM metric_series"
COUNT_BLOBS = "SELECT count(*) FROM blob"
COUNT_CHUNKS = "SELECT count(*) FROM chunk"
CHUNK_IDS = "SELECT id FROM chunk ORDER BY id"
ONE_CHUNK = f"""
SELECT c.id, c.sha256, c.raw_bytes, c.stored_bytes AS recorded_bytes, {CODEC}, length(d.data) AS stored_bytes,
       CASE WHEN length(d.data) <= {MAX_STORED_BYTES} THEN d.data END AS data
FROM chunk AS c LEFT JOIN chunk_data AS d ON d.chunk = c.id
WHERE c.id = ?
"""
# Complete blobs, and incomplete ones that no process is writing.
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
ORPHAN_OWNERS = """
SELECT r.run_id FROM run AS r LEFT JOIN run_owner AS o ON o.run = r.id
WHERE (r.status = 'running') <> (o.run IS NOT NULL)
"""
# Trials are numbered one after the other, and a trial is deleted only with its study. So a gap is damage.
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


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that ``verify`` found: in which part, where, and what is wrong."""

    part: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How much ``verify`` checked, and the problems that it found; `ok` is true if there are none.

    `waiting` lists what stands beside the file and is not in it, see :class:`exptrack.Waiting`.
    """

    runs: int
    points: int
    blobs: int
    chunks: int
    problems: tuple[Problem, ...]
    waiting: tuple[Waiting, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


@in_reading
def verify(connection: Connection, progress: Callable[[str, int, int], None] | None = None) -> VerifyReport:
    """Check structure, references, checksums, summaries, studies and artifacts; this reads the whole file.

    `progress` is called with a part (``"runs"``, ``"chunks"``, ``"artifacts"``), how many of them are done and
    how many there are. Damage is reported, never raised.
    """
    tell = progress or (lambda _part, _done, _total: None)
    problems = list(_check_structure(connection))
    if any(problem.part == "file" for problem in problems):
        return VerifyReport(0, 0, 0, 0, tuple(problems))  # the file cannot be read
    runs = connection.all(ALL_RUNS)
    for done, row in enumerate(runs, 1):
        try:
            problems += _check_run(connection, row)
        except ArchiveCorruptError as error:
            problems.append(Problem("run", row["run_id"], str(error)))
        tell("runs", done, len(runs))
    for row in connection.all(ORPHAN_OWNERS):
        problems.append(Problem("run", row["run_id"], "status and owner contradict each other"))
    problems += _check_studies(connection)
    blobs, chunks = int(connection.value(COUNT_BLOBS)), int(connection.value(COUNT_CHUNKS))
    try:
        problems += _check_artifacts(connection, tell, blobs, chunks)
    except ArchiveCorruptError as error:
        problems.append(Problem("file", str(connection.path), str(error)))
    return VerifyReport(len(runs), int(connection.value(COUNT_POINTS)), blobs, chunks, tuple(problems))


# Structure


def _check_structure(connection: Connection) -> Iterator[Problem]:
    try:
        for row in connection.iterate(f"PRAGMA integrity_check({MAX_STRUCTURE_PROBLEMS})"):
            if row[0] != "ok":
                yield Problem("structure", str(connection.path), row[0])
        for row in connection.iterate("PRAGMA foreign_key_check"):
            yield Problem("reference", f"{row[0]} row {row[1]}", f"refers to a missing row of {row[2]}")
    except ArchiveCorruptError as error:
        yield Problem("file", str(connection.path), str(error))


# Runs


def _check_run(connection: Connection, row: Row) -> Iterator[Problem]:
    run, run_id = row["id"], row["run_id"]
    yield from _check_config(connection, run, run_id, row["config_hash"])
    yield from _check_events(connection, run, run_id)
    for metric, message in series_problems(connection, run):
        yield Problem("metric", f"{run_id} {metric}", message)
    if row["checksum"] and checksum_run(connection, run) != row["checksum"]:
        yield Problem("run", run_id, "its facts, config or summaries changed after its end")


def _check_config(connection: Connection, run: int, run_id: str, config_hash: str) -> Iterator[Problem]:
    try:
        config = parse_stored_config(*read_stored_config(connection, run))
    except (ValueError, ConfigError) as error:
        yield Problem("config", run_id, f"its snapshot cannot be read: {error}")
        return
    if config.hash() != config_hash:
        yield Problem("config", run_id, "its snapshot does not match its hash")
    found = [tuple(leaf) for leaf in connection.all(RUN_CONFIG_ROWS, (run,))]
    if found != sorted(map(tuple, config.leaves())):
        yield Problem("config", run_id, "its searchable values differ from its snapshot")


def _check_events(connection: Connection, run: int, run_id: str) -> Iterator[Problem]:
    for position, row in enumerate(connection.all(EVENTS_OF_RUN, (run,))):
        if row["seq"] != position:
            yield Problem("event", run_id, f"event {position} is missing")
            return
        if row["checksum"] != checksum_event(row["happened_at"], row["kind"], row["data"]):
            yield Problem("event", run_id, f"event {position} does not match its checksum")


def series_problems(connection: Connection, run: int) -> Iterator[tuple[str, str]]:
    """Recompute each summary and checksum of a run; yield each metric that is wrong, with the problem."""
    for row in connection.all(SERIES_OF_RUN, (run,)):
        for message in _check_summary(row, connection.iterate(SELECT_POINTS, (row["id"],))):
            yield row["name"], message
        if row["checksum"] is not None:
            actual = checksum_points(connection.iterate(SELECT_POINTS, (row["id"],)))
            if actual != row["checksum"]:
                yield row["name"], "its points do not match their checksum"


def _check_summary(row: Row, points: Iterator[Row]) -> Iterator[str]:
    """Compare a summary with its points.

    The points come by step, not in the order of logging. So they do not tell which one was logged first or
    last, or which of several equal extremes came first. This checks only that such a point exists.
    """
    found = Summary()
    missing: dict[str, tuple[Any, ...]] = {
        "first": (row["first_step"], row["first_value"]),
        "last": (row["last_step"], row["last_time_ms"], row["last_value"]),
    }
    if row["min_value"] is not None:
        missing["min"] = (row["min_step"], row["min_value"])
        missing["max"] = (row["max_step"], row["max_value"])
    lost = scale = total = 0.0
    for step, _seq, time_ms, value in points:
        found.add(step, time_ms, nan_if_null(value))
        if missing:
            here, now = (step, value), (step, time_ms, value)
            missing = {name: point for name, point in missing.items() if point not in (here, now)}
        if value is not None:
            # Neumaier's sum: `lost` keeps what rounding drops from the total.
            following = total + value
            lost += (total - following) + value if abs(total) >= abs(value) else (value - following) + total
            total = following
            scale += abs(value)
    for column in ("count", "nan_count", "top_step", "min_value", "max_value"):
        if row[column] != getattr(found, column):
            yield f"{column} is {row[column]}, but its points give {getattr(found, column)}"
    for name in missing:
        yield f"its summary has a {name} point that was not logged"
    if math.isfinite(scale) and not _is_same_sum(total + lost, row["value_sum"], scale, found.count):
        yield f"value_sum is {row['value_sum']}, but its points give {total + lost}"


def _is_same_sum(exact: float, stored: float, scale: float, count: int) -> bool:
    # A sum of floats depends on their order: each addition may round.
    return abs(exact - stored) <= scale * count * 2.3e-16 + 5e-324


# Studies


def _check_studies(connection: Connection) -> Iterator[Problem]:
    for row in connection.all(NUMBERS_WITH_GAPS):
        yield Problem("study", row["name"], f"has {row['trials']:,} trials, the last one number {row['last']}")
    for row in connection.all(ODD_TRIALS):
        where = f"{row['name']} #{row['number']}"
        if row["ended"] != (row["state"] in ("complete", "pruned", "fail")):
            yield Problem("study", where, f"is {row['state']} {'with' if row['ended'] else 'without'} an end")
        else:
            yield Problem("study", where, f"has {row['given']} values for {row['objectives']} objectives")


# Artifacts


def _check_artifacts(
    connection: Connection, tell: Callable[[str, int, int], None], blobs: int, chunks: int
) -> Iterator[Problem]:
    """Hash every chunk, blob and folder again."""
    damaged: set[int] = set()  # blobs with a chunk that was reported
    unpacker = Unpacker()
    for done, (chunk,) in enumerate(connection.iterate(CHUNK_IDS), 1):
        row = connection.one(ONE_CHUNK, (chunk,))
        message = None if row is None else _check_chunk(row, unpacker)
        if row is not None and message is not None:
            touched = [found[0] for found in connection.all(BLOBS_WITH_CHUNK, (row["id"],))]
            damaged.update(touched)
            holders = [holder for blob in touched for holder in _find_holders(connection, blob)]
            yield Problem("chunk", row["sha256"].hex(), f"{message}; {_list_holders(holders)}")
        tell("chunks", done, chunks)
    for done, row in enumerate(connection.all(ALL_BLOBS), 1):
        if row["id"] not in damaged:
            message = _check_blob(connection, row)
            if message is not None:
                holders = _find_holders(connection, row["id"])
                yield Problem("artifact", row["hash"], f"{message}; {_list_holders(holders)}")
        tell("artifacts", done, blobs)
    for row in connection.iterate(ALL_ARTIFACTS):
        where = f"{row['run_id']} {row['name']} version {row['version']}"
        if row["hash"] is None:
            yield Problem("artifact", where, "its blob is missing")
        elif artifact_checksum(row) != row["checksum"]:
            yield Problem("artifact", where, "its metadata does not match its checksum")
        elif row["media_type"] == FOLDER_TYPE and row["blob"] not in damaged:
            if not _is_sound_folder(connection, row):
                yield Problem("artifact", where, "the files of its folder are not the registered ones")


def _check_chunk(row: Row, unpacker: Unpacker) -> str | None:
    try:
        found = unpack_chunk(row, unpacker)
    except ValueError as error:
        return str(error)
    if hashlib.sha256(found).digest() != row["sha256"]:
        return "the bytes of a chunk do not match its hash"
    if row["recorded_bytes"] != row["stored_bytes"]:
        return f"a chunk takes {row['stored_bytes']:,} bytes, not {row['recorded_bytes']:,}"
    return None


def _check_blob(connection: Connection, row: Row) -> str | None:
    if not row["whole"]:
        return "it was never written completely, and no process is writing it"
    whole = hashlib.sha256()
    try:
        # A blob removed since the list was read is no problem; inside a snapshot nothing is removed.
        with connection.snapshot():
            if connection.value(BLOB_IS_THERE, (row["id"],)) is None:
                return None
            for piece in StoredBlob(connection, row["id"], row["hash"]):
                whole.update(piece)
    except ArchiveCorruptError as error:
        return str(error)
    return None if f"sha256:{whole.hexdigest()}" == row["hash"] else "its bytes do not match its hash"


def _is_sound_folder(connection: Connection, row: Row) -> bool:
    with connection.snapshot():
        if connection.value(ARTIFACT_IS_THERE, (row["id"],)) is None:
            return True  # removed since the list was read
        try:
            found = b"".join(StoredBlob(connection, row["blob"], row["name"]))
        except ArchiveCorruptError:
            return True  # its blob was reported already
        try:
            return found == build_manifest_of_rows(connection.all(ENTRIES_OF, (row["id"],)))
        except ArchiveCorruptError:
            return False


def _find_holders(connection: Connection, blob: int) -> list[str]:
    """Return each artifact that holds a blob, in words."""
    found = []
    for row in connection.all(HOLDERS_OF_BLOB, {"blob": blob}):
        path = f"/{row['path']}" if row["path"] else ""
        found.append(f"{row['name']}{path} version {row['version']} of run {row['run_id']}")
    return found


def _list_holders(holders: list[str]) -> str:
    if not holders:
        return "it belongs to no artifact"
    more = len(holders) - MAX_HOLDERS_NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return f"it belongs to {', '.join(holders[:MAX_HOLDERS_NAMED])}{rest}"
