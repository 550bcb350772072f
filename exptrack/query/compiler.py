"""Compile conditions to SQL.

Invariants: SQL is composed only of the fixed fragments in this file; every name and value of a filter is bound.
Every test is 0 or 1, never NULL, so ``not`` inverts it. A comparison with NaN, or with a value that a run
lacks, is false.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from exptrack.config.tree import encode_canonical
from exptrack.database.connection import Connection
from exptrack.query.conditions import DATA, PRUNED, And, Comparison, Condition, Field, Not, Or
from exptrack.query.field_sql import (
    FACT_VALUES,
    INDEXED_VALUES,
    MAY_HOLD,
    METRIC_VALUES,
    SETS,
    STATES,
)
from exptrack.query.name_ids import find_key, find_metric
from exptrack.query.patterns import LIKE, pattern_of
from exptrack.query.run_sql import IS_PRUNED, TRASHED
from exptrack.validation import EXACT_INT

# Even if an index has the order, up to FEW candidates are tested and sorted instead of walking along the index.
# Up to MOST candidates are, if the walk would pass more runs than that.
FEW = 500
MOST = 10_000
MANY_TEXTS = 100

# A number of a config as it is: an int that no float equals has its digits in `text`.
EXACT_NUMBER = "CASE WHEN v.type = 'int' AND v.text IS NOT NULL THEN CAST(v.text AS INTEGER) ELSE {} END"
LIST_TYPE = "json"  # of a list in an attribute; a config tells lists from maps
KEY_IDS = "SELECT id FROM config_key WHERE key = :key OR (key >= :key || '.' AND key < :key || '/')"

# The runs whose newest trial matches. SQLite seeks them study by study, because then an index has the names,
# numbers and states.
TRIALS = """
SELECT r.id AS run
FROM study AS y CROSS JOIN trial AS t ON t.study = y.id CROSS JOIN run AS r ON r.run_id = t.run_id
WHERE {match} AND NOT EXISTS (SELECT 1 FROM trial AS o WHERE o.run_id = t.run_id AND o.id > t.id)
"""
TRIAL_COLUMNS = {"study": "y.name", "trial.number": "t.number", "trial.state": "t.state"}

INDEXED_FACTS = "id name group parent external_id config_hash family fingerprint started".split()
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


class Fragment(NamedTuple):
    """A piece of SQL and the values it binds."""

    sql: str
    values: tuple[Any, ...] = ()


class Test(NamedTuple):
    """An expression that is 1 for runs that satisfy a condition; `{id}` stands for the row id of the run."""

    sql: str
    values: tuple[Any, ...]
    reads_run: bool = False  # it needs the run's row, as r


NEVER, ALWAYS = Test("0", ()), Test("1", ())


class Compiler:
    """Turn conditions into tests and candidates, for one archive at one moment.

    `dead` are runs that are marked running although their process is gone.
    """

    def __init__(self, connection: Connection, dead: Sequence[int] = ()) -> None:
        self._connection = connection
        self._dead = json.dumps(list(dead))
        self._any_dead = bool(dead)

    # Tests

    def admit(self, condition: Condition) -> Test:
        """Return an expression that is 1 for runs that satisfy the condition and are not in the trash."""
        test = self.test(condition)
        if self._connection.value(TRASHED) is None:
            return test
        return Test(f"({test.sql}) AND {{id}} NOT IN ({TRASHED})", test.values, test.reads_run)

    def test(self, condition: Condition) -> Test:
        """Return an expression that is 1 for runs that satisfy the condition and 0 for all others."""
        if isinstance(condition, Comparison):
            return self._test_comparison(condition)
        if isinstance(condition, Not):
            inner = self.test(condition.condition)
            return Test(f"NOT ({inner.sql})", inner.values, inner.reads_run)
        word, neutral = (" AND ", ALWAYS) if isinstance(condition, And) else (" OR ", NEVER)
        parts = [self.test(one) for one in condition.conditions]
        if not parts:
            return neutral
        sql = word.join(f"({part.sql})" for part in parts)
        return Test(sql, tuple(v for part in parts for v in part.values), any(p.reads_run for p in parts))

    def _test_comparison(self, one: Comparison) -> Test:
        if one.field.kind == "config":
            return self._test_config(one)
        if one.field.kind == "metric":
            return self._test_metric(one)
        if one.field.kind == "attribute":
            return self._test_attr(one)
        if one.field.name in SETS:
            return self._test_set(one)
        return self._test_fact(one)

    def _test_config(self, one: Comparison) -> Test:
        if one.operator in ("is null", "exists", "is comparable"):
            keys = json.dumps([row[0] for row in self._connection.all(KEY_IDS, {"key": one.field.name})])
            valued = "" if one.operator == "exists" else " AND v.type <> 'null'"
            found = (
                "EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = {id}"
                f" AND v.key IN (SELECT value FROM json_each(?)){valued})"
            )
            return Test(f"NOT {found}" if one.operator == "is null" else found, (keys,))
        if one.operator == "!=":
            equal = self._test_config(Comparison(one.field, "=", one.values))
            present = self._test_config(Comparison(one.field, "is comparable"))
            return Test(f"{present.sql} AND NOT {equal.sql}", present.values + equal.values)
        key = find_key(self._connection, one.field.name)
        if key is None:
            return NEVER
        matches = match_config_values(one.operator, one.values)
        sql = " OR ".join(match.sql for match in matches)
        values = (key, *(v for match in matches for v in match.values))
        test = f"EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = {{id}} AND v.key = ? AND ({sql}))"
        return Test(test, values)

    def _test_metric(self, one: Comparison) -> Test:
        metric = find_metric(self._connection, one.field.name)
        if metric is None:
            return ALWAYS if one.operator == "is null" else NEVER
        value = METRIC_VALUES[one.field.statistic]
        series = "SELECT 1 FROM metric_series AS s WHERE s.run = {id} AND s.metric = ?"
        if one.operator == "exists":
            return Test(f"EXISTS ({series})", (metric,))
        if one.operator in ("is null", "is comparable"):
            negation = "NOT " if one.operator == "is null" else ""
            return Test(f"{negation}EXISTS ({series} AND {value} IS NOT NULL)", (metric,))
        match = match_value(value, one.operator, one.values)
        return Test(f"EXISTS ({series} AND {match.sql})", (metric, *match.values))

    def _test_attr(self, one: Comparison) -> Test:
        row = "SELECT 1 FROM run_attribute AS v WHERE v.run = {id} AND v.key = ?"
        if one.operator == "exists":
            return Test(f"EXISTS ({row} AND v.type <> 'removed')", (one.field.name,))
        if one.operator in ("is null", "is comparable"):
            # Null and NaN are in neither column, and a removed one is not.
            negation = "NOT " if one.operator == "is null" else ""
            valued = "(v.num IS NOT NULL OR v.text IS NOT NULL)"
            return Test(f"{negation}EXISTS ({row} AND {valued})", (one.field.name,))
        if one.operator == "!=":
            equal = self._test_attr(Comparison(one.field, "=", one.values))
            present = self._test_attr(Comparison(one.field, "is comparable"))
            return Test(f"{present.sql} AND NOT {equal.sql}", present.values + equal.values)
        matches = match_config_values(one.operator, one.values, LIST_TYPE)
        sql = " OR ".join(match.sql for match in matches)
        values = (one.field.name, *(v for match in matches for v in match.values))
        return Test(f"EXISTS ({row} AND ({sql}))", values)

    def _test_set(self, one: Comparison) -> Test:
        words = SETS[one.field.name]
        some = f"EXISTS (SELECT 1 FROM {words.source} WHERE {words.where('x.run = {id}')}"
        if one.operator in ("is null", "exists", "is comparable"):
            return Test(f"{'NOT ' * (one.operator == 'is null')}{some})", ())
        operator = "=" if one.operator == "!=" else one.operator
        match = match_value(words.word, operator, one.values)
        if one.field.name == DATA and operator == "=":
            word = str(one.values[0])
            ends = (word.partition("=")[0], word.rpartition("=")[2])
            match = Fragment(f"{MAY_HOLD} AND {match.sql}", (*ends, *match.values))
        return Test(f"{'NOT ' * (one.operator == '!=')}{some} AND {match.sql})", match.values)

    def _test_fact(self, one: Comparison) -> Test:
        if one.field.name == "status":
            return self._test_status(one)
        value = FACT_VALUES[one.field.name]
        if one.operator == "is null":
            return Test(f"{value} IS NULL", (), reads_run=True)
        if one.operator in ("exists", "is comparable"):
            return Test(f"{value} IS NOT NULL", (), reads_run=True)
        match = match_value(value, one.operator, one.values)
        return Test(f"({match.sql}) IS TRUE", match.values, reads_run=True)

    def _test_status(self, one: Comparison) -> Test:
        if one.operator in ("is null", "exists", "is comparable"):
            return NEVER if one.operator == "is null" else ALWAYS
        status = "r.status"
        values: tuple[Any, ...] = ()
        if self._any_dead:
            status = "CASE WHEN r.id IN (SELECT value FROM json_each(?)) THEN 'interrupted' ELSE r.status END"
            values = (self._dead,)
        plain = [value for value in one.values if value != PRUNED]
        ways = []
        if len(plain) < len(one.values):
            ways.append(Fragment(IS_PRUNED))
        if plain:
            match = match_value(status, "in", plain)
            ways.append(Fragment(match.sql, values + match.values))
        sql = " OR ".join(way.sql for way in ways)
        negation = "NOT " * (one.operator == "!=")
        return Test(f"{negation}({sql})", tuple(v for way in ways for v in way.values), reads_run=True)

    # Candidates

    def find_candidates(self, condition: Condition) -> list[Fragment] | None:
        """Return statements that together read, through an index, every run that may satisfy the condition.

        None if no index leads there.
        """
        if isinstance(condition, Or):
            branches = [self.find_candidates(one) for one in condition.conditions]
            return None if None in branches else [part for branch in branches for part in branch or []]
        if isinstance(condition, And):
            counted = [(self.count(found, MOST), found) for found in self._find_branches(condition)]
            return min(counted, key=lambda pair: pair[0])[1] if counted else None
        return self._find_by(condition) if isinstance(condition, Comparison) else None

    def _find_branches(self, condition: And) -> Iterator[list[Fragment]]:
        for one in condition.conditions:
            found = self.find_candidates(one)
            if found is not None:
                yield found

    def count(self, found: list[Fragment], most: int) -> int:
        """Count the rows of candidates; counting stops soon after `most`."""
        total = 0
        for part in found:
            sql = f"SELECT count(*) FROM ({part.sql} LIMIT {most - total + 1})"
            total += int(self._connection.value(sql, part.values))
            if total > most:
                break
        return total

    def _find_by(self, one: Comparison) -> list[Fragment] | None:
        field, operator = one.field, one.operator
        if operator not in ("=", "<", "<=", ">", ">=", "in"):
            return None
        if field.kind == "config":
            key = find_key(self._connection, field.name)
            if key is None:
                return []
            matches = match_config_values(operator, one.values)
            source = "SELECT v.run AS run FROM config_value AS v WHERE v.key = ? AND"
            return [Fragment(f"{source} {match.sql}", (key, *match.values)) for match in matches]
        if field.kind == "attribute":
            matches = match_config_values(operator, one.values, LIST_TYPE)
            source = "SELECT v.run AS run FROM run_attribute AS v WHERE v.key = ? AND"
            return [Fragment(f"{source} {match.sql}", (field.name, *match.values)) for match in matches]
        if field.kind == "metric":
            return self._find_by_metric(one)
        if field.name in ("tag", "artifact"):
            words = SETS[field.name]
            match = match_value(words.word, operator, one.values)
            sql = f"SELECT DISTINCT x.run AS run FROM {words.source} WHERE {words.where(match.sql)}"
            return [Fragment(sql, match.values)]
        if field.name in TRIAL_COLUMNS:
            return [find_by_trial(match_value(TRIAL_COLUMNS[field.name], operator, one.values))]
        if field.name == "status":
            return self._find_by_status(one)
        if field.name not in INDEXED_FACTS:
            return None
        match = match_value(FACT_VALUES[field.name], operator, one.values)
        return [Fragment(f"SELECT r.id AS run FROM run AS r WHERE {match.sql}", match.values)]

    def _find_by_status(self, one: Comparison) -> list[Fragment] | None:
        plain = [value for value in one.values if value != PRUNED]
        # A dead run counts as interrupted, but its row says running.
        if plain and self._any_dead:
            return None
        found = [Fragment("SELECT r.id AS run FROM run AS r WHERE r.status = ?", (value,)) for value in plain]
        if len(plain) < len(one.values):
            found.append(find_by_trial(Fragment("t.state = ?", (PRUNED,))))
        return found

    def _find_by_metric(self, one: Comparison) -> list[Fragment] | None:
        if one.field.statistic not in INDEXED_VALUES:
            return None
        metric = find_metric(self._connection, one.field.name)
        if metric is None:
            return []
        match = match_value(METRIC_VALUES[one.field.statistic], one.operator, one.values)
        source = "SELECT s.run AS run FROM metric_series AS s WHERE s.metric = ? AND"
        return [
            Fragment(f"{source} {state.format(s='s')} AND {match.sql}", (metric, *match.values))
            for state in STATES
        ]


def find_by_trial(match: Fragment) -> Fragment:
    """Return the statement that lists the runs whose newest trial matches."""
    return Fragment(TRIALS.format(match=match.sql), match.values)


def match_value(value: str, operator: str, wanted: Sequence[Any]) -> Fragment:
    """Compare an expression with one value, or with several; the result is NULL where the expression is."""
    if operator == "in":
        # Many texts are bound as one: SQLite takes 32,766 values, and a statement may test a condition four
        # times.
        if len(wanted) > MANY_TEXTS and all(isinstance(one, str) and "\0" not in one for one in wanted):
            return Fragment(f"{value} IN (SELECT value FROM json_each(?))", (json.dumps(list(wanted)),))
        return Fragment(f"{value} IN ({', '.join('?' * len(wanted))})", tuple(wanted))
    if operator == "like":
        return Fragment(f"{value} {LIKE}", tuple(map(pattern_of, wanted)))
    assert operator in OPERATORS, operator
    return Fragment(f"{value} {'<>' if operator == '!=' else operator} ?", tuple(wanted))


def match_config_values(operator: str, values: Sequence[Any], list_type: str = "list") -> list[Fragment]:
    """Compare a stored value with values of a filter: one of these tests is true where one of them matches.

    Values of one kind share a test, as SQLite takes neither deep expressions nor many parts of a union.
    """
    if len(values) == 1:
        return [match_config_value(operator, values[0], list_type)]
    assert operator == "in", operator
    tests = []
    for kind, stored_type in (("text", "text"), ("bool", "bool"), ("list", list_type)):
        words = [one if kind == "text" else encode_canonical(one) for one in values if _kind_of(one) == kind]
        if words:
            match = match_value("v.text", "in", words)
            tests.append(Fragment(f"({match.sql} AND v.type = ?)", (*match.values, stored_type)))
    exact = [float(one) for one in values if _kind_of(one) == "exact"]
    if exact:
        tests.append(match_value("v.num", "in", exact))
    large = [one for one in values if _kind_of(one) == "large"]
    if large:
        near = match_value("v.num", "in", list(map(float, large)))
        whole = match_value(EXACT_NUMBER.format("v.num"), "in", large)
        tests.append(Fragment(f"({near.sql} AND {whole.sql})", (*near.values, *whole.values)))
    return tests


def _kind_of(value: Any) -> str:
    """Return the kind of a value of a filter: numbers that floats hold apart are exact, others large."""
    if isinstance(value, (bool, str, list)):
        return {bool: "bool", str: "text", list: "list"}[type(value)]
    return "exact" if abs(value) < EXACT_INT else "large"


def match_config_value(operator: str, value: Any, list_type: str = "list") -> Fragment:
    """Compare a stored value of a config or attribute with a value of a filter; other types never match."""
    operator = "=" if operator == "in" else operator
    if isinstance(value, bool):
        return Fragment("(v.text = ? AND v.type = 'bool')", (encode_canonical(value),))
    if isinstance(value, list):
        return Fragment("(v.text = ? AND v.type = ?)", (encode_canonical(value), list_type))
    if isinstance(value, str):
        match = match_value("v.text", operator, (value,))
        # Values of other types never have this text, so the index alone answers.
        unmistakable = operator == "=" and value[:1].isalpha() and value not in ("true", "false")
        return match if unmistakable else Fragment(f"({match.sql} AND v.type = 'text')", match.values)
    if abs(value) < EXACT_INT:
        return match_value("v.num", operator, (float(value),))
    # `num` is rounded here, so the index finds neighbours too. SQLite compares an int with a float exactly.
    near = match_value("v.num", {"<": "<=", ">": ">="}.get(operator, operator), (float(value),))
    exact = match_value(EXACT_NUMBER.format("v.num"), operator, (value,))
    return Fragment(f"({near.sql} AND {exact.sql})", (*near.values, *exact.values))


def express_field(connection: Connection, field: Field) -> Fragment:
    """Return the expression, of a run r, by which a field orders runs."""
    if field.kind == "metric":
        metric = find_metric(connection, field.name)
        value = METRIC_VALUES[field.statistic]
        sql = f"(SELECT {value} FROM metric_series AS s WHERE s.run = r.id AND s.metric = ?)"
        return Fragment(sql, (metric,))
    if field.kind == "config":
        key = find_key(connection, field.name)
        # SQLite orders numbers before texts.
        value = EXACT_NUMBER.format("coalesce(v.num, v.text)")
        return Fragment(f"(SELECT {value} FROM config_value AS v WHERE v.run = r.id AND v.key = ?)", (key,))
    if field.kind == "attribute":
        value = EXACT_NUMBER.format("coalesce(v.num, v.text)")
        sql = f"(SELECT {value} FROM run_attribute AS v WHERE v.run = r.id AND v.key = ?)"
        return Fragment(sql, (field.name,))
    if field.name in SETS:
        words = SETS[field.name]
        return Fragment(f"(SELECT min({words.read}) FROM {words.source} WHERE {words.where('x.run = r.id')})")
    return Fragment(FACT_VALUES[field.name])


def unite(found: list[Fragment], operator: str) -> Fragment:
    """Join candidates into one statement by UNION or UNION ALL."""
    if not found:
        return Fragment("SELECT id AS run FROM run WHERE 0")
    values = tuple(value for part in found for value in part.values)
    return Fragment(f" {operator} ".join(part.sql for part in found), values)
