"""Look up the fields and values that could complete a word, and write them as a filter does.

Invariant: each search goes from one distinct value to the next along an index, and looks at a bounded number of
them, however many runs the archive has. So a rare value among very many may be missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from exptrack.config.tree import leaf_value
from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.metrics.store import IS_SHOWN
from exptrack.query.conditions import (
    ATTR_ROOTS,
    CONFIG_ROOTS,
    FACTS,
    METRIC_ROOTS,
    STATE_WORDS,
    STATISTICS,
    SYNONYMS,
    Field,
)
from exptrack.query.field_sql import FACT_VALUES, STATES
from exptrack.query.name_ids import find_metric
from exptrack.query.names import SOME_ATTRS

MOST_LOOKS = 500  # distinct values at which a search looks
MOST_NAMES = 1_000  # that hold a word and are looked up among the values
MOST_COUNTED = 100  # runs with a value are counted up to here, to list frequent values first
MOST_CHARS = 200  # of a value that is worth a place in a list
LEAST_OF_ROOT = 3  # characters of the word config that offer every config key
RECENT_RUNS = 1_000  # among which values are sought that no index has
# The facts that people ask for most; the others follow in alphabetical order.
FIRST_FACTS = tuple(
    "status tag name group started duration study artifact note trial.number trial.state".split()
)
FACT_NAMES = (*FIRST_FACTS, *sorted(set(FACTS) - set(FIRST_FACTS)))
SPANS = {"time": ("-1h", "-1d", "-7d", "-30d", "today", "yesterday"), "seconds": ("1min", "10min", "1h", "1d")}

# Each part of a name begins behind a dot here, and a word that is sought has no quotes. The place of a name is
# 0 if it begins with the word, 1 if a part of it does, else 2. A name stays in its table when the last run that
# has it is deleted, so the first names are looked up among the values.
_NAMES_LIKE = f"""
WITH plain (id, name, dotted) AS MATERIALIZED (
    SELECT id, {{name}}, '.' || replace(replace(lower({{name}}), '"', ''), '/', '.') FROM {{table}}
)
SELECT n.name, n.place
FROM (
    SELECT id, name, CASE instr(dotted, '.' || :word) WHEN 1 THEN 0 WHEN 0 THEN 2 ELSE 1 END AS place
    FROM plain WHERE instr(dotted, :word) ORDER BY place, name LIMIT {MOST_NAMES}
) AS n
WHERE {{is_used}} ORDER BY n.place, n.name LIMIT :most
"""
KEYS_LIKE = _NAMES_LIKE.format(
    name="key",
    table="config_key",
    is_used=" OR ".join(
        f"EXISTS (SELECT 1 FROM config_value AS v WHERE v.key = n.id AND v.{column} IS NOT NULL)"
        for column in ("num", "text")
    ),
)
METRICS_LIKE = _NAMES_LIKE.format(
    name="name",
    table=f"(SELECT n.id, n.name FROM metric_name AS n WHERE {IS_SHOWN})",
    is_used=" OR ".join(
        f"EXISTS (SELECT 1 FROM metric_series AS s WHERE s.metric = n.id AND {state.format(s='s')})"
        for state in STATES
    ),
)
# From one text to the next. One that is too long to be listed is cut: texts that begin equally are passed over.
DISTINCT_TEXTS = f"""
WITH RECURSIVE found (value) AS (
    SELECT substr(min({{column}}), 1, {MOST_CHARS + 1}) FROM {{table}}
    WHERE {{test}} AND {{column}} IS NOT NULL AND {{column}} >= :begin
    UNION ALL
    SELECT (
        SELECT substr(min({{column}}), 1, {MOST_CHARS + 1}) FROM {{table}}
        WHERE {{test}} AND {{column}} IS NOT NULL AND {{column}} > found.value
              || CASE WHEN length(found.value) > {MOST_CHARS} THEN char(1114111) ELSE '' END
    )
    FROM found WHERE found.value IS NOT NULL LIMIT :looks
)
SELECT found.value,
       (SELECT count(*) FROM (SELECT 1 FROM {{table}} WHERE {{test}} AND {{column}} = found.value
                              LIMIT {MOST_COUNTED})) AS runs
