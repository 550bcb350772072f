"""Rank completed runs by a metric.

Invariants: a ranking reads an index in its order. NaN and the infinities are never the best. Runs of pruned
trials are left out unless a filter names them.
"""

from __future__ import annotations

from collections.abc import Iterable

from exptrack.database.connection import Connection, in_reading
from exptrack.query.compiler import FEW, Compiler, Fragment, unite
from exptrack.query.conditions import PRUNED, And, Not, compare_fact, names_pruned
from exptrack.query.metric_names import read_metric_name
from exptrack.query.names import read_filters
from exptrack.records import RunSummary
from exptrack.runs.lookup import resolve_run, summarize_runs
from exptrack.validation import check_choice, check_direction

# A statement for each value and direction, because an index holds each order. The bounds exclude NaN, which is
# NULL, and the infinities. Of equal runs, the one stored first wins.
_BEST = """
SELECT r.run_id, s.{column} AS value
FROM {{source}} JOIN run AS r ON r.id = s.run
WHERE s.metric = ? AND s.completed = 1
  AND s.{column} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308
  AND {{test}}
ORDER BY s.{column} {order}, s.run LIMIT ?
"""
RANKED_VALUES = ("last", "min", "max")
BEST: dict[tuple[str, str], str] = {
    (value, direction): _BEST.format(column=f"{value}_value", order=order)
    for value in RANKED_VALUES
    for direction, order in (("minimize", "ASC"), ("maximize", "DESC"))
}


@in_reading
def best_runs(
    connection: Connection,
    metric: str,
    direction: str,
    *,
    by: str = "last",
    limit: int = 1,
    where: str | Iterable[str] = (),
) -> list[tuple[RunSummary, float]]:
    """Return the completed runs with the best value of a metric, best first, each with that value.

    `direction` is ``"minimize"`` or ``"maximize"``, or short ``"min"`` or ``"max"``. `by` chooses the value of
    each run: ``"last"``, ``"min"`` or ``"max"``. `where` is a filter, or several. A run whose value is NaN or
    infinite is never returned. Runs of pruned trials are returned only if a filter names them.

    Raises:
        MetricNotFoundError: no run has logged this metric.
        FilterError: a filter is wrong; the message shows where.
    """
    direction = check_direction(direction)
    by = check_choice(by, "by", RANKED_VALUES)
    condition = read_filters(connection, where)
    row_id, by = read_metric_name(connection, metric, by)
    by = check_choice(by, "the statistic of a ranking", RANKED_VALUES)
    if not names_pruned(condition):
        condition = And((*condition.conditions, Not(compare_fact("status", "=", PRUNED))))
    source, test = _choose_source(connection, condition)
    sql = BEST[by, direction].format(source=source.sql, test=test.sql)
    found = connection.all(sql, (*source.values, row_id, *test.values, limit))
    rows = [resolve_run(connection, row["run_id"]) for row in found]
    records = summarize_runs(connection, rows, ())
    return [(record, row["value"]) for record, row in zip(records, found, strict=True)]


def _choose_source(connection: Connection, condition: And) -> tuple[Fragment, Fragment]:
    """Return the source of a ranking and its test of a run: few candidates are read rather than all series."""
    compiler = Compiler(connection)  # no completed run is dead
    test = compiler.admit(condition)
    asked = Fragment(f"({test.sql.format(id='r.id')})", test.values)
    candidates = compiler.find_candidates(condition)
    if candidates and compiler.count(candidates, FEW) <= FEW:
        union = unite(candidates, "UNION")
        source = f"({union.sql}) AS d CROSS JOIN metric_series AS s ON s.run = d.run"
        return Fragment(source, union.values), asked
    return Fragment("metric_series AS s"), asked
