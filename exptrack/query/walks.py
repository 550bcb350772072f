"""Walk along an index in the order of a field, so that the first runs of an order need no sorting.

A walk covers a part of the values. A metric has an index for each state of its series. A config key or
attribute has one for numbers and one for texts. The parts, merged, are all runs that have a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.query.compiler import EXACT_NUMBER
from exptrack.query.conditions import Field
from exptrack.query.field_sql import INDEXED_VALUES, METRIC_VALUES, STATES
from exptrack.query.name_ids import find_key, find_metric
from exptrack.validation import EXACT_INT

BEYOND_EXACT = """
SELECT coalesce((SELECT max(num) FROM {table} WHERE key = :key AND num IS NOT NULL) >= :limit, 0)
    OR coalesce((SELECT min(num) FROM {table} WHERE key = :key AND num IS NOT NULL) <= -:limit, 0)
"""


class Walk(NamedTuple):
    """Rows, called m, of a table whose index has the order `key`; m.run is the run, `value` its value."""

    table: str
    where: str
    values: tuple[Any, ...]
    value: str
    key: str


def has_walks(field: Field) -> bool:
    """Return whether indexes have the order of a field."""
    return field.kind in ("config", "attribute") or (
        field.kind == "metric" and field.statistic in INDEXED_VALUES
    )


def list_walks(connection: Connection, field: Field, descending: bool, after: Any) -> list[Walk]:
    """Return the walks in the order of a field, beginning at the value `after` if that is not None."""
    if field.kind == "metric":
        metric, value = find_metric(connection, field.name), METRIC_VALUES[field.statistic]
        tests = [f"m.metric = ? AND {state.format(s='m')} AND {value} IS NOT NULL" for state in STATES]
        return [Walk("metric_series AS m", test, (metric,), value, value) for test in tests]
    key: Any = field.name if field.kind == "attribute" else find_key(connection, field.name)
    table = "run_attribute" if field.kind == "attribute" else "config_value"
    return [] if key is None else list(_walk_values(connection, table, key, descending, after))


def _walk_values(connection: Connection, table: str, key: Any, descending: bool, after: Any) -> Iterator[Walk]:
    # Numbers come before texts. By a plus sign SQLite compares neither of them as the other.
    behind = "<=" if descending else ">="
    is_text = isinstance(after, str)
    if after is None or descending or not is_text:
        value = "+m.num"
        if connection.value(BEYOND_EXACT.format(table=table), {"key": key, "limit": float(EXACT_INT)}):
            value = EXACT_NUMBER.format("+m.num").replace("v.", "m.")
        begin, first = ("", ()) if after is None or is_text else (f" AND m.num {behind} ?", (float(after),))
        test = f"m.key = ? AND m.num IS NOT NULL{begin}"
        yield Walk(f"{table} AS m", test, (key, *first), value, "m.num")
    if after is None or not descending or is_text:
        begin, first = (f" AND m.text {behind} ?", (after,)) if is_text else ("", ())
        test = f"m.key = ? AND m.text IS NOT NULL AND m.num IS NULL{begin}"
        yield Walk(f"{table} AS m", test, (key, *first), "+m.text", "m.text")
