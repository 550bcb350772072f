"""List runs, newest first, and read the rows of runs that a selection found.

Invariant: a list without a filter imports nothing of the filter language.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence

from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidTypeError
from exptrack.plain import short_repr
from exptrack.query.run_sql import TRASHED
from exptrack.records import RunSummary
from exptrack.runs.lookup import RUN_COLUMNS, RUNS_BY_ROW_ID, summarize_runs
from exptrack.runs.ownership import find_dead_runs
from exptrack.validation import check_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.query.asked import SelectedRun
    from exptrack.query.run_filter import RunFilter

NEWEST_RUNS = f"{RUN_COLUMNS}WHERE r.deleted_at IS NULL ORDER BY r.started_at DESC, r.id DESC LIMIT ?"
NEWEST_ROW_IDS = f"""
SELECT json_group_array(id) FROM (
    SELECT id FROM run WHERE id NOT IN ({TRASHED}) ORDER BY started_at DESC, id DESC LIMIT ?)
"""
NO_LIMIT = -1  # of SQLite


@in_reading
def list_runs(
    connection: Connection, run_filter: RunFilter | None = None, limit: int | None = None
) -> list[RunSummary]:
    """Return the runs that a filter admits, newest first."""
    limit = None if limit is None else check_whole(limit, "limit", 0)
    if run_filter is None:
        rows = connection.fold(NEWEST_RUNS, (NO_LIMIT if limit is None else limit,), list)
        return summarize_runs(connection, rows, find_dead_runs(connection), of_all=limit is None)
    from exptrack.query.asked import NEWEST_FIRST
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.selection import Selection

    if not isinstance(run_filter, RunFilter):
        raise InvalidTypeError(f"list_runs takes a RunFilter, not {short_repr(run_filter)}")
    dead = find_dead_runs(connection)
    found = Selection(connection, run_filter.condition(), NEWEST_FIRST, dead).rows(limit)
    return summarize_runs(connection, read_rows(connection, found), dead)


@decoding_rows
def read_newest(connection: Connection, limit: int) -> array[int]:
    """Return the row ids of so many runs, or of all for -1, the newest first."""
    found = connection.value(NEWEST_ROW_IDS, (limit,))
    return array("q", json.loads(found))


def read_rows(connection: Connection, found: Sequence[SelectedRun]) -> list[tuple[Any, ...]]:
    """Read the rows of selected runs, in their order; a run that was deleted meanwhile is left out."""
    rows = connection.fold(RUNS_BY_ROW_ID, (json.dumps([one.run for one in found]),), list)
    by_run = {row[0]: row for row in rows}
    return [by_run[one.run] for one in found if one.run in by_run]
