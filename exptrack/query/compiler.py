"""Compile conditions to SQL.

Invariants: statements are put together from the fixed fragments here; every name and value of a filter is
bound. Every test is true or false, never NULL, so that ``not`` means what it says. A comparison holds only
where there is something to compare: NaN and what a run lacks satisfy none.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from exptrack.config.tree import EXACT_INT, encode_canonical
from exptrack.database.connection import Connection
from exptrack.errors import FilterError
from exptrack.query.conditions import PRUNED, And, Comparison, Condition, Field, Not, Or, comparisons

KEY_ID = "SELECT id FROM config_key WHERE key = ?"
KEY_IDS = "SELECT id FROM config_key WHERE key = :key OR (key >= :key || '.' AND key < :key || '/')"
METRIC_ID = "SELECT id FROM metric_name WHERE name = ?"
SOME_KEYS = "SELECT key FROM config_key ORDER BY key LIMIT 10000"
SOME_METRICS = "SELECT name FROM metric_name ORDER BY name LIMIT 10000"
# Without a table's name: the innermost is meant.
METRIC_VALUES = {
    "last": "last_value",
    "min": "min_value",
    "max": "max_value",
    "first": "first_value",
    "mean": "value_sum / NULLIF(count - nan_count, 0)",
    **{name: name for name in "count nan_count last_step first_step min_step max_step".split()},
}
# In the order of these there is an index over completed runs, and one over those that ended otherwise. Which
# of these, or live, a series is, says what stands here: each of them has its index.
INDEXED_VALUES = ("last", "min", "max")
STATES = (
    "{s}.completed = 1",
    "{s}.completed = 0 AND {s}.checksum IS NOT NULL",
    "{s}.completed = 0 AND {s}.checksum IS NULL",
)
# Of the newest trial that is this run: a run that was tried again has several.
_OF_TRIAL = "(SELECT {value} FROM {source} WHERE t.run = r.id ORDER BY t.id DESC LIMIT 1)"
TRIAL_VALUES = {
    "study": _OF_TRIAL.format(value="y.name", source="trial AS t CROSS JOIN study AS y ON y.id = t.study"),
    "trial.number": _OF_TRIAL.format(value="t.number", source="trial AS t"),
    "trial.state": _OF_TRIAL.format(value="t.state", source="trial AS t"),
}
# The runs whose newest trial matches, study by study: so an index has the names, the numbers and the states.
_TRIALS = """
SELECT t.run AS run FROM study AS y CROSS JOIN trial AS t ON t.study = y.id
WHERE {match} AND t.run IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM trial AS o WHERE o.run = t.run AND o.id > t.id)
"""
TRIAL_COLUMNS = {"study": "y.name", "trial.number": "t.number", "trial.state": "t.state"}

ATTRIBUTE_VALUES = {
    "id": "r.run_id",
    "name": "r.name",
    "group": "r.group_name",
    "parent": "(SELECT p.run_id FROM run AS p WHERE p.id = r.parent)",
    "reason": "r.reason",
    "host": "r.host",
    "commit": "r.vcs_commit",
    "config_hash": "r.config_hash",
    "family": "r.family",
    "fingerprint": "r.fingerprint",
    "branch": "(SELECT e.vcs_branch FROM run_environment AS e WHERE e.run = r.id)",
    "script": "(SELECT e.script FROM run_environment AS e WHERE e.run = r.id)",
    "python": "(SELECT e.python FROM run_environment AS e WHERE e.run = r.id)",
    "started": "r.started_at",
    "ended": "r.ended_at",
    "heartbeat": "r.heartbeat_at",
    "duration": "r.duration_ms / 1000.0",
    "dirty": "r.vcs_dirty",
    "status": "r.status",
    **TRIAL_VALUES,
}
INDEXED_ATTRIBUTES = ("id", "name", "group", "config_hash", "family", "fingerprint", "started")
# Where the words of a run stand that it may have several of.
SETS = {
    "tag": ("run_tag AS x", "x.run", "x.tag"),
    "note": ("note AS x", "x.run", "x.text"),
    "artifact": ("artifact AS x", "x.blob IS NOT NULL AND x.run", "x.name"),
}
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


class Fragment(NamedTuple):
    """A piece of SQL with the values it binds."""

    sql: str
    values: tuple[Any, ...] = ()


class Test(NamedTuple):
    """Whether a run satisfies a condition; `{id}` stands for its number."""

    sql: str
    values: tuple[Any, ...]
    reads_run: bool = False  # needs a row of the table run


NEVER, ALWAYS = Test("0", ()), Test("1", ())


class Compiler:
    """Turns conditions into tests and into candidates, for one archive at one moment.

    `dead` are the runs that are marked running although their process is gone.
    """

    def __init__(self, connection: Connection, dead: Sequence[int] = ()) -> None:
        self._connection = connection
        self._dead = json.dumps(list(dead))
        self._any_dead = bool(dead)

    # Tests

    def test(self, condition: Condition) -> Test:
        """An expression that is 1 for the runs that satisfy the condition and 0 for all others."""
        if isinstance(condition, Comparison):
            return self._compared(condition)
        if isinstance(condition, Not):
            inner = self.test(condition.condition)
            return Test(f"NOT ({inner.sql})", inner.values, inner.reads_run)
        word, neutral = (" AND ", ALWAYS) if isinstance(condition, And) else (" OR ", NEVER)
        parts = [self.test(one) for one in condition.conditions]
        if not parts:
            return neutral
        sql = word.join(f"({part.sql})" for part in parts)
        return Test(sql, tuple(v for part in parts for v in part.values), any(p.reads_run for p in parts))

    def _compared(self, one: Comparison) -> Test:
        if one.field.kind == "config":
            return self._of_config(one)
        if one.field.kind == "metric":
            return self._of_metric(one)
        if one.field.name in SETS:
            return self._of_set(one)
        return self._of_attribute(one)

    def _of_config(self, one: Comparison) -> Test:
        if one.operator in ("is null", "exists", "is comparable"):
            keys = json.dumps([row[0] for row in self._connection.all(KEY_IDS, {"key": one.field.name})])
            valued = "" if one.operator == "exists" else " AND v.type <> 'null'"
            found = (
                "EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = {id}"
                f" AND v.key IN (SELECT value FROM json_each(?)){valued})"
            )
            return Test(f"NOT {found}" if one.operator == "is null" else found, (keys,))
        if one.operator == "!=":
            equal = self._of_config(Comparison(one.field, "=", one.values))
            present = self._of_config(Comparison(one.field, "is comparable"))
            return Test(f"{present.sql} AND NOT {equal.sql}", present.values + equal.values)
        key = self._connection.value(KEY_ID, (one.field.name,))
        if key is None:
            return NEVER
        matches = [config_match(one.operator, value) for value in one.values]
        sql = " OR ".join(match.sql for match in matches)
        values = (key, *(v for match in matches for v in match.values))
        test = f"EXISTS (SELECT 1 FROM config_value AS v WHERE v.run = {{id}} AND v.key = ? AND ({sql}))"
        return Test(test, values)

    def _of_metric(self, one: Comparison) -> Test:
        metric = self._connection.value(METRIC_ID, (one.field.name,))
        if metric is None:
            return ALWAYS if one.operator == "is null" else NEVER
        value = METRIC_VALUES[one.field.statistic]
        series = "SELECT 1 FROM metric_series AS s WHERE s.run = {id} AND s.metric = ?"
        if one.operator == "exists":
            return Test(f"EXISTS ({series})", (metric,))
        if one.operator in ("is null", "is comparable"):
            negation = "NOT " if one.operator == "is null" else ""
            return Test(f"{negation}EXISTS ({series} AND {value} IS NOT NULL)", (metric,))
        match = value_match(value, one.operator, one.values)
        return Test(f"EXISTS ({series} AND {match.sql})", (metric, *match.values))

    def _of_set(self, one: Comparison) -> Test:
        table, run, word = SETS[one.field.name]
        some = f"EXISTS (SELECT 1 FROM {table} WHERE {run} = {{id}}"
        if one.operator in ("is null", "exists", "is comparable"):
            return Test(f"{'NOT ' * (one.operator == 'is null')}{some})", ())
        match = value_match(word, "=" if one.operator == "!=" else one.operator, one.values)
        return Test(f"{'NOT ' * (one.operator == '!=')}{some} AND {match.sql})", match.values)

    def _of_attribute(self, one: Comparison) -> Test:
        if one.field.name == "status":
            return self._of_status(one)
        value, reads_run = ATTRIBUTE_VALUES[one.field.name], True
        if one.field.name in TRIAL_VALUES:
            value, reads_run = value.replace("r.id", "{id}"), False
        if one.operator == "is null":
            return Test(f"{value} IS NULL", (), reads_run)
        if one.operator in ("exists", "is comparable"):
            return Test(f"{value} IS NOT NULL", (), reads_run)
        match = value_match(value, one.operator, one.values)
        return Test(f"({match.sql}) IS TRUE", match.values, reads_run)

    def _of_status(self, one: Comparison) -> Test:
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
            ways.append(Fragment(f"(r.status = 'completed' AND {TRIAL_VALUES['trial.state']} IS 'pruned')"))
        if plain:
            match = value_match(status, "in", plain)
            ways.append(Fragment(match.sql, values + match.values))
        sql = " OR ".join(way.sql for way in ways)
        negation = "NOT " * (one.operator == "!=")
        return Test(f"{negation}({sql})", tuple(v for way in ways for v in way.values), reads_run=True)

    # Candidates

    def candidates(self, condition: Condition) -> list[Fragment] | None:
        """Statements that together give, through an index, the number of every run that may satisfy it.

        None where no index leads there.
        """
        if isinstance(condition, Or):
            branches = [self.candidates(one) for one in condition.conditions]
            return None if None in branches else [part for branch in branches for part in branch or []]
        if isinstance(condition, And):
            counted = [(self.count(found, MOST), found) for found in self._drivers(condition)]
            return min(counted, key=lambda pair: pair[0])[1] if counted else None
        return self._led_to(condition) if isinstance(condition, Comparison) else None

    def _drivers(self, condition: And) -> Iterator[list[Fragment]]:
        for one in condition.conditions:
            found = self.candidates(one)
            if found is not None:
                yield found

    def count(self, found: list[Fragment], most: int) -> int:
        """How many rows candidates have, counted up to a bound."""
        total = 0
        for part in found:
            sql = f"SELECT count(*) FROM ({part.sql} LIMIT {most - total + 1})"
            total += int(self._connection.value(sql, part.values))
            if total > most:
                break
        return total

    def _led_to(self, one: Comparison) -> list[Fragment] | None:
        field, operator = one.field, one.operator
        if operator not in ("=", "<", "<=", ">", ">=", "in"):
            return None
        if field.kind == "config":
            key = self._connection.value(KEY_ID, (field.name,))
            if key is None:
                return []
            matches = [config_match(operator, value) for value in one.values]
            source = "SELECT v.run AS run FROM config_value AS v WHERE v.key = ? AND"
            return [Fragment(f"{source} {match.sql}", (key, *match.values)) for match in matches]
        if field.kind == "metric":
            return self._led_to_metric(one)
        if field.name in ("tag", "artifact"):
            table, run, word = SETS[field.name]
            number = "x.run AS run"
            condition = run.removesuffix(" AND x.run") + " AND " if " AND " in run else ""
            match = value_match(word, operator, one.values)
            return [
                Fragment(f"SELECT DISTINCT {number} FROM {table} WHERE {condition}{match.sql}", match.values)
            ]
        if field.name in TRIAL_COLUMNS:
            return [_of_trials(value_match(TRIAL_COLUMNS[field.name], operator, one.values))]
        if field.name == "status":
            return self._led_to_status(one)
        if field.name in INDEXED_ATTRIBUTES:
            match = value_match(ATTRIBUTE_VALUES[field.name], operator, one.values)
        else:
            return None
        return [Fragment(f"SELECT r.id AS run FROM run AS r WHERE {match.sql}", match.values)]

    def _led_to_status(self, one: Comparison) -> list[Fragment] | None:
        plain = [value for value in one.values if value != PRUNED]
        # Those that count as interrupted stand under running.
        if plain and self._any_dead:
            return None
        found = [Fragment("SELECT r.id AS run FROM run AS r WHERE r.status = ?", (value,)) for value in plain]
        if len(plain) < len(one.values):
            found.append(_of_trials(Fragment("t.state = ?", (PRUNED,))))
        return found

    def _led_to_metric(self, one: Comparison) -> list[Fragment] | None:
        if one.field.statistic not in INDEXED_VALUES:
            return None
        metric = self._connection.value(METRIC_ID, (one.field.name,))
        if metric is None:
            return []
        match = value_match(METRIC_VALUES[one.field.statistic], one.operator, one.values)
        source = "SELECT s.run AS run FROM metric_series AS s WHERE s.metric = ? AND"
        return [
            Fragment(f"{source} {state.format(s='s')} AND {match.sql}", (metric, *match.values))
            for state in STATES
        ]


def _of_trials(match: Fragment) -> Fragment:
    """The runs of trials that match."""
    return Fragment(_TRIALS.format(match=match.sql), match.values)


def value_match(value: str, operator: str, wanted: Sequence[Any]) -> Fragment:
    """An expression compared with one value, or with several: NULL where it is NULL."""
    if operator == "in":
        return Fragment(f"{value} IN ({', '.join('?' * len(wanted))})", tuple(wanted))
    if operator == "like":
        return Fragment(f"{value} LIKE ?", tuple(wanted))
    assert operator in OPERATORS, operator
    return Fragment(f"{value} {'<>' if operator == '!=' else operator} ?", tuple(wanted))


def config_match(operator: str, value: Any) -> Fragment:
    """A value of a config compared with one of the filter; only with its like."""
    operator = "=" if operator == "in" else operator
    if isinstance(value, bool):
        return Fragment("(v.text = ? AND v.type = 'bool')", (encode_canonical(value),))
    if isinstance(value, list):
        return Fragment("(v.text = ? AND v.type = 'list')", (encode_canonical(value),))
    if isinstance(value, str):
        match = value_match("v.text", operator, (value,))
        # What other types have as their text cannot be taken for it: then the index alone answers.
        alone = operator == "=" and value[:1].isalpha() and value not in ("true", "false")
        return match if alone else Fragment(f"({match.sql} AND v.type = 'text')", match.values)
    if operator == "=" and isinstance(value, int) and abs(value) > EXACT_INT:
        return Fragment("(v.text = ? AND v.type = 'int')", (str(value),))
    return value_match("v.num", operator, (float(value),))


def order_value(connection: Connection, field: Field) -> Fragment:
    """The expression of a run by which a field orders."""
    if field.kind == "metric":
        metric = connection.value(METRIC_ID, (field.name,))
        value = METRIC_VALUES[field.statistic]
        sql = f"(SELECT {value} FROM metric_series AS s WHERE s.run = r.id AND s.metric = ?)"
        return Fragment(sql, (metric,))
    if field.kind == "config":
        key = connection.value(KEY_ID, (field.name,))
        # Numbers before texts, as SQLite orders them.
        sql = "(SELECT coalesce(v.num, v.text) FROM config_value AS v WHERE v.run = r.id AND v.key = ?)"
        return Fragment(sql, (key,))
    if field.name in SETS:
        table, run, word = SETS[field.name]
        return Fragment(f"(SELECT min({word}) FROM {table} WHERE {run} = r.id)")
    return Fragment(ATTRIBUTE_VALUES[field.name])


def _union(found: list[Fragment], word: str) -> Fragment:
    """All of them in one statement."""
    if not found:
        return Fragment("SELECT id AS run FROM run WHERE 0")
    values = tuple(value for part in found for value in part.values)
    return Fragment(f" {word} ".join(part.sql for part in found), values)


def check_names_exist(connection: Connection, condition: Condition, text: str) -> None:
    """Refuse a comparison with a config key or metric that no run has but that looks like one some have.

    Raises:
        FilterError: with what was probably meant.
    """
    for one in comparisons(condition):
        if one.field.kind == "attribute" or one.operator in ("is null", "exists"):
            continue
        is_config = one.field.kind == "config"
        if connection.value(KEY_ID if is_config else METRIC_ID, (one.field.name,)) is not None:
            continue
        names = [row[0] for row in connection.all(SOME_KEYS if is_config else SOME_METRICS)]
        close = difflib.get_close_matches(one.field.name, names, n=1)
        if close:
            what = f"config.{close[0]}" if is_config else f"metrics.{close[0]}"
            raise FilterError(f"no run has {one.field}; did you mean {what}?", text, one.position)


# So many runs are tested and sorted rather than looked for along an index, in any case; up to so many, if fewer
# would have to be looked at than along it.
FEW = 500
MOST = 10_000
