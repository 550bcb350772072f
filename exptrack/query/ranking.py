"""Rank completed runs by a metric.

Invariants: a ranking reads an index in its order. NaN and the infinities are never the best. Runs of pruned
trials are left out unless a filter names them. Without a filter, nothing of the filter language is imported.
"""

from __future__ import annotations

from collections.abc import Iterable

from exptrack.database.connection import Connection, in_reading
from exptrack.named_tuples import NamedTuple
from exptrack.query.metric_names import read_metric_name
from exptrack.query.run_sql import IS_PRUNED
from exptrack.records import RunSummary
from exptrack.runs.lookup import read_runs, summarize_runs
from exptrack.validation import check_choice, check_direction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A statement for each value and direction, because an index holds each order. The bounds exclude NaN, which is
# NULL, and the infinities. Of equal runs, the one stored first wins.
_BEST = """
SELECT r.id, s.{column} AS value
FROM {{source}} JOIN run AS r ON r.id = s.run
WHERE s.metric = ? AND s.completed = 1
  AND s.{column} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308
  AND {{test}}
ORDER BY s.{column} {order}, s.run LIMIT ?
"""
SERIES = "metric_series AS s"
RANKED_VALUES = ("last", "min", "max")
BEST: dict[tuple[str, str], str] = {
    (value, direction): _BEST.format(column=f"{value}_value", order=order)
    for value in RANKED_VALUES
    for direction, order in (("minimize", "ASC"), ("maximize", "DESC"))
}


class Choice(NamedTuple):
    """Which runs are ranked: the source of their series, a test of each run, and the values that both bind."""

    source: str
    test: str
    source_values: tuple[Any, ...] = ()
    test_values: tuple[Any, ...] = ()


EVERY_RUN = Choice(SERIES, f"NOT {IS_PRUNED} AND r.deleted_at IS NULL")


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
    source, test, given, values = _read_filters(connection, where) if where else EVERY_RUN
    row_id, by = read_metric_name(connection, metric, by)
    by = check_choice(by, "the statistic of a ranking", RANKED_VALUES)
    sql = BEST[by, direction].format(source=source, test=test)
    ranked = connection.fold(sql, (*given, row_id, *values, limit), list)
    rows = {row["id"]: row for row in read_runs(connection, [run for run, _value in ranked])}
    records = summarize_runs(connection, [rows[run] for run, _value in ranked], ())
    return [(record, value) for record, (_run, value) in zip(records, ranked, strict=True)]


def _read_filters(connection: Connection, where: object) -> Choice:
    """Return the choice of runs by filters: few candidates are read rather than all series."""
    from exptrack.query.compiler import FEW, Compiler, unite
    from exptrack.query.conditions import PRUNED, And, Not, compare_fact, names_pruned
    from exptrack.query.names import read_filters

    condition = read_filters(connection, where)
    if not names_pruned(condition):
        condition = And((*condition.conditions, Not(compare_fact("status", "=", PRUNED))))
    compiler = Compiler(connection)  # no completed run is dead
    test = compiler.admit(condition)
    asked = f"({test.sql.format(id='r.id')})"
    candidates = compiler.find_candidates(condition)
    if candidates and compiler.count(candidates, FEW) <= FEW:
        union = unite(candidates, "UNION")
        source = f"({union.sql}) AS d CROSS JOIN {SERIES} ON s.run = d.run"
        return Choice(source, asked, union.values, test.values)
    return Choice(SERIES, asked, (), test.values)
