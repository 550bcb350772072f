"""Move runs to the trash and back.

Invariants:

- A run in the trash has ended. It takes no changes, and no list, filter, ranking or analysis finds it.
- It keeps everything. Its id still leads to it, in full or, where no run outside the trash fits, by its
  beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from exptrack.database.connection import Connection, Row, in_reading, in_section
from exptrack.errors import RunBusyError
from exptrack.records import RunStatus, RunSummary
from exptrack.runs.events import record_event, time_of_event
from exptrack.runs.lookup import RUN_COLUMNS, resolve_run, summarize_runs
from exptrack.runs.row_sums import changing_run
from exptrack.runs.store import begin_group
from exptrack.shown import shown
from exptrack.times import moment, utc_text

IN_TRASH = f"{RUN_COLUMNS}WHERE r.deleted_at IS NOT NULL ORDER BY r.deleted_at DESC, r.id DESC"
IN_TRASH_SINCE = "SELECT id FROM run WHERE deleted_at <= ? ORDER BY deleted_at"
MARK_RUN = "UPDATE run SET deleted_at = ? WHERE id = ?"
TRASH_EVENT, RESTORE_EVENT = "trash", "restore"


@shown
class TrashedRun(NamedTuple):
    """A run in the trash, and when it was moved there."""

    run: RunSummary
    deleted_at: datetime


@in_section
def trash_runs(connection: Connection, run_ids: Iterable[object]) -> list[str]:
    """Move runs to the trash; see :meth:`exptrack.Archive.trash_run`."""
    with connection.transaction():
        rows = {row["id"]: row for row in (resolve_run(connection, one) for one in run_ids)}
        mark_as_trash(connection, rows.values(), utc_text())
    return [row["run_id"] for row in rows.values()]


def mark_as_trash(connection: Connection, rows: Iterable[Row], at: str, advice: str = "end it first") -> None:
    """Move the runs of these rows to the trash, all at one time. Call inside a transaction.

    Raises:
        RunBusyError: one of the runs is running; the error gives the advice.
    """
    for row in rows:
        if row["status"] == RunStatus.RUNNING:
            raise RunBusyError(row["run_id"], f"on {row['host']}", advice)
        if row["deleted_at"] is None:
            _mark(connection, row["id"], at, TRASH_EVENT)


@in_section
def restore_runs(connection: Connection, run_ids: Iterable[object]) -> list[str]:
    """Take runs out of the trash; see :meth:`exptrack.Archive.restore_run`."""
    with connection.transaction():
        rows = {row["id"]: row for row in (resolve_run(connection, one, trash_first=True) for one in run_ids)}
        unmark_as_trash(connection, rows.values())
    return [row["run_id"] for row in rows.values()]


def unmark_as_trash(connection: Connection, rows: Iterable[Row]) -> None:
    """Take the runs of these rows out of the trash. Call inside a transaction."""
    for row in rows:
        if row["deleted_at"] is not None:
            _mark(connection, row["id"], None, RESTORE_EVENT)
            if row["group_name"] is not None:
                begin_group(connection, row["group_name"], utc_text())


def _mark(connection: Connection, run: int, deleted_at: str | None, event: str) -> None:
    with changing_run(connection, run):
        connection.execute(MARK_RUN, (deleted_at, run))
    record_event(connection, run, event, at=time_of_event(connection, run, deleted_at), late=True)


@in_reading
def list_trash(connection: Connection) -> list[TrashedRun]:
    """List the runs in the trash, those that were moved there last first."""
    rows: Sequence[Row] = connection.all(IN_TRASH)
    summaries = summarize_runs(connection, rows, ())
    return [TrashedRun(run, moment(row["deleted_at"])) for run, row in zip(summaries, rows, strict=True)]
