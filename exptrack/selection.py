"""Conditions become SQL: which runs a filter admits, in which order, found through an index.

Invariants: statements are put together from the fixed fragments here; every name and value of a filter is
bound. Every test is true or false, never NULL, so that ``not`` means what it says. A comparison holds only
where there is something to compare: NaN and what a run lacks satisfy none.

How a selection is read: SQLite keeps no statistics of these tables, so the rows that each condition leads to
through an index are counted here, up to a bound. The most selective one drives the query and the others are
tested run by run; unless what is wanted is so frequent that the index of the order finds it sooner, where
``LIMIT`` stops the search.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from exptrack.config.tree import EXACT_INT, canonical
from exptrack.database.connection import Connection
from exptrack.errors import FilterError
from exptrack.filters import PRUNED, And, Comparison, Condition, Field, Not, Or, comparisons

# So many runs are tested and sorted rather than looked for along an index, in any case; up to so many, if fewer
# would have to be looked at than along it.
FEW = 500
MOST = 10_000
COUNTED_FOR_COUNTING = 100_000

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
LAST_RUN = "SELECT max(id) FROM run"

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
        return Fragment("(v.text = ? AND v.type = 'bool')", (canonical(value),))
    if isinstance(value, list):
        return Fragment("(v.text = ? AND v.type = 'list')", (canonical(value),))
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


class Order(NamedTuple):
    """By what runs are ordered. Runs without such a value come last either way; the newer run wins a tie."""

    field: Field
    descending: bool


class Found(NamedTuple):
    """A run that was selected: its number in this file, and the values it is ordered by."""

    run: int
    values: tuple[Any, ...]


NEWEST_FIRST = (Order(Field("attribute", "started"), True),)


class Selection:
    """The runs that satisfy a condition, in an order.

    `dead` are the runs that are marked running although their process is gone.
    """

    def __init__(
        self, connection: Connection, condition: Condition, order: Sequence[Order], dead: Sequence[int] = ()
    ) -> None:
        self._connection = connection
        self._compiler = Compiler(connection, dead)
        self._condition = condition if isinstance(condition, And) else And((condition,))
        self._order = order

    def count(self) -> int:
        """How many there are."""
        return int(self._connection.value(*self.counting()))

    def counting(self) -> Fragment:
        """The statement that counts."""
        driver, rest = self._driver(None)
        test = self._compiler.test(rest)
        if driver is None:
            return Fragment(f"SELECT count(*) FROM run AS r WHERE {test.sql.format(id='r.id')}", test.values)
        run = " CROSS JOIN run AS r ON r.id = d.run" if test.reads_run else ""
        sql = f"SELECT count(*) FROM ({driver.sql}) AS d{run} WHERE {test.sql.format(id='d.run')}"
        return Fragment(sql, driver.values + test.values)

    def rows(self, limit: int | None, after: Found | None = None) -> list[Found]:
        """The first of them, or the first behind `after`."""
        if limit is not None:
            ranked = self.ranking(limit, after)
            if ranked is not None:
                found = self._run(ranked)
                # Fewer: there may be runs without the value, which come last.
                if len(found) == limit:
                    return found
        return self._run(self.listing(limit, after))

    def _run(self, statement: Fragment) -> list[Found]:
        rows = self._connection.all(statement.sql, statement.values)
        return [Found(row[0], tuple(row)[1:]) for row in rows]

    def listing(self, limit: int | None, after: Found | None = None) -> Fragment:
        """The statement that lists them, whatever the order."""
        driver, rest = self._driver(limit if self._is_indexed() else None)
        test = self._compiler.test(rest)
        orders = [order_value(self._connection, one.field) for one in self._order]
        columns = "".join(f", {value.sql} AS o{place}" for place, value in enumerate(orders))
        source, values = "run AS r", tuple(v for value in orders for v in value.values)
        if driver is not None:
            source = f"({driver.sql}) AS d CROSS JOIN run AS r ON r.id = d.run"
            values += driver.values
        sql = f"SELECT r.id{columns} FROM {source} WHERE {test.sql.format(id='r.id')}"
        values += test.values
        if after is not None:
            behind = self._behind(after, [value.sql for value in orders], orders, "r.id")
            sql, values = f"{sql} AND {behind.sql}", values + behind.values
        terms = [self._term(one, value.sql) for one, value in zip(self._order, orders, strict=True)]
        values += tuple(
            v for one, value in zip(self._order, orders, strict=True) for v in value.values * self._uses(one)
        )
        sql = f"{sql} ORDER BY {', '.join([*terms, 'r.id DESC'])}"
        return Fragment(sql, values) if limit is None else Fragment(f"{sql} LIMIT ?", (*values, limit))

    def ranking(self, limit: int, after: Found | None = None) -> Fragment | None:
        """The statement that reads the best along the index of a metric; None where that would not pay."""
        field, descending = self._order[0]
        if field.kind != "metric" or not self._is_indexed() or self._driver(limit)[0] is not None:
            return None
        metric = self._connection.value(METRIC_ID, (field.name,))
        test = self._compiler.test(self._condition)
        # Not s, which tests of metrics call theirs.
        value = METRIC_VALUES[field.statistic].replace("s.", "m.")
        direction = "DESC" if descending else "ASC"
        run = " CROSS JOIN run AS r ON r.id = m.run" if test.reads_run else ""
        values: tuple[Any, ...] = ()
        parts = []
        for state in STATES:
            sql = (
                f"SELECT m.run AS run, {value} AS value FROM metric_series AS m{run}"
                f" WHERE m.metric = ? AND {state.format(s='m')} AND {value} IS NOT NULL"
                f" AND ({test.sql.format(id='m.run')})"
            )
            values += (metric, *test.values)
            if after is not None:
                behind = self._behind(after, [value], [Fragment(value)], "m.run")
                sql, values = f"{sql} AND {behind.sql}", values + behind.values
            parts.append(f"SELECT * FROM ({sql} ORDER BY {value} {direction}, m.run DESC LIMIT ?)")
            values += (limit,)
        union = " UNION ALL ".join(parts)
        sql = f"SELECT run, value FROM ({union}) ORDER BY value {direction}, run DESC LIMIT ?"
        return Fragment(sql, (*values, limit))

    def _is_indexed(self) -> bool:
        """Whether an index has the order."""
        field = self._order[0].field
        if field.kind == "attribute":
            return field.name in ("id", "started")
        return len(self._order) == 1 and field.statistic in INDEXED_VALUES

    def _driver(self, limit: int | None) -> tuple[Fragment | None, And]:
        """The condition that leads to the fewest runs, and the others; None where that does not pay.

        With a `limit`, an index has the order: as many runs as are looked at along it before enough are found
        is what the condition must better. It is taken that the conditions do not depend on each other.
        """
        most = COUNTED_FOR_COUNTING if limit is None else MOST
        if limit is None and len(self._condition.conditions) == 1:
            # Nothing to choose between.
            found = self._compiler.candidates(self._condition.conditions[0])
            only = self._condition.conditions[0]
            if found is not None and _is_exact(only):
                return _union(found, _word(only)), And(())
        best: tuple[int, int, list[Fragment]] | None = None
        share, runs = 1.0, 1 if limit is None else int(self._connection.value(LAST_RUN) or 1)
        for place, one in enumerate(self._condition.conditions):
            found = self._compiler.candidates(one)
            if found is None:
                continue
            # To know the shares, each is counted; to know the least, no more than that of the others.
            counted = self._compiler.count(found, most if best is None or limit is not None else best[0])
            share *= min(1.0, max(counted, 0.5) / runs) if counted <= most else 0.5
            if counted <= most and (best is None or counted < best[0]):
                best = (counted, place, found)
        if best is None or (limit is not None and best[0] > max(FEW, limit / share)):
            return None, self._condition
        _count, place, found = best
        chosen = self._condition.conditions[place]
        # Candidates of an And inside may be too many: these are tested all the same.
        exact = _is_exact(chosen)
        rest = tuple(c for at, c in enumerate(self._condition.conditions) if at != place or not exact)
        return _union(found, _word(chosen)), And(rest)

    def _term(self, one: Order, value: str) -> str:
        direction = " DESC" if one.descending else ""
        return f"{value}{direction}" if self._uses(one) == 1 else f"{value} IS NULL, {value}{direction}"

    def _uses(self, one: Order) -> int:
        """How often the expression stands in ORDER BY: what is never NULL needs no word on that."""
        return 1 if one.field.kind == "attribute" and one.field.name in ("id", "started", "status") else 2

    def _behind(self, after: Found, terms: Sequence[str], orders: Sequence[Fragment], run: str) -> Fragment:
        """Whether a run comes after one, in the order: keyset pagination."""
        ways: list[str] = []
        values: tuple[Any, ...] = ()
        same = ""
        same_values: tuple[Any, ...] = ()
        for one, term, fragment, value in zip(self._order, terms, orders, after.values, strict=True):
            if value is not None:
                sign = "<" if one.descending else ">"
                ways.append(f"({same}({term} {sign} ? OR {term} IS NULL))")
                values += (*same_values, *fragment.values, value, *fragment.values)
            same += f"{term} IS ? AND "
            same_values += (*fragment.values, value)
        ways.append(f"({same}{run} < ?)")
        return Fragment(f"({' OR '.join(ways)})", (*values, *same_values, after.run))


def _is_exact(condition: Condition) -> bool:
    """Whether candidates, if there are any, are the runs that satisfy the condition, and no others."""
    if isinstance(condition, Or):
        return all(map(_is_exact, condition.conditions))
    # That the runs of pruned trials completed, their rows tell: to look there costs more than all else.
    return isinstance(condition, Comparison) and not (
        condition.field == Field("attribute", "status") and PRUNED in condition.values
    )


def _word(condition: Condition) -> str:
    """How the candidates of a condition go together: a run has one value of a key, one series of a metric."""
    once = isinstance(condition, Comparison) and condition.operator != "in"
    return "UNION ALL" if once else "UNION"


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
