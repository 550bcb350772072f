"""Prove most points by the pages of the file, at several times the rate at which SQLite hands them over.

Invariant: what is found sound here is sound. Of all else nothing is said: `series_checks` reads that by SQL,
and says what is wrong with it.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from pathlib import Path

from exptrack.database.connection import Connection
from exptrack.database.failures import DAMAGE
from exptrack.database.main_file import MainFile, read_beside
from exptrack.database.point_pages import PageError, PointPages
from exptrack.database.stranger import POINTS, ROOT_PAGE
from exptrack.errors import ArchiveIOError
from exptrack.portable.findings import PointsMeter
from exptrack.portable.point_proofs import add_block, begin_proof, read_series_rows
from exptrack.portable.series_checks import BLOCKS_OF, SeriesProof

COUNT_SERIES = "SELECT count(*) FROM metric_series"
FEW_POINTS = 200  # of a series on average: below that SQL is as fast


def find_sound_series(
    connection: Connection, points: int, meter: PointsMeter, *, hashing: bool
) -> dict[int, str]:
    """Return the row ids of series whose points, summaries and checksums are right. Call inside a reading.

    Each has the SHA-256 of its points if that is wanted. None is found where the file cannot be read beside
    SQLite, or where a page is not as SQLite writes it.
    """
    try:
        if points < FEW_POINTS * connection.value(COUNT_SERIES):
            return {}
        with read_beside(connection) as file:
            return {} if file is None else _walk(connection, file, meter, hashing)
    except (PageError, ArchiveIOError, OSError, *DAMAGE):
        meter.restart()
        return {}


def _walk(connection: Connection, file: Path | MainFile, meter: PointsMeter, hashing: bool) -> dict[int, str]:
    sound: dict[int, str] = {}
    rows = read_series_rows(connection)
    with PointPages(file, connection.value(ROOT_PAGE, (POINTS,))) as pages:
        for series, blocks in groupby(pages.read(), attrgetter("series")):
            row = next((one for one in rows if one["id"] >= series), None)
            if row is None or row["id"] > series:
                raise PageError(f"its series {series} has no row")
            proof = begin_proof(connection, row, hashing=hashing)
            for block in blocks:
                add_block(proof, block)
                meter.reach(proof.count)
            if series not in pages.problems and _is_sound(connection, proof):
                meter.leave(proof.count)
                sound[series] = proof.sha256()
    return sound


def _is_sound(connection: Connection, proof: SeriesProof) -> bool:
    expected = proof.stored_blocks()
    if any(True for _ in proof.problems(connection)):
        return False
    if proof.levels is not None and any(True for _ in proof.levels.problems(proof.row)):
        return False
    if not expected and not proof.row["has_blocks"]:
        return True
    return bool(connection.fold(BLOCKS_OF, (proof.row["id"],), list) == expected)
