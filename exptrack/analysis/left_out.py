"""Find the runs that rankings, groups and importances leave out, and why.

Invariants: only runs that logged the metric and satisfy the filter count, so other experiments in the same file
do not. A run has one reason. Runs in the trash are in no count.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from exptrack.analysis.records import RunsLeftOut
from exptrack.analysis.values import PRUNED_RUNS, VALUES_OF_RUNS
from exptrack.database.connection import Connection, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.query.asked import NEWEST_FIRST
from exptrack.query.conditions import names_pruned
from exptrack.query.field_sql import METRIC_VALUES
from exptrack.query.fields import check_statistic
from exptrack.query.metric_names import read_metric_name
from exptrack.query.names import read_filters
from exptrack.query.run_sql import TRASHED
from exptrack.query.selection import Selection
from exptrack.runs.ownership import find_dead_runs

# Runs that are not completed: an index has those that ended, another one the live ones.
_NOT_COMPLETED = """
SELECT s.run, r.status FROM metric_series AS s CROSS JOIN run AS r ON r.id = s.run
WHERE s.metric = :metric AND s.completed = 0 AND s.checksum IS {state}
"""
ENDED_OTHERWISE = _NOT_COMPLETED.format(state="NOT NULL")
STILL_LIVE = _NOT_COMPLETED.format(state="NULL")
# The index of the value leads to NaN, which is NULL, and to the infinities.
NOT_FINITE = """
SELECT s.run FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1 AND {value} IS NULL
UNION ALL
SELECT s.run FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1 AND {value} = 9e999
UNION ALL
SELECT s.run FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1 AND {value} = -9e999
"""


@in_reading
def count_left_out(connection: Connection, metric: object, where: object, statistic: object) -> RunsLeftOut:
    """Count the runs that are left out; see :meth:`exptrack.Archive.count_left_out`."""
    with connection.snapshot():
        return count_reasons(find_left_out(connection, metric, where, statistic).values())


@decoding_rows
def find_left_out(
    connection: Connection, metric: object, where: object, statistic: object, *, not_finite: bool = True
) -> dict[int, str]:
    """Return why each run that is left out is left out. Call inside a snapshot.

    Runs whose value is NaN or infinite are among them with `not_finite`.
    """
    wanted, counts = read_metric_name(connection, metric, check_statistic(statistic))
    value = METRIC_VALUES[counts]
    condition = read_filters(connection, where)
    asked: dict[str, int | str] = {"metric": wanted}
    dead = find_dead_runs(connection)
    gone = frozenset(dead)
    found: dict[int, str] = {}
    for sql in (ENDED_OTHERWISE, STILL_LIVE):
        for run, status in connection.fold(sql, asked, list):
            found[run] = "interrupted" if run in gone else status
    if not names_pruned(condition):
        pruned = Selection(connection, PRUNED_RUNS, NEWEST_FIRST).find_members()
        of_pruned = {**asked, "runs": json.dumps(list(pruned))}
        found |= {
            run: "pruned"
            for run, _value in connection.fold(VALUES_OF_RUNS.format(value=value), of_pruned, list)
        }
    if not_finite:
        for (run,) in connection.fold(NOT_FINITE.format(value=value), asked, list):
            found.setdefault(run, "not_finite")
    trashed = {row[0] for row in connection.all(TRASHED)}
    members = None
    if condition.conditions:
        members = frozenset(Selection(connection, condition, NEWEST_FIRST, dead).find_members())
    return {
        run: reason
        for run, reason in found.items()
        if run not in trashed and (members is None or run in members)
    }


def count_reasons(reasons: Iterable[str]) -> RunsLeftOut:
    """Count runs by the reason why they are left out."""
    return RunsLeftOut(**Counter(reasons))
