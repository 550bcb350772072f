"""The values of a metric over runs, and the config keys that questions about them name.

Invariant: numbers that are NaN or infinite are counted or left out openly. Runs of pruned trials, whose numbers
are those of a part, enter only where a filter speaks of them.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from typing import Any

from exptrack.database.connection import Connection
from exptrack.errors import InvalidTypeError, InvalidValueError, MetricNotFoundError
from exptrack.query.compiler import KEY_ID, METRIC_ID, METRIC_VALUES, SOME_KEYS, check_names_exist
from exptrack.query.conditions import EVERYTHING, PRUNED, Comparison, Field
from exptrack.query.frames import check_statistic
from exptrack.query.parser import parse_filter
from exptrack.query.ranking import METRIC_NAMES, speaks_of_pruned
from exptrack.query.selection import NEWEST_FIRST, Selection
from exptrack.runs.ownership import dead_runs
from exptrack.validation import check_name, check_text, short_repr

VALUES = """
SELECT s.run, {value} FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1
"""
VALUES_OF_RUNS = """
SELECT s.run, {value} FROM metric_series AS s
WHERE s.metric = :metric AND s.run IN (SELECT value FROM json_each(:runs)) AND s.completed = 1
"""
PRUNED_TRIALS = Comparison(Field("attribute", "status"), "=", (PRUNED,))


def _check_where(connection: Connection, where: object) -> Any:
    if where is None:
        return EVERYTHING
    condition = parse_filter(where)
    assert isinstance(where, str)
    check_names_exist(connection, condition, where)
    return condition


def _numbers(connection: Connection, metric: object, where: object, statistic: object) -> dict[int, float]:
    """A value of a metric for each completed run that has it; NaN where it is, or where all its points are."""
    name = check_name(metric, "metric")
    value = METRIC_VALUES[check_statistic(statistic)]
    condition = _check_where(connection, where)
    number = connection.value(METRIC_ID, (name,))
    if number is None:
        names = [row["name"] for row in connection.all(METRIC_NAMES)]
        raise MetricNotFoundError(name, str(connection.path), difflib.get_close_matches(name, names, n=3))
    asked = {"metric": number}
    sql = VALUES
    if condition is not EVERYTHING:
        chosen = Selection(connection, condition, NEWEST_FIRST, dead_runs(connection)).rows(None)
        asked["runs"], sql = json.dumps([one.run for one in chosen]), VALUES_OF_RUNS
    pruned: set[int] = set()
    if not speaks_of_pruned(condition):
        pruned = {one.run for one in Selection(connection, PRUNED_TRIALS, NEWEST_FIRST).rows(None)}
    rows = connection.fold(sql.format(value=value), asked, list)
    return {run: math.nan if found is None else found for run, found in sorted(rows) if run not in pruned}


def _check_keys(connection: Connection, keys: object) -> list[str]:
    several = [keys] if isinstance(keys, str) else keys
    if not isinstance(several, Iterable):
        raise InvalidTypeError(f"keys are config keys, like 'optimizer.lr', not {short_repr(keys)}")
    checked = list(dict.fromkeys(check_text(key, "config key") for key in several))
    if not checked:
        raise InvalidValueError("no config key is given")
    for key in checked:
        if connection.value(KEY_ID, (key,)) is None:
            known = [row["key"] for row in connection.all(SOME_KEYS)]
            close = difflib.get_close_matches(key.removeprefix("config."), known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InvalidValueError(f"no run has a config key {short_repr(key)}{hint}")
    return checked
