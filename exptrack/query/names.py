"""Look up config keys, metrics and attributes by name, and suggest a known name for a misspelled one.

Invariant: a suggestion reads at most 10,000 names, however many the archive has.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from heapq import nlargest
from itertools import pairwise
from typing import TypeAlias

from exptrack.database.connection import Connection
from exptrack.errors import FilterError, MetricNotFoundError
from exptrack.metrics.store import IS_SHOWN
from exptrack.plain import read_names
from exptrack.query.conditions import And, Comparison, Condition, Field, comparisons
from exptrack.query.name_ids import find_key, find_metric
from exptrack.query.parser import parse_filter
from exptrack.validation import check_text

FEW_NAMES = 300  # are compared letter by letter
SOME_KEYS = "SELECT key FROM config_key ORDER BY key LIMIT 10000"
SOME_METRICS = f"SELECT n.name FROM metric_name AS n WHERE {IS_SHOWN} ORDER BY n.name LIMIT 10000"
# From one key to the next along an index, however many runs have each. Keys that are always null are left out.
HAS_ATTR = """
SELECT EXISTS (SELECT 1 FROM run_attribute WHERE key = :key AND num IS NOT NULL)
    OR EXISTS (SELECT 1 FROM run_attribute WHERE key = :key AND text IS NOT NULL)
"""
SOME_ATTRS = """
WITH RECURSIVE
    numbers (key) AS (
        SELECT min(key) FROM run_attribute WHERE num IS NOT NULL
        UNION ALL
        SELECT (SELECT min(a.key) FROM run_attribute AS a WHERE a.num IS NOT NULL AND a.key > numbers.key)
        FROM numbers WHERE numbers.key IS NOT NULL LIMIT 10000
    ),
    texts (key) AS (
        SELECT min(key) FROM run_attribute WHERE text IS NOT NULL
        UNION ALL
        SELECT (SELECT min(a.key) FROM run_attribute AS a WHERE a.text IS NOT NULL AND a.key > texts.key)
        FROM texts WHERE texts.key IS NOT NULL LIMIT 10000
    )
SELECT key FROM numbers WHERE key IS NOT NULL UNION SELECT key FROM texts WHERE key IS NOT NULL
"""

_Find: TypeAlias = Callable[[Connection, str], "int | None"]
_Suggest: TypeAlias = Callable[[Connection, str], "str | None"]


def get_metric(connection: Connection, name: str) -> int:
    """Return the row id of a metric.

    Raises:
        MetricNotFoundError: no run has logged it; the error suggests similar names.
    """
    metric = find_metric(connection, name)
    if metric is None:
        raise MetricNotFoundError(name, str(connection.path), _suggest(connection, SOME_METRICS, name, most=3))
    return metric


def suggest_key(connection: Connection, name: str) -> str | None:
    """Return the config key whose name is most similar, if one is similar enough."""
    return next(iter(_suggest(connection, SOME_KEYS, name)), None)


def suggest_metric(connection: Connection, name: str) -> str | None:
    """Return the metric whose name is most similar, if one is similar enough."""
    return next(iter(_suggest(connection, SOME_METRICS, name)), None)


def find_attr(connection: Connection, key: str) -> int | None:
    """Return whether a run has an attribute with a number or text: 1, or None."""
    return 1 if connection.value(HAS_ATTR, {"key": key}) else None


def suggest_attr(connection: Connection, key: str) -> str | None:
    """Return the key of an attribute that is most similar, if one is similar enough."""
    return next(iter(_suggest(connection, SOME_ATTRS, key)), None)


def _suggest(connection: Connection, sql: str, name: str, most: int = 1) -> list[str]:
    known = [row[0] for row in connection.all(sql)]
    if len(known) > FEW_NAMES:
        # difflib takes 20 µs a name, and counting the pairs of characters that two names share takes 3.
        pairs = set(pairwise(name))
        known = nlargest(
            FEW_NAMES,
            known,
            key=lambda one: (len(pairs.intersection(pairwise(one))), -abs(len(one) - len(name))),
        )
    return difflib.get_close_matches(name, known, n=most)


# How to find a name of each kind, how to suggest one, and the word that stands before it in a filter.
LOOKUPS: dict[str, tuple[_Find, _Suggest, str]] = {
    "config": (find_key, suggest_key, "config"),
    "metric": (find_metric, suggest_metric, "metrics"),
    "attribute": (find_attr, suggest_attr, "attr"),
}


def read_filters(connection: Connection, where: object) -> And:
    """Read a filter, or several that a run must all satisfy; None is no filter. Each is read by itself.

    Raises:
        FilterError: a filter is wrong, or a name in it looks misspelled; the message shows where.
    """
    texts = [] if where is None else read_names(where, "filters", like="['config.lr > 0.1']")
    parts: list[Condition] = []
    for text in [check_text(text, "filter") for text in texts]:
        condition = parse_filter(text)
        check_names_exist(connection, condition, text)
        parts += condition.conditions if isinstance(condition, And) else [condition]
    return And(tuple(parts))


def check_names_exist(connection: Connection, condition: Condition, text: str) -> None:
    """Refuse a comparison whose key or metric looks misspelled: no run has it, but a similar one exists.

    Raises:
        FilterError: a name looks misspelled; the message suggests the similar one.
    """
    for one in comparisons(condition):
        field = one.field
        if field.kind == "fact" or one.operator in ("is null", "exists"):
            continue
        find, suggest, root = LOOKUPS[field.kind]
        if find(connection, field.name) is None:
            close = suggest(connection, field.name)
            if close is not None:
                problem = f"no run has {field}; did you mean {root}.{close}?"
                raise FilterError(problem, text, one.position)


def check_field_exists(connection: Connection, field: Field, text: str) -> None:
    """Refuse a field, outside of a filter, whose key or metric looks misspelled.

    Raises:
        FilterError: the name looks misspelled; the message suggests the similar one.
    """
    check_names_exist(connection, Comparison(field, "is comparable"), text)
