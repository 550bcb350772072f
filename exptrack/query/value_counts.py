"""Count how many runs have each value of a field, where many runs share few values.

SQLite groups the values, so that what is read grows with the number of different values, not of runs.

Invariant: the counts are those of the values that `fields` reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.query.compiler import FACT_VALUES, SETS
from exptrack.query.conditions import FACTS, Field
from exptrack.query.fields import OF_RUNS
from exptrack.query.names import find_key
from exptrack.query.run_sets import COUNT_ALL
from exptrack.records import RunStatus, TrialState

COUNT_NUMBERS = """
SELECT type, num, text, count(*) FROM config_value WHERE key = :key AND num IS NOT NULL GROUP BY num, type, text
"""
# An index has the texts, but not their types.
COUNT_TEXTS = """
SELECT text, count(*) FROM config_value WHERE key = :key AND text IS NOT NULL AND num IS NULL GROUP BY text
"""
COUNT_TYPES_OF_TEXT = """
SELECT type, NULL, text, count(*) FROM config_value
WHERE key = :key AND text = :text AND num IS NULL GROUP BY type
"""
COUNT_LEAVES_OF_RUNS = f"""
SELECT type, num, text, count(*) FROM config_value WHERE run {OF_RUNS} AND key = :key GROUP BY type, num, text
"""
COUNT_FACTS = "SELECT {value} AS value, count(*) FROM run AS r GROUP BY value"
COUNT_FACTS_OF_RUNS = f"SELECT {{value}} AS value, count(*) FROM run AS r WHERE r.id {OF_RUNS} GROUP BY value"
COUNT_WORDS = "SELECT {word} AS word, count(DISTINCT x.run) FROM {source} WHERE {test} GROUP BY word"
COUNT_HAVING = "SELECT count(DISTINCT x.run) FROM {source} WHERE {test}"
STATUS = "CASE WHEN r.id IN (SELECT value FROM json_each(:dead)) THEN 'interrupted' ELSE r.status END"
_CONVERTERS = {"status": RunStatus, "state": TrialState, "bool": bool}


class ValueCounts(NamedTuple):
    """The values that runs have, each with a number of runs; `missing` of all `runs` have none."""

    runs: int
    missing: int
    counts: list[tuple[Any, int]]


def can_count(field: Field) -> bool:
    """Return whether the values of a field are counted; values that differ in most runs are not worth it."""
    if field.kind == "fact":
        return field.name in SETS or FACTS[field.name] in ("text", "status", "state", "bool")
    return field.kind == "config"


@decoding_rows
def count_values(
    connection: Connection, runs: Sequence[int] | None, field: Field, dead: Sequence[int]
) -> ValueCounts:
    """Count the values of a field over these runs, or over all; `dead` runs count as interrupted."""
    asked: dict[str, Any] = {} if runs is None else {"runs": json.dumps(list(runs))}
    total = int(connection.value(COUNT_ALL)) if runs is None else len(runs)
    if field.kind == "config":
        asked["key"] = find_key(connection, field.name)
        found = (
            _count_leaves(connection, asked) if runs is None else connection.all(COUNT_LEAVES_OF_RUNS, asked)
        )
        counts = [(leaf_value(*row[:3]), row[3]) for row in map(tuple, found)]
    elif field.name in SETS:
        words = SETS[field.name]
        gaps = {"word": words.word, "source": words.source}
        gaps["test"] = words.where("1" if runs is None else f"x.run {OF_RUNS}")
        having = int(connection.value(COUNT_HAVING.format(**gaps), asked))
        words_of_all = connection.all(COUNT_WORDS.format(**gaps), asked)
        return ValueCounts(total, total - having, [(row[0], row[1]) for row in words_of_all])
    else:
        value = STATUS if field.name == "status" else FACT_VALUES[field.name]
        if field.name == "status":
            asked["dead"] = json.dumps(list(dead))
        convert = _CONVERTERS.get(FACTS[field.name], str)
        rows = connection.all((COUNT_FACTS if runs is None else COUNT_FACTS_OF_RUNS).format(value=value), asked)
        counts = [(None if row[0] is None else convert(row[0]), row[1]) for row in rows]
    held = [(value, count) for value, count in counts if value is not None]
    return ValueCounts(total, total - sum(count for _value, count in held), held)


def _count_leaves(connection: Connection, asked: dict[str, Any]) -> list[Any]:
    rows: list[Any] = connection.all(COUNT_NUMBERS, asked)
    for text, count in connection.all(COUNT_TEXTS, asked):
        # No value of another type begins with a letter, but for true and false.
        if text[:1].isalpha() and text not in ("true", "false"):
            rows.append(("text", None, text, count))
        else:
            rows += connection.all(COUNT_TYPES_OF_TEXT, {**asked, "text": text})
    return rows
