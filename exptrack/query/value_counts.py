"""Count how many runs have each value of a field, where many runs share few values.

SQLite groups the values, so that what is read grows with the number of different values, not of runs.

Invariant: the counts are those of the values that `fields` reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.query.conditions import FACTS, Field
from exptrack.query.field_sql import FACT_VALUES, METRIC_VALUES, SETS, STATES
from exptrack.query.fields import ALWAYS_LOGGED, OF_RUNS
from exptrack.query.name_ids import find_key, find_metric
from exptrack.query.run_sets import COUNT_ALL, IS_MEMBER, SCAN_SHARE, mark
from exptrack.records import RunStatus, TrialState
from exptrack.validation import EXACT_INT

# Indexes have the numbers and texts, but not their types. A number with a fraction is a float. The others are
# found in the index first: SQLite would read the row of every entry before it tests that.
_IS_FRACTION = f"abs(v.num) < {EXACT_INT} AND v.num <> CAST(v.num AS INTEGER)"
COUNT_FRACTIONS = f"""
SELECT v.num, count(*) FROM config_value AS v
WHERE v.key = :key AND v.num IS NOT NULL AND {_IS_FRACTION}{{kept}} GROUP BY v.num
"""
COUNT_NUMBERS = f"""
SELECT v.type, v.num, v.text, count(*)
FROM (
    SELECT DISTINCT v.num AS whole FROM config_value AS v
    WHERE v.key = :key AND v.num IS NOT NULL AND NOT ({_IS_FRACTION}){{kept}}
) AS found CROSS JOIN config_value AS v ON v.key = :key AND v.num = found.whole{{kept}}
GROUP BY v.num, v.type, v.text
"""
COUNT_TEXTS = """
SELECT v.text, count(*) FROM config_value AS v
WHERE v.key = :key AND v.text IS NOT NULL AND v.num IS NULL{kept} GROUP BY v.text
"""
COUNT_TYPES_OF_TEXT = """
SELECT v.type, NULL, v.text, count(*) FROM config_value AS v
WHERE v.key = :key AND v.text = :text AND v.num IS NULL{kept} GROUP BY v.type
"""
# The index of a value leads to it only if the statement says whether that is NULL.
COUNT_VALUES = """
SELECT {value}, 1 FROM metric_series AS s WHERE s.metric = :metric AND {state} AND {value} IS NOT NULL{kept}
"""
COUNT_NULLS = """
SELECT count(*) FROM metric_series AS s WHERE s.metric = :metric AND {state} AND {value} IS NULL{kept}
"""
COUNT_LEAVES_OF_RUNS = f"""
SELECT type, num, text, count(*) FROM config_value WHERE run {OF_RUNS} AND key = :key GROUP BY type, num, text
"""
COUNT_FACTS = "SELECT {value} AS value, count(*) FROM run AS r GROUP BY value"
COUNT_FACTS_OF_RUNS = f"SELECT {{value}} AS value, count(*) FROM run AS r WHERE r.id {OF_RUNS} GROUP BY value"
COUNT_WORDS = "SELECT {word} AS word, count(DISTINCT x.run) FROM {source} WHERE {test} GROUP BY word"
COUNT_HAVING = "SELECT count(DISTINCT x.run) FROM {source} WHERE {test}"
COUNT_VALUES_OF_RUNS = f"""
SELECT {{value}}, 1 FROM metric_series AS s WHERE s.run {OF_RUNS} AND s.metric = :metric
"""
MEMBER = IS_MEMBER.replace("?", ":members")
STATUS = "CASE WHEN r.id IN (SELECT value FROM json_each(:dead)) THEN 'interrupted' ELSE r.status END"
_CONVERTERS = {"status": RunStatus, "state": TrialState, "bool": bool}


Counts: TypeAlias = list[tuple[Any, int]]


class ValueCounts(NamedTuple):
    """The values that runs have, each with a number of runs; `missing` of all `runs` have none."""

    runs: int
    missing: int
    counts: Counts


def can_count(field: Field) -> bool:
    """Return whether the values of a field are counted; values that differ in most runs are not worth it."""
    if field.kind == "fact":
        return field.name in SETS or FACTS[field.name] in ("text", "status", "state", "bool")
    return field.kind in ("config", "metric")


@decoding_rows
def count_values(
    connection: Connection, runs: Sequence[int] | None, field: Field, dead: Sequence[int]
) -> ValueCounts:
    """Count the values of a field over these runs, or over all; `dead` runs count as interrupted."""
    every = int(connection.value(COUNT_ALL))
    total = every if runs is None else len(runs)
    if field.kind == "fact" and field.name in SETS:
        return _count_words(connection, runs, field.name, total)
    if field.kind == "fact":
        counts = _count_facts(connection, runs, field.name, dead)
    else:
        count = _count_configs if field.kind == "config" else _count_metrics
        # Few runs are sought. Where they are many, each entry of an index is tested.
        members = None if runs is None or total * SCAN_SHARE <= every else mark(runs)
        if members is not None:
            counts = count(connection, field, {"members": members}, " AND {member}")
        elif runs is not None:
            counts = count(connection, field, {"runs": json.dumps(list(runs))}, None)
        else:
            counts = count(connection, field, {}, "")
    held = [(value, count) for value, count in counts if value is not None]
    return ValueCounts(total, total - sum(count for _value, count in held), held)


def _count_words(connection: Connection, runs: Sequence[int] | None, name: str, total: int) -> ValueCounts:
    words = SETS[name]
    asked = {} if runs is None else {"runs": json.dumps(list(runs))}
    gaps = {"word": words.read, "source": words.source}
    gaps["test"] = words.where("1" if runs is None else f"x.run {OF_RUNS}")
    having = int(connection.value(COUNT_HAVING.format(**gaps), asked))
    found = connection.all(COUNT_WORDS.format(**gaps), asked)
    return ValueCounts(total, total - having, [(row[0], row[1]) for row in found])


def _count_facts(connection: Connection, runs: Sequence[int] | None, name: str, dead: Sequence[int]) -> Counts:
    value = STATUS if name == "status" else FACT_VALUES[name]
    asked = {} if runs is None else {"runs": json.dumps(list(runs))}
    if name == "status":
        asked["dead"] = json.dumps(list(dead))
    convert = _CONVERTERS.get(FACTS[name], str)
    rows = connection.all((COUNT_FACTS if runs is None else COUNT_FACTS_OF_RUNS).format(value=value), asked)
    return [(None if row[0] is None else convert(row[0]), row[1]) for row in rows]


def _count_configs(connection: Connection, field: Field, asked: dict[str, Any], kept: str | None) -> Counts:
    """Count the values of a key by walks along its indexes; without `kept`, those of each run asked for."""
    asked = {**asked, "key": find_key(connection, field.name)}
    if kept is None:
        rows = connection.fold(COUNT_LEAVES_OF_RUNS, asked, list)
    else:
        test = kept.format(member=MEMBER.format(id="v.run"))
        rows = connection.fold(COUNT_NUMBERS.format(kept=test), asked, list)
        for text, count in connection.fold(COUNT_TEXTS.format(kept=test), asked, list):
            # No value of another type begins with a letter, but for true and false.
            if text[:1].isalpha() and text not in ("true", "false"):
                rows.append(("text", None, text, count))
            else:
                rows += connection.fold(COUNT_TYPES_OF_TEXT.format(kept=test), {**asked, "text": text}, list)
    counts: Counts = [(leaf_value(*row[:3]), row[3]) for row in rows]
    if kept is not None:
        counts += connection.fold(COUNT_FRACTIONS.format(kept=test), asked, list)
    return counts


def _count_metrics(connection: Connection, field: Field, asked: dict[str, Any], kept: str | None) -> Counts:
    """Count the values of a metric by walks along its indexes; without `kept`, those of each run asked for."""
    value = METRIC_VALUES[field.statistic]
    asked = {**asked, "metric": find_metric(connection, field.name)}
    counts: Counts = []
    if kept is None:
        counts = connection.fold(COUNT_VALUES_OF_RUNS.format(value=value), asked, list)
    else:
        test = kept.format(member=MEMBER.format(id="s.run"))
        for state in STATES:
            gaps = {"value": value, "state": state.format(s="s"), "kept": test}
            counts += connection.fold(COUNT_VALUES.format(**gaps), asked, list)
            counts.append((None, int(connection.value(COUNT_NULLS.format(**gaps), asked))))
    if field.statistic not in ALWAYS_LOGGED:
        return counts
    return [(math.nan if found is None else found, count) for found, count in counts if count]