FROM found
WHERE found.value IS NOT NULL AND length(found.value) <= {MOST_CHARS} AND instr(lower(found.value), :word)
ORDER BY runs DESC, found.value LIMIT :most
"""
DISTINCT_NUMBERS = f"""
WITH RECURSIVE found (value) AS (
    SELECT min(num) FROM {{table}} WHERE {{test}} AND num IS NOT NULL AND num >= :begin
    UNION ALL
    SELECT (SELECT min(num) FROM {{table}} WHERE {{test}} AND num IS NOT NULL AND num > found.value)
    FROM found WHERE found.value IS NOT NULL LIMIT :looks
)
SELECT found.value,
       (SELECT count(*) FROM (SELECT 1 FROM {{table}} WHERE {{test}} AND num = found.value
                              LIMIT {MOST_COUNTED}))
FROM found WHERE found.value IS NOT NULL
"""
OF_KEY = "key = :key"
TYPE_OF_TEXT = "SELECT type, num, text FROM {table} WHERE key = :key AND text = :value LIMIT 1"
TYPE_OF_NUMBER = "SELECT type, num, text FROM {table} WHERE key = :key AND num = :value LIMIT 1"
HAS_NUMBER = "SELECT 1 FROM {table} WHERE key = :key AND num IS NOT NULL LIMIT 1"
# Words come after digits, so that numbers whose digits are stored as text do not hide them.
SOME_TYPES = """
SELECT DISTINCT type FROM (
    SELECT type FROM {table} WHERE key = :key AND text IS NOT NULL ORDER BY text DESC LIMIT 20
)
"""
RECENT_VALUES = f"""
SELECT value, count(*) AS runs FROM (
    SELECT {{value}} AS value FROM run AS r WHERE r.deleted_at IS NULL ORDER BY r.started_at DESC
    LIMIT {RECENT_RUNS}
)
WHERE value IS NOT NULL AND length(value) <= {MOST_CHARS} AND instr(lower(value), :word)
GROUP BY value ORDER BY runs DESC, value LIMIT :most
"""
NEWEST_IDS = """
SELECT run_id FROM run WHERE run_id >= :begin AND run_id < :begin || char(1114111)
ORDER BY run_id DESC LIMIT :most
"""
# The table and column whose index has the values of a fact.
SOURCES = {
    "tag": ("run_tag", "tag"),
    "artifact": ("artifact", "name"),
    "name": ("run", "name"),
    "group": ("run", "group_name"),
    "parent": ("run", "parent_run_id"),
    "external_id": ("run", "external_id"),
    "config_hash": ("run", "config_hash"),
    "family": ("run", "family"),
    "fingerprint": ("run", "fingerprint"),
    "script": ("run_environment", "script"),
    "study": ("study", "name"),
}
TESTS = {"artifact": "blob IS NOT NULL"}
ROOTS_OF = {"config": CONFIG_ROOTS, "metric": METRIC_ROOTS, "attribute": ATTR_ROOTS}
LEAF_TABLES = {"config": "config_value", "attribute": "run_attribute"}
KEY_OF_LEAF = "SELECT id FROM config_key WHERE key = ?"


class FoundField(NamedTuple):
    """A field that a word could become, as a filter writes it; the best have the lowest `rank`."""

    text: str
    kind: str
    rank: int


def fold_name(word: str) -> str:
    """Return the word of a name as it is sought: its parts begin behind dots, and it has no quotes."""
    return fold(word).replace('"', "").replace("/", ".")


# Fields


@decoding_rows
def find_fields(connection: Connection, word: str, kinds: Sequence[str], most: int) -> list[FoundField]:
    """Find the fields of some kinds that a word could become: at most `most`, the best first."""
    root, dot, rest = word.partition(".")
    wanted, within = fold_name(word), fold_name(rest)
    found: dict[str, list[FoundField]] = {}
    if "fact" in kinds:
        found["fact"] = list(_find_facts(wanted))
    of_root = next((kind for kind in ROOTS_OF if dot and root.lower() in ROOTS_OF[kind]), None)
    for kind in kinds:
        if kind == "fact" or of_root not in (kind, None):
            continue
        named = _find_names(connection, kind, within if of_root else wanted, most)
        if not dot and len(wanted) >= LEAST_OF_ROOT and ROOTS_OF[kind][0].startswith(wanted):
            known = {one.text for one in named}
            every = _find_names(connection, kind, "", most)
            named += [one._replace(rank=1) for one in every if one.text not in known]
        found[kind] = named
        if kind == "metric":
            found[kind] += _find_statistics(connection, rest if of_root else word)
    return _share(list(found.values()), most)


def _find_facts(wanted: str) -> Iterator[FoundField]:
    for name in FACT_NAMES:
        if wanted in name:
            yield FoundField(name, "fact", _rank(name, wanted))
    if wanted:
        for name in SYNONYMS:
            if name.startswith(wanted) and not SYNONYMS[name].startswith(wanted):
                yield FoundField(name, "fact", 1)


def _rank(name: str, wanted: str) -> int:
    return 0 if name.startswith(wanted) else 1 if f".{wanted}" in name else 2


def _find_names(connection: Connection, kind: str, wanted: str, most: int) -> list[FoundField]:
    asked = {"word": wanted, "most": most}
    if kind == "attribute":
        keys = [(row[0], fold_name(row[0])) for row in connection.all(SOME_ATTRS)]
        ranked = sorted((_rank(plain, wanted), key) for key, plain in keys if wanted in plain)[:most]
        return [FoundField(str(Field("attribute", key)), kind, rank) for rank, key in ranked]
    rows = connection.all(KEYS_LIKE if kind == "config" else METRICS_LIKE, asked)
    last = "last" if kind == "metric" else ""
    return [FoundField(str(Field(kind, name, last)), kind, rank) for name, rank in rows]


def _find_statistics(connection: Connection, rest: str) -> Iterator[FoundField]:
    """Find the statistics of a metric whose name is written so, perhaps with a part of the statistic."""
    above, dot, begun = rest.rpartition(".")
    for name, part in ((rest, ""), *([(above, begun)] if dot else [])):
        # An unquoted name of several parts is written as it is stored.
        if name and '"' not in name and find_metric(connection, name) is not None:
            for one in STATISTICS[1:]:
                if one.startswith(part.lower()):
                    yield FoundField(str(Field("metric", name, one)), "metric", 1)


def _share(groups: list[list[FoundField]], most: int) -> list[FoundField]:
    """Choose `most` in all, so that each group has its share; list them by rank, then by group."""
    chosen: list[tuple[int, int, int, FoundField]] = []
    for rank in sorted({one.rank for group in groups for one in group}):
        waiting = [[(place, one) for place, one in enumerate(group) if one.rank == rank] for group in groups]
        turn = 0
        while len(chosen) < most and any(turn < len(group) for group in waiting):
            for number, group in enumerate(waiting):
                if turn < len(group) and len(chosen) < most:
                    chosen.append((rank, number, *group[turn]))
            turn += 1
    return [one for _rank_of, _group, _place, one in sorted(chosen)]


# Values


@decoding_rows
def find_types(connection: Connection, field: Field) -> set[str]:
    """Return the types of value that a config key or attribute is known to have; empty if it has none."""
    table, key = LEAF_TABLES[field.kind], _find_leaf_key(connection, field)
    if key is None:
        return set()
    asked = {"key": key}
    types = {row[0] for row in connection.all(SOME_TYPES.format(table=table), asked)}
    return types | ({"float"} if connection.value(HAS_NUMBER.format(table=table), asked) else set())


def find_values(connection: Connection, field: Field, word: str, most: int) -> list[Any]:
    """Find the values of a field that a word could become: at most `most`, the best first."""
    if field.kind == "metric":
        return []
    if field.kind in LEAF_TABLES:
        return _find_leaves(connection, field, word, most)
    kind = FACTS[field.name]
    if kind in STATE_WORDS or kind in SPANS or kind == "bool":
        fixed = STATE_WORDS.get(kind) or SPANS.get(kind) or ("true", "false")
        return [one for one in fixed if one.startswith(word.lower())][:most]
    if field.name == "id":
        rows = connection.all(NEWEST_IDS, {"begin": word.lower(), "most": most})
        return [row[0] for row in rows]
    if field.name in SOURCES:
        table, column = SOURCES[field.name]
        sql = DISTINCT_TEXTS.format(table=table, column=column, test=TESTS.get(field.name, "1"))
        return _find_texts(connection, sql, {}, word, most)
    if field.name not in FACT_VALUES:
        return []
    sql = RECENT_VALUES.format(value=FACT_VALUES[field.name])
    return [row[0] for row in connection.all(sql, {"word": fold(word), "most": most})]


def fold(word: str) -> str:
    """Return a word as SQLite's ``lower`` writes it: only ASCII letters change."""
    return re.sub("[A-Z]+", lambda found: found[0].lower(), word)


