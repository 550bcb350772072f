"""Read a metric and config keys of the runs that an analysis is about.

Invariants: NaN and infinite values are never dropped silently; each analysis counts them or leaves them out
openly. Runs of pruned trials have values of only a part of a training, so they count only if a filter names
them.
"""

from __future__ import annotations

import json
import math

from exptrack.config.store import StoredValue
from exptrack.database.connection import Connection
from exptrack.errors import InvalidValueError
from exptrack.plain import read_names, short_repr
from exptrack.query.asked import NEWEST_FIRST
from exptrack.query.conditions import EVERYTHING, PRUNED, compare_fact, names_pruned
from exptrack.query.field_sql import METRIC_VALUES
from exptrack.query.fields import check_statistic
from exptrack.query.metric_names import read_metric_name
from exptrack.query.name_ids import find_key
from exptrack.query.names import read_filters, suggest_key
from exptrack.query.run_sql import TRASHED
from exptrack.query.selection import Selection
from exptrack.runs.ownership import find_dead_runs
from exptrack.validation import check_text

VALUES = """
SELECT s.run, {value} FROM metric_series AS s WHERE s.metric = :metric AND s.completed = 1
"""
VALUES_OF_RUNS = """
SELECT s.run, {value} FROM metric_series AS s
WHERE s.metric = :metric AND s.run IN (SELECT value FROM json_each(:runs)) AND s.completed = 1
"""
PRUNED_RUNS = compare_fact("status", "=", PRUNED)


def read_metric(connection: Connection, metric: object, where: object, statistic: object) -> dict[int, float]:
    """Return a value of a metric for each completed run that logged it and satisfies `where`.

    A value is NaN if NaN was logged, or if the statistic has no value because all points are NaN.
    """
    found, counts = read_metric_name(connection, metric, check_statistic(statistic))
    value = METRIC_VALUES[counts]
    condition = read_filters(connection, where)
    sql = VALUES
    asked: dict[str, int | str] = {"metric": found}
    if condition != EVERYTHING:
        chosen = Selection(connection, condition, NEWEST_FIRST, find_dead_runs(connection)).find_members()
        asked["runs"], sql = json.dumps(list(chosen)), VALUES_OF_RUNS
    left_out: set[int] = {row[0] for row in connection.all(TRASHED)}
    if not names_pruned(condition):
        left_out.update(Selection(connection, PRUNED_RUNS, NEWEST_FIRST).find_members())
    rows = connection.fold(sql.format(value=value), asked, list)
    return {run: math.nan if found is None else found for run, found in sorted(rows) if run not in left_out}


def check_keys(connection: Connection, keys: object) -> list[str]:
    """Return config keys, given as one text or several, if each belongs to some run."""
    several = read_names(keys, "keys", like="['optimizer.lr']")
    checked = list(dict.fromkeys(check_text(key, "config key") for key in several))
    if not checked:
        raise InvalidValueError("no config key is given; name at least one, like 'optimizer.lr'")
    for key in checked:
        if find_key(connection, key) is None:
            close = suggest_key(connection, key.removeprefix("config.").removeprefix("params."))
            hint = f"; did you mean {close}?" if close else ""
            raise InvalidValueError(f"no run has a config key {short_repr(key)}{hint}")
    return checked


def number_of(leaf: StoredValue) -> int | float | None:
    """Return the number that a stored config value is, exactly; None if it is none."""
    kind, num, text = leaf
    return int(text) if kind == "int" and text is not None else num


def rank_stored(leaf: StoredValue | None) -> tuple[int, float, str, str]:
    """Return a sort key for a stored config value: numbers, then bools, texts, all else, and None last."""
    if leaf is None:
        return (4, 0.0, "", "")
    kind, _num, text = leaf
    rank = {"int": 0, "float": 0, "bool": 1, "text": 2}.get(kind, 3)
    return (rank, number_of(leaf) or 0.0, text or "", kind)
