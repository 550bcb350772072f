"""List runs, newest first, and read the rows of runs that a selection found.

Invariant: a list without a filter imports nothing of the filter language.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.errors import InvalidTypeError
from exptrack.plain import short_repr
from exptrack.records import RunSummary
from exptrack.runs.lookup import RUN_COLUMNS, RUNS_BY_ROW_ID, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.validation import check_whole

if TYPE_CHECKING:
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.selection import SelectedRun

NEWEST_RUNS = f"{RUN_COLUMNS}WHERE r.deleted_at IS NULL ORDER BY r.started_at DESC, r.id DESC LIMIT ?"


@in_reading
def list_runs(
    connection: Connection, run_filter: RunFilter | None = None, limit: int | None = None
) -> list[RunSummary]:
    """Return the runs that a filter admits, newest first."""
    limit = None if limit is None else check_whole(limit, "limit", 0)
    if run_filter is None:
        rows = connection.all(NEWEST_RUNS, (-1 if limit is None else limit,))  # SQLite takes -1 as no limit
        return summarize_runs(connection, rows, find_dead_runs(connection))
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.selection import NEWEST_FIRST, Selection

    if not isinstance(run_filter, RunFilter):
        raise InvalidTypeError(f"list_runs takes a RunFilter, not {short_repr(run_filter)}")
    dead = find_dead_runs(connection)
    found = Selection(connection, run_filter.condition(), NEWEST_FIRST, dead).rows(limit)
    return summarize_runs(connection, read_rows(connection, found), dead)


def read_rows(connection: Connection, found: Sequence[SelectedRun]) -> list[Row]:
    """Read the rows of selected runs, in their order; a run that was deleted meanwhile is left out."""
    rows = connection.all(RUNS_BY_ROW_ID, (json.dumps([one.run for one in found]),))
    by_run = {row["id"]: row for row in rows}
    return [by_run[one.run] for one in found if one.run in by_run]
