"""Rank completed runs by a metric.

Invariants: a ranking reads an index in its order. NaN and the infinities never win one, and pruned trials enter
none unless a filter speaks of them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from exptrack.database.connection import Connection
from exptrack.errors import (
    InvalidValueError,
    MetricNotFoundError,
)
from exptrack.query.compiler import FEW, Compiler, Fragment, check_names_exist
from exptrack.query.conditions import PRUNED, And, Condition, Not, comparisons
from exptrack.query.parser import parse_filter
from exptrack.query.run_filter import _compared
from exptrack.records import RunSummary
from exptrack.runs.lookup import resolve_run, summaries
from exptrack.validation import check_direction, check_name, short_repr

METRIC_EXISTS = "SELECT 1 FROM metric_name WHERE name = ?"
METRIC_NAMES = "SELECT name FROM metric_name ORDER BY name LIMIT 10000"
# One statement per direction and value: an index holds each order, and the bounds keep NaN (NULL)
# and the infinities out. The older run wins a tie.
_BEST = """
SELECT r.run_id, s.{column} AS value
FROM {{source}} JOIN run AS r ON r.id = s.run
WHERE s.metric = (SELECT id FROM metric_name WHERE name = ?) AND s.completed = 1
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


def best_runs(
    connection: Connection,
    metric: str,
    direction: str,
    *,
    by: str = "last",
    limit: int = 1,
    where: str | Iterable[str] = (),
) -> list[tuple[RunSummary, float]]:
    """The completed runs with the best value of a metric, best first, with that value.

    `direction` is ``"minimize"`` or ``"maximize"``; `by` says which value of the run counts: ``"last"``,
    ``"min"`` or ``"max"``. `where` is a filter, or several. A run whose value is NaN or infinite is never among
    them, one of a pruned trial only where a filter speaks of that.

    Raises:
        MetricNotFoundError: no run has logged such a metric.
        FilterError: the filter is wrong.
    """
    name = check_name(metric, "metric")
    check_direction(direction)
    if not isinstance(by, str) or by not in RANKED_VALUES:
        raise InvalidValueError(f"by must be 'last', 'min' or 'max', not {short_repr(by)}")
    filters = {text: parse_filter(text) for text in ([where] if isinstance(where, str) else where)}
    for text, condition in filters.items():
        check_names_exist(connection, condition, text)
    if connection.value(METRIC_EXISTS, (name,)) is None:
        names = [row["name"] for row in connection.all(METRIC_NAMES)]
        raise MetricNotFoundError(name, str(connection.path), difflib.get_close_matches(name, names, n=3))
    conditions = tuple(filters.values())
    if not any(map(speaks_of_pruned, conditions)):
        conditions += (Not(_compared("status", "=", PRUNED)),)
    source, test = _narrowed(connection, And(conditions))
    sql = BEST[by, direction].format(source=source.sql, test=test.sql)
    found = connection.all(sql, (*source.values, name, *test.values, limit))
    rows = [resolve_run(connection, row["run_id"]) for row in found]
    records = summaries(connection, rows, ())
    return [(record, row["value"]) for record, row in zip(records, found, strict=True)]


def speaks_of_pruned(condition: Condition) -> bool:
    """Whether a filter says itself which trials it means; otherwise a ranking leaves pruned ones out."""
    return any(
        one.field.name == "trial.state" or (one.field.name == "status" and PRUNED in one.values)
        for one in comparisons(condition)
        if one.field.kind == "attribute"
    )


def _narrowed(connection: Connection, condition: And) -> tuple[Fragment, Fragment]:
    """From where a ranking reads, and what it asks of runs; where few can satisfy it, only from these."""
    compiler = Compiler(connection)  # of completed runs none is dead
    test = compiler.test(condition)
    asked = Fragment(f"({test.sql.format(id='r.id')})", test.values)
    candidates = compiler.candidates(condition)
    if candidates and compiler.count(candidates, FEW) <= FEW:
        union = " UNION ".join(part.sql for part in candidates)
        source = f"({union}) AS d CROSS JOIN metric_series AS s ON s.run = d.run"
        return Fragment(source, tuple(v for part in candidates for v in part.values)), asked
    return Fragment("metric_series AS s"), asked
