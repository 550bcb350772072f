"""Seal a run at its end with a checksum, by which ``verify`` detects later changes.

Invariant: the checksum covers everything about a run that does not change after its end. Name, group, tags,
notes and attributes may change, so they are not part of it. The sum of the run's rows covers them (see
``row_sums``). Neither are row ids, which differ between files.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from exptrack.database.connection import Connection
from exptrack.database.row_sums import SEAL_KIND, Rows, encode_rows, hash_row, sum_rows, wrap_sum
from exptrack.digests import sha256
from exptrack.hashed_lists import encode_list
from exptrack.metrics.series_seals import seal_series
from exptrack.metrics.store import PointsChecksum
from exptrack.records import RunStatus
from exptrack.runs.row_sums import OF_RUN, SEAL, SEAL_SUMMED
from exptrack.runs.store import WrittenRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUN_FACTS = """
SELECT run_id, status, reason, traceback, started_at, ended_at, duration_ms, config_hash,
       family, fingerprint, host, vcs_commit, vcs_dirty
FROM run WHERE id = ?
"""
RUN_SERIES = """
SELECT n.name, s.count, s.nan_count, s.first_step, s.first_value, s.last_step, s.last_value, s.last_time_ms,
       s.top_step, s.min_step, s.min_value, s.max_step, s.max_value, s.value_sum, s.completed, s.checksum
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric WHERE s.run = ? ORDER BY n.name
"""
STATUS = "SELECT status FROM run WHERE id = ?"
SEAL_RUN = "UPDATE run SET checksum = ?, rows_sum = add_wrapping(rows_sum, ?) WHERE id = ?"

SERIES_KIND = "metric_series"
SEALED = (
    Rows("run", RUN_FACTS),
    *(rows for rows in OF_RUN if rows.kind in ("run_environment", "run_config", "config_value")),
    Rows(SERIES_KIND, RUN_SERIES),
)


def seal_run(
    connection: Connection,
    run: int,
    *,
    completed: bool,
    known: Mapping[int, tuple[int, PointsChecksum]] | None = None,
) -> None:
    """Save the checksums of a run that has ended. Call inside a transaction; `known` as in `seal_series`."""
    series = seal_series(connection, run, completed=completed, known=known)
    _save_checksum(connection, run, _encode_series(series))


def reseal_run(connection: Connection, run: int, names: Container[str] | None = None) -> None:
    """Seal a run that gained points after its end, in these metrics or in any. Call inside a transaction."""
    completed = connection.value(STATUS, (run,)) == RunStatus.COMPLETED
    if connection.value(SEAL_SUMMED, (run,)) is None:
        names = None  # the seals of all its series were lifted before
    series = seal_series(connection, run, completed=completed, names=names)
    _save_checksum(connection, run, _encode_series(series))


def save_run_checksum(connection: Connection, run: int, written: WrittenRun | None = None) -> None:
    """Save the checksum of a run whose series are sealed already. Call inside a transaction.

    `written` is what was written of a run that began in the same transaction. It has no seal yet.
    """
    known = {} if written is None else {kind: [line] for kind, line in written.lines.items()}
    _save_checksum(connection, run, known, has_seal=written is None)


def _encode_series(series: list[tuple[Any, ...]]) -> dict[str, list[bytes]]:
    """Encode what `seal_series` returns, as :data:`RUN_SERIES` would find it now."""
    return {SERIES_KIND: [encode_list((SERIES_KIND, *facts)) for facts in series]}


def _save_checksum(
    connection: Connection, run: int, known: Mapping[str, list[bytes]], *, has_seal: bool = True
) -> None:
    checksum = checksum_run(connection, run, known)
    before = sum_rows(connection, SEAL, (run,)) if has_seal else 0
    change = hash_row(SEAL_KIND, (checksum,)) - before
    connection.execute(SEAL_RUN, (checksum, wrap_sum(change), run))


def checksum_run(connection: Connection, run: int, known: Mapping[str, list[bytes]] | None = None) -> str:
    """Return the SHA-256 (hex) over a run's facts, environment, config and series, each list as a line.

    Points are covered through the checksums of their series. `known` are lines that the caller has just
    written, by the kind of their rows; they are not read back.
    """
    digest = sha256()
    for rows in SEALED:
        lines = None if known is None else known.get(rows.kind)
        for line in encode_rows(connection, rows, (run,)) if lines is None else lines:
            digest.update(line + b"\n")
    return digest.hexdigest()
