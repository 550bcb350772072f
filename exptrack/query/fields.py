"""What runs have in chosen fields: a value for each run and field, typed as it was stored.

Invariants: reading takes a few statements however many runs and fields there are. A run that lacks a field has
None there; a metric whose value is NaN has NaN. Every name and number is bound.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from exptrack.database.connection import Connection
from exptrack.query.compiler import ATTRIBUTE_VALUES, KEY_ID, METRIC_ID, METRIC_VALUES, SETS
from exptrack.query.conditions import ATTRIBUTES, Field
from exptrack.records import RunStatus, TrialState
from exptrack.times import moment

NUMBERS = "SELECT run_id, id FROM run WHERE run_id IN (SELECT value FROM json_each(?))"
CONFIG_VALUES = """
SELECT v.run, v.type, v.num, v.text FROM config_value AS v
WHERE v.key = ? AND v.run IN (SELECT value FROM json_each(?))
"""
SERIES_VALUES = """
SELECT s.run, {value} FROM metric_series AS s
WHERE s.metric = ? AND s.run IN (SELECT value FROM json_each(?))
"""
SET_VALUES = "SELECT {run}, {word} FROM {table} WHERE {run} IN (SELECT value FROM json_each(?)) ORDER BY 1, 2"
RUN_VALUES = "SELECT r.id, {value} FROM run AS r WHERE r.id IN (SELECT value FROM json_each(?))"
# The point that these tell of is always there: no value means NaN.
_LOGGED = ("last", "first")


def run_numbers(connection: Connection, run_ids: Sequence[str]) -> list[int]:
    """The numbers of runs in this file; of one that was deleted meanwhile, one that no run has."""
    found = {row["run_id"]: row["id"] for row in connection.all(NUMBERS, (json.dumps(list(run_ids)),))}
    return [found.get(run_id, 0) for run_id in run_ids]


def read_column(connection: Connection, runs: Sequence[int], field: Field, dead: Sequence[int]) -> list[Any]:
    """The value of one field for each run, in their order; `dead` runs count as interrupted.

    Text, int, float, bool or list; a moment for times, seconds for durations; a tuple of words for tags, notes
    and artifacts.
    """
    wanted = json.dumps(list(runs))
    found: dict[int, Any]
    if field.kind == "config":
        key = connection.value(KEY_ID, (field.name,))
        found = {run: config_value(*leaf) for run, *leaf in connection.all(CONFIG_VALUES, (key, wanted))}
    elif field.kind == "metric":
        metric = connection.value(METRIC_ID, (field.name,))
        sql = SERIES_VALUES.format(value=METRIC_VALUES[field.statistic])
        missing = math.nan if field.statistic in _LOGGED else None
        rows = connection.all(sql, (metric, wanted))
        found = {run: missing if value is None else value for run, value in rows}
    elif field.name in SETS:
        found = _words(connection, field, wanted)
        return [found.get(run, ()) for run in runs]
    else:
        rows = connection.all(RUN_VALUES.format(value=ATTRIBUTE_VALUES[field.name]), (wanted,))
        found = {run: _attribute_value(ATTRIBUTES[field.name], value) for run, value in rows}
        if field.name == "status":
            found |= dict.fromkeys(found.keys() & set(dead), RunStatus.INTERRUPTED)
    return [found.get(run) for run in runs]


def config_value(kind: str, num: float | None, text: str | None) -> Any:
    """A row of ``config_value`` as the value it was made from."""
    if kind == "int":
        return int(text) if text is not None else int(num or 0)
    if kind == "float":
        return float(text) if text is not None else num
    if kind == "text" or text is None:
        return text
    return json.loads(text)


def _words(connection: Connection, field: Field, wanted: str) -> dict[int, tuple[str, ...]]:
    table, run, word = SETS[field.name]
    condition, _, number = run.rpartition(" AND ")
    sql = SET_VALUES.format(table=table, run=number, word=word)
    if condition:
        sql = sql.replace(" WHERE ", f" WHERE {condition} AND ", 1)
    found: dict[int, dict[str, None]] = {}
    for one, text in connection.all(sql, (wanted,)):
        found.setdefault(one, {})[text] = None
    return {one: tuple(texts) for one, texts in found.items()}


def _attribute_value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "time":
        return moment(value)
    if kind == "status":
        return RunStatus(value)
    if kind == "state":
        return TrialState(value)
    return bool(value) if kind == "bool" else value