def _find_texts(connection: Connection, sql: str, asked: dict[str, Any], word: str, most: int) -> list[str]:
    """Find texts: those that begin with the word as it is, then those that hold it in any case."""
    looks = {**asked, "looks": MOST_LOOKS, "most": most, "word": fold(word)}
    found = [row[0] for row in connection.all(sql, {**looks, "begin": ""})]
    if word and len(found) < most:
        # They may lie beyond the values at which the first search looked.
        found += [row[0] for row in connection.all(sql, {**looks, "begin": word})]
    by_rank = sorted(dict.fromkeys(found), key=lambda one: not fold(one).startswith(fold(word)))
    return by_rank[:most]


@decoding_rows
def _find_leaves(connection: Connection, field: Field, word: str, most: int) -> list[Any]:
    table, key = LEAF_TABLES[field.kind], _find_leaf_key(connection, field)
    if key is None:
        return []
    asked = {"key": key}
    found: list[Any] = []
    for number in _find_numbers(connection, table, key, word)[:most]:
        row = connection.one(TYPE_OF_NUMBER.format(table=table), {**asked, "value": number})
        if row is not None:
            found.append(leaf_value(*row))
    sql = DISTINCT_TEXTS.format(table=table, column="text", test=OF_KEY)
    for text in _find_texts(connection, sql, asked, word, most):
        row = connection.one(TYPE_OF_TEXT.format(table=table), {**asked, "value": text})
        if row is not None and row["num"] is None and row["type"] not in ("map", "removed"):
            found.append(leaf_value("list" if row["type"] == "json" else row["type"], row["num"], row["text"]))
    return found[:most]


def _find_numbers(connection: Connection, table: str, key: Any, word: str) -> list[float]:
    """Find the numbers whose digits begin with the word, the frequent ones first."""
    begins = [-math.inf]
    with suppress(ValueError):
        # Those that begin so may lie beyond the values at which the first search looks.
        begins.append(float(word))
    found: dict[float, int] = {}
    for begin in begins:
        asked = {"key": key, "looks": MOST_LOOKS, "begin": begin}
        rows = connection.all(DISTINCT_NUMBERS.format(table=table, test=OF_KEY), asked)
        found |= {number: runs for number, runs in rows if _begins(number, word)}
    return sorted(found, key=lambda number: (-found[number], number))


def _begins(number: float, word: str) -> bool:
    """Return whether the digits of a number begin with a word; it may have been stored as an int."""
    return repr(number).startswith(word) or (math.isfinite(number) and f"{number:.0f}".startswith(word))


def _find_leaf_key(connection: Connection, field: Field) -> Any:
    return field.name if field.kind == "attribute" else connection.value(KEY_OF_LEAF, (field.name,))
