"""Seal the series of a run at its end with checksums and levels, and lift the seals where it gains points.

Invariant: a series has blocks and levels only while its seal stands, and only if it is long.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from exptrack.database.connection import Connection
from exptrack.database.row_sums import SEAL_KIND, hash_row, wrap_sum
from exptrack.metrics.store import BLOCK_POINTS, SELECT_POINTS, PointsChecksum, SeriesRow, checksum_points
from exptrack.metrics.summary import LEVEL_POINTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# After the id, in the order in which the seal of a run covers them.
SERIES_OF_RUN = """
SELECT s.id, n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value,
       s.last_time_ms, s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed,
       s.checksum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? ORDER BY n.name
"""
FIRST_POINTS = """
SELECT step, time_ms, value FROM metric_point WHERE series = ? ORDER BY step, seq LIMIT ?
"""
DELETE_LEVELS_OF_RUN = """
DELETE FROM metric_level WHERE series IN (SELECT id FROM metric_series WHERE run = ?)
"""
DELETE_ALL_LEVELS = "DELETE FROM metric_level"
LONG_SEALED_SERIES = "SELECT id, count, checksum FROM metric_series WHERE count >= ? AND checksum IS NOT NULL"
RUN_SEAL = "SELECT status, checksum FROM run WHERE id = ? AND run_id = ?"
LIFT_SEAL = "UPDATE run SET checksum = NULL, rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"
SEAL_SERIES = "UPDATE metric_series SET completed = ?, checksum = ? WHERE id = ?"
UNSEAL_SERIES = "UPDATE metric_series SET completed = 0, checksum = NULL WHERE run = ?"
LIFT_SEALS = "UPDATE metric_series SET checksum = NULL WHERE run = ?"
INSERT_BLOCK = "INSERT INTO metric_check (series, step, seq, crc) VALUES (?, ?, ?, ?)"
DELETE_BLOCKS = "DELETE FROM metric_check WHERE series = ?"
UNSEAL_BLOCKS = "DELETE FROM metric_check WHERE series IN (SELECT id FROM metric_series WHERE run = ?)"


def seal_series(
    connection: Connection,
    run: int,
    *,
    completed: bool,
    known: Mapping[int, tuple[int, PointsChecksum]] | None = None,
    names: Container[str] | None = None,
) -> list[tuple[Any, ...]]:
    """Save each series' checksum and levels at a run's end, and allow it to be ranked if the run completed.

    `known` holds checksums computed while logging: for the row id of a series, the count of points and their
    checksum. Series that are not in it, or whose count differs, are read. With `names`, only those metrics are
    sealed. Return the facts of all series that the seal of the run covers. Call inside a transaction.
    """
    seals: list[tuple[int, int, int]] = []
    sealed: list[tuple[Any, ...]] = []
    for row in connection.fold(SERIES_OF_RUN, (run,), list):
        series, name, stored_count, before = row[0], row[1], row[2], row[-2:]
        if names is not None and name not in names:
            sealed.append(row[1:])
            continue
        count, checksum = (known or {}).get(series, (-1, None))
        if checksum is None or count != stored_count:
            points = connection.iterate(SELECT_POINTS, (series,))
            checksum = checksum_points(points, collects=stored_count >= LEVEL_POINTS)
        seal = int(completed), checksum.value()
        sealed.append((*row[1:-2], *seal))
        is_sealed = before == seal  # as it was inserted, perhaps
        if not is_sealed:
            seals.append((*seal, series))
        if (before[1] is not None and not is_sealed) or checksum.count > min(BLOCK_POINTS, LEVEL_POINTS):
            _save_parts(connection, series, checksum)
    connection.execute_many(SEAL_SERIES, seals)
    return sealed


def save_blocks_and_levels(connection: Connection, begun: Iterable[SeriesRow]) -> None:
    """Save the checksums of the blocks, and the levels, of series that were recorded after their run's end."""
    for series in begun:
        assert series.id is not None
        assert series.checksum is not None
        if series.checksum.count > min(BLOCK_POINTS, LEVEL_POINTS):
            _save_parts(connection, series.id, series.checksum)


def _save_parts(connection: Connection, series: int, checksum: PointsChecksum) -> None:
    """Save blocks and levels in the place of earlier ones; a short series without a seal has none of both."""
    connection.execute(DELETE_BLOCKS, (series,))
    if checksum.count > BLOCK_POINTS:
        connection.execute_many(INSERT_BLOCK, [(series, *block) for block in checksum.blocks()])
    if checksum.count >= LEVEL_POINTS and checksum.built is not None:
        from exptrack.metrics.levels import collect, make_levels, save_levels

        parts = [checksum.built]
        if checksum.built.skipped:
            first = connection.fold(FIRST_POINTS, (series, checksum.built.skipped), collect)
            parts = [first, *parts] if first is not None else parts
        save_levels(connection, series, make_levels(parts, checksum.count), checksum.value())


def remake_levels(connection: Connection) -> None:
    """Make the levels of all series of ended runs anew from their points. Call inside a transaction."""
    from exptrack.metrics.levels import collect, make_levels, save_levels

    connection.execute(DELETE_ALL_LEVELS)
    for row in connection.all(LONG_SEALED_SERIES, (LEVEL_POINTS,)):
        built = connection.fold(FIRST_POINTS, (row["id"], row["count"]), collect)
        if built is not None:
            save_levels(connection, row["id"], make_levels([built], row["count"]), row["checksum"])


def lift_seals_of_series(connection: Connection, run: int) -> None:
    """Forget the checksums and levels of the series of an ended run that gains points.

    Call inside a transaction.
    """
    connection.execute(DELETE_LEVELS_OF_RUN, (run,))
    connection.execute(UNSEAL_BLOCKS, (run,))
    connection.execute(LIFT_SEALS, (run,))


def unseal_series(connection: Connection, run: int) -> None:
    """Forget the checksums and levels of the series of a run that goes on. Call inside a transaction."""
    connection.execute(DELETE_LEVELS_OF_RUN, (run,))
    connection.execute(UNSEAL_BLOCKS, (run,))
    connection.execute(UNSEAL_SERIES, (run,))


def admit_points(connection: Connection, run: int, run_id: str) -> bool:
    """Return whether the run still exists. If another process has ended it, remove its seal."""
    row = connection.one(RUN_SEAL, (run, run_id))
    if row is None:
        return False
    if row["checksum"] is not None:
        change = wrap_sum(-hash_row(SEAL_KIND, (row["checksum"],)))
        connection.execute(LIFT_SEAL, (change, run))
        lift_seals_of_series(connection, run)
    return True
