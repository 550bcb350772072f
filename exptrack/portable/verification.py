"""Verify that an archive still holds what was put into it.

Invariants: this file never writes, and damage is reported, never raised. Content is read in pieces, so memory
stays bounded. SQLite's own ``integrity_check`` proves the structure of a file but misses most flipped bits. So
everything has a checksum: blobs and chunks have it in their name, configs in their hash; events, artifacts and
points have one each; runs, series, studies and trials have a sum over all rows that belong to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from exptrack.database.connection import Connection, in_reading
from exptrack.database.failures import DAMAGE
from exptrack.database.own_schema import describe_foreign_schema, has_table
from exptrack.database.row_sums import hash_row
from exptrack.database.time_limit import TimeLimit, current_limit, under_limit
from exptrack.helper_threads import Helper
from exptrack.portable.artifact_checks import COUNT_BLOBS, COUNT_CHUNKS, check_artifacts
from exptrack.portable.file_seal import PointsDigest, check_seal, is_sealed
from exptrack.portable.findings import PointsMeter, Problem, Tell, guard, passing_on
from exptrack.portable.merge_page_views import find_row_problems
from exptrack.portable.quick_points import find_sound_series
from exptrack.portable.run_checks import RUN_ROW_IDS, check_run, name_run
from exptrack.portable.study_checks import check_studies
from exptrack.query.page_views import TABLE as PAGE_VIEWS
from exptrack.query.views import find_changed_views
from exptrack.records import Waiting
from exptrack.runs.row_sums import OF_GROUP, sum_all
from exptrack.shown import shown
from exptrack.times import moment
from exptrack.validation import check_function

__all__ = ["Problem", "VerifyReport", "verify"]

MAX_STRUCTURE_PROBLEMS = 100
PAGES_FOR_A_THREAD = 2048  # 8 MiB, whose structure takes some 50 ms to check; a thread costs 2 ms
MAX_ROW_ID = 1 << 48  # no file has had so many runs

COUNT_RUNS = "SELECT count(*) FROM run"
COUNT_POINTS = "SELECT coalesce(total(max(count, 0)), 0) FROM metric_series"
ORPHAN_OWNERS = """
SELECT r.id FROM run AS r LEFT JOIN run_owner AS o ON o.run = r.id
WHERE (r.status = 'running') <> (o.run IS NOT NULL)
"""
SEQUENCES = "SELECT name, seq FROM sqlite_sequence ORDER BY name"
LAST_IDS = """
SELECT 'run' AS name, max(id) AS last FROM run
UNION ALL SELECT 'study', max(id) FROM study
UNION ALL SELECT 'trial', max(id) FROM trial
"""
# Rows that belong to no run or study, and have a checksum each.
MIGRATION_ROWS = "SELECT number, name, sha256, applied_at, library, checksum FROM migration"
JOURNAL_ROWS = "SELECT journal, drained, checksum FROM metric_journal"
USER_VIEW_ROWS = "SELECT name, fields, checksum FROM user_view"
SEAL_ROWS = "SELECT id, format, library, sealed_at, row_counts, content, points, checksum FROM seal"
GROUP_ROWS = "SELECT id, name, created_at, changed_at, deleted_at, rows_sum FROM run_group"
PAGE_VIEW_ROWS = "SELECT name, path, changed_at, deleted_at, checksum FROM page_view"
WRITER_ROWS = """
SELECT w.blob, w.holder, w.host_id, w.boot_id, w.pid, w.pid_started, w.written_at, b.hash, w.checksum
FROM blob_writer AS w LEFT JOIN blob AS b ON b.id = w.blob
"""


@shown
class VerifyReport(NamedTuple):
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
        """Whether no problem was found."""
        return not self.problems


class Proof(NamedTuple):
    """What a verification found, and the digest of all points if the file is sealed or about to be."""

    report: VerifyReport
    points: str | None


def verify(connection: Connection, progress: Tell | None = None) -> VerifyReport:
    """Check structure, references, checksums, summaries, studies, artifacts and the seal; read the whole file.

    `progress` is called with a part (``"runs"``, ``"points"``, ``"chunks"``, ``"artifacts"``), how many of them
    are done and how many there are. Damage is reported, never raised.
    """
    return prove(connection, progress).report


@in_reading
def prove(
    connection: Connection,
    progress: Tell | None = None,
    *,
    sealing: bool = False,
) -> Proof:
    """Verify, like :func:`verify`. With `sealing`, take the digest of all points as well."""
    with passing_on(check_function(progress, "progress")) as tell:
        return _prove(connection, tell, sealing)


def _prove(connection: Connection, tell: Tell, sealing: bool) -> Proof:
    file = str(connection.place)
    runs, points, blobs, chunks = (
        _count(connection, sql) for sql in (COUNT_RUNS, COUNT_POINTS, COUNT_BLOBS, COUNT_CHUNKS)
    )
    digest = PointsDigest() if sealing or is_sealed(connection) else None

    def check_rows() -> list[Problem]:
        return [
            *guard("schema", file, _check_schema(connection)),
            *guard("file", file, _check_rows(connection)),
            *guard("file", file, _check_runs(connection, tell, runs, points, digest)),
            *guard("study", file, check_studies(connection)),
            *guard("file", file, check_artifacts(connection, tell, blobs, chunks)),
        ]

    found = _check_beside(
        connection, lambda: list(guard("file", file, _check_structure(connection))), check_rows
    )
    if digest is not None:
        found += guard("seal", file, check_seal(connection, file, digest.value()))
    report = VerifyReport(runs, points, blobs, chunks, tuple(found))
    return Proof(report, None if digest is None else digest.value())


def _check_beside(
    connection: Connection,
    check_structure: Callable[[], list[Problem]],
    check_rows: Callable[[], list[Problem]],
) -> list[Problem]:
    """Check the structure of a large file in another thread, while this one reads its rows.

    SQLite checks a structure in a few long steps, during which Python's lock is free. So a second core makes
    that check cost no time. It may see a later commit than the rows do, whose structure is as sound.
    """
    if _count(connection, "PRAGMA page_count") < PAGES_FOR_A_THREAD:
        return check_structure() + check_rows()
    limit, outer = TimeLimit(), current_limit()

    def check_apart() -> list[Problem]:
        with limit:
            return connection.reading(check_structure)

    with Helper("exptrack-verify") as helper:
        structure = helper.submit(under_limit, outer, check_apart)
        try:
            rows = check_rows()
            return structure.result() + rows
        except BaseException:
            limit.stop()
            raise


def _count(connection: Connection, sql: str) -> int:
    try:
        return int(connection.value(sql))
    except DAMAGE:
        return 0  # the check of the same table tells of the damage


def _check_structure(connection: Connection) -> Iterator[Problem]:
    for row in connection.iterate(f"PRAGMA integrity_check({MAX_STRUCTURE_PROBLEMS})"):
        if row[0] != "ok":
            yield Problem("structure", str(connection.place), str(row[0]))
    for row in connection.iterate("PRAGMA foreign_key_check"):
        yield Problem("reference", f"{row[0]} row {row[1]}", f"refers to a missing row of {row[2]}")


def _check_schema(connection: Connection) -> Iterator[Problem]:
    problem = describe_foreign_schema(connection)
    if problem is not None:
        yield Problem("schema", str(connection.place), problem)
    for name in find_changed_views(connection):
        yield Problem("schema", name, "the text of this view does not match its checksum")


def _check_rows(connection: Connection) -> Iterator[Problem]:
    """Check the rows that belong to no run or study."""
    for table, sql in (
        ("migration", MIGRATION_ROWS),
        ("metric_journal", JOURNAL_ROWS),
        ("blob_writer", WRITER_ROWS),
        ("user_view", USER_VIEW_ROWS),
        ("seal", SEAL_ROWS),
    ):
        yield from guard("file", table, _check_checksums(connection, table, sql))
    yield from guard("file", "run_group", _check_groups(connection))
    if has_table(connection, PAGE_VIEWS):
        yield from guard("file", PAGE_VIEWS, _check_page_views(connection))
    last = {row["name"]: row["last"] for row in connection.all(LAST_IDS)}
    for row in connection.all(SEQUENCES):
        if not (last.pop(row["name"], None) or 0) <= row["seq"] < MAX_ROW_ID:
            yield Problem("file", "sqlite_sequence", f"the last row id of {row['name']} is wrong")
    for table, row_id in last.items():
        if row_id is not None:
            yield Problem("file", "sqlite_sequence", f"the last row id of {table} is missing")


def _check_groups(connection: Connection) -> Iterator[Problem]:
    for row in connection.all(GROUP_ROWS):
        if sum_all(connection, OF_GROUP, row["id"]) != row["rows_sum"]:
            what = "its name, times or attributes"
            yield Problem("group", row["name"], f"{what} are not those that were stored")
        for column in ("created_at", "changed_at", "deleted_at"):
            if row[column] is not None:
                moment(row[column])


def _check_page_views(connection: Connection) -> Iterator[Problem]:
    for row in connection.all(PAGE_VIEW_ROWS):
        for problem in find_row_problems(*row):
            yield Problem("file", f"{PAGE_VIEWS} {row['name']}", problem)


def _check_checksums(connection: Connection, table: str, sql: str) -> Iterator[Problem]:
    for *row, checksum in connection.all(sql):
        if hash_row(table, row) != checksum:
            yield Problem("file", f"{table} {row[0]}", "it does not match its checksum")


def _check_runs(
    connection: Connection, tell: Tell, total: int, points: int, digest: PointsDigest | None
) -> Iterator[Problem]:
    meter = PointsMeter(tell, points)
    sound = find_sound_series(connection, points, meter, hashing=digest is not None)
    for done, (run,) in enumerate(connection.all(RUN_ROW_IDS), 1):
        yield from check_run(connection, run, meter, sound, digest)
        tell("runs", done, total)
    for (run,) in connection.all(ORPHAN_OWNERS):
        yield Problem("run", name_run(connection, run), "status and owner contradict each other")
