"""Find the runs that satisfy conditions as sets: a walk along an index for each, then bits.

A test of one run costs microseconds for each condition. A step along an index that has the run costs a tenth.
So sets are faster where no condition leads to few runs. A set is kept until the file changes
(`Connection.keep`): the count, the rows and the index of one filter walk once.

Invariants: A set is an int. Its byte n, the least significant first, is 1 if the set has the run of row id n,
and 0 otherwise. Row ids leave SQLite as one JSON text: a row for each takes twice as long.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import compress, count
from operator import and_, or_
from typing import TypeAlias

from exptrack.database.connection import Connection
from exptrack.database.damage import decoding_rows
from exptrack.query.compiler import KEY_IDS, TRIAL_COLUMNS, Compiler, Fragment, find_by_trial, match_value
from exptrack.query.conditions import DATA, PRUNED, And, Comparison, Condition, Field, Not, Or
from exptrack.query.field_sql import METRIC_VALUES, RUNS_OF_MAPS, SETS, STATES
from exptrack.query.name_ids import find_key, find_metric
from exptrack.query.patterns import LIKE, pattern_of

RunSet: TypeAlias = int
NOBODY: RunSet = 0

FIRST_RUN = "SELECT min(id) FROM run"
LAST_RUN = "SELECT max(id) FROM run"
COUNT_ALL = "SELECT count(*) FROM run"
ALL_RUNS = "SELECT id AS run FROM run"
RUNS_WITH_NAN = "SELECT run FROM metric_series WHERE nan_count > 0"
TRASHED_RUNS = "SELECT id AS run FROM run WHERE deleted_at IS NOT NULL"
# A set has a byte for each row id. A file that was made to harm may have a row id that no memory holds.
MOST_ROW_IDS = 50_000_000
# Runs that are fewer than a fourth of all are sought one by one rather than met in a scan of all.
SCAN_SHARE = 4

# Of a run, given the bytes of a set. A run behind their end is not in it.
IS_MEMBER = "substr(?, {id} + 1, 1) = x'01'"
# SQLite keeps the order of a subquery for this aggregate: it drops the order only for count, min and max.
_GATHER = "SELECT json_group_array(run) FROM ({statement})"
_RUNS_OF_KEY = "SELECT v.run AS run FROM {table} AS v WHERE v.key = ? AND {test}"
# An index has the texts, but not their types. One that begins with a letter is text, but for true and false.
# The others that match are found in the index first: SQLite would read the row of every entry before that test.
_IS_WORD = "v.text GLOB '[A-Za-z]*' AND v.text NOT IN ('true', 'false')"
_LIKE_WORDS = (
    f"{_RUNS_OF_KEY.format(table='{table}', test=f'v.text IS NOT NULL AND v.text {LIKE}')} AND {_IS_WORD}"
)
_LIKE_OTHERS = f"""
SELECT v.run AS run
FROM (
    SELECT DISTINCT v.text AS word FROM {{table}} AS v
    WHERE v.key = ?1 AND v.text IS NOT NULL AND v.text {LIKE.replace("?", "?2")} AND NOT ({_IS_WORD})
) AS found CROSS JOIN {{table}} AS v ON v.key = ?1 AND v.text = found.word
WHERE v.type = 'text'
"""
_TESTED = "SELECT r.id AS run FROM run AS r WHERE {test}"
_TESTED_AMONG = "SELECT r.id AS run FROM json_each(?) AS d CROSS JOIN run AS r ON r.id = d.value WHERE {test}"
_SERIES = "SELECT s.run AS run FROM metric_series AS s WHERE s.metric = ? AND {test}"


class RunSets:
    """Evaluate conditions as sets of runs, as of one moment. Call inside a reading."""

    def __init__(self, connection: Connection, compiler: Compiler, dead: Sequence[int]) -> None:
        self._connection = connection
        self._compiler = compiler
        self._size = int(connection.value(LAST_RUN) or 0) + 1
        self._whole = int.from_bytes(b"\1" * self._size, "little")
        self._dead = pack(dead, self._size)

    def find(self, condition: Condition) -> RunSet:
        """Return the runs that satisfy a condition and are not in the trash."""
        return self._find(condition) & self._read_all() & ~self.read(Fragment(TRASHED_RUNS))

    def read(self, statement: Fragment) -> RunSet:
        """Return the runs that a statement lists in its column `run`; it is read once for each version."""
        return self._connection.keep(
            ("runs", *statement), lambda: _read_set(self._connection, statement, self._size)
        )

    def _read_all(self) -> RunSet:
        return self._connection.keep("all runs", self._find_all_runs)

    def _find_all_runs(self) -> RunSet:
        # Unless runs were deleted for good, these are all numbers from 1 on.
        if self._connection.value(COUNT_ALL) == self._size - 1:
            return self._whole & ~1
        return self.read(Fragment(ALL_RUNS))

    def _unite(self, statements: Iterable[Fragment]) -> RunSet:
        found = NOBODY
        for one in statements:
            found |= self.read(one)
        return found

    def _find(self, condition: Condition) -> RunSet:
        if isinstance(condition, (And, Or)):
            parts, tested = self._find_parts(condition.conditions, self._find_by_index)
            if isinstance(condition, And):
                found = reduce(and_, parts, self._whole)
                if not self._are_few(found):
                    parts, tested = self._find_parts(tested, self._scan)
                    found = reduce(and_, parts, found)
                return found & self._test(And(tested), found) if tested else found
            scanned, tested = self._find_parts(tested, self._scan)
            found = reduce(or_, scanned, reduce(or_, parts, NOBODY))
            return found | self._test(Or(tested), None) if tested else found
        walked = self._walk(condition)
        walked = self._scan(condition) if walked is None else walked
        return self._test(condition, None) if walked is None else walked

    def _find_parts(
        self, conditions: Sequence[Condition], find: Callable[[Condition], RunSet | None]
    ) -> tuple[list[RunSet], tuple[Condition, ...]]:
        """Return a set for each condition of which `find` finds one, and the other conditions."""
        parts, others = list[RunSet](), list[Condition]()
        for one in conditions:
            part = find(one)
            if part is None:
                others.append(one)
            else:
                parts.append(part)
        return parts, tuple(others)

    def _find_by_index(self, condition: Condition) -> RunSet | None:
        return self._walk(condition) if isinstance(condition, (Comparison, Not)) else self._find(condition)

    def _scan(self, condition: Condition) -> RunSet | None:
        """Return the runs that satisfy a condition, by one scan of a table; None if that answers no such one.

        To seek the series of each run takes ten times as long as one scan of all series.
        """
        if isinstance(condition, Not):
            found = self._scan(condition.condition)
            return None if found is None else self._whole & ~found
        if not isinstance(condition, Comparison) or condition.field != Field("fact", "has_nan"):
            return None
        if condition.operator not in ("=", "!="):
            return None
        found = self.read(Fragment(RUNS_WITH_NAN))
        is_wanted = bool(condition.values[0]) == (condition.operator == "=")
        return found if is_wanted else self._whole & ~found

    def _are_few(self, found: RunSet) -> bool:
        return found.bit_count() * SCAN_SHARE < self._size

    def _test(self, condition: Condition, among: RunSet | None) -> RunSet:
        """Return the runs whose rows pass the tests of a condition; at least all those of `among` that do."""
        test = self._compiler.test(condition)
        if among is not None and self._are_few(among):
            sql = _TESTED_AMONG.format(test=test.sql.format(id="r.id"))
            # Not kept: it is of these runs only.
            chosen = Fragment(sql, (json.dumps(unpack(among)), *test.values))
            return _read_set(self._connection, chosen, self._size)
        return self.read(Fragment(_TESTED.format(test=test.sql.format(id="r.id")), test.values))

    # By an index

    def _walk(self, condition: Comparison | Not) -> RunSet | None:
        """Return the runs that satisfy a condition, by walks along indexes; None if no index has its values."""
        if isinstance(condition, Not):
            inner = condition.condition
            found = self._find(inner) if isinstance(inner, (And, Or)) else self._walk(inner)
            return None if found is None else self._whole & ~found
        field = condition.field
        if field.kind in ("config", "attribute"):
            return self._walk_values(condition)
        if field.kind == "metric":
            return self._walk_metric(condition)
        if field.name in SETS:
            return self._walk_words(condition)
        if field.name == "status":
            return self._walk_statuses(condition)
        if field.name in TRIAL_COLUMNS:
            return self._walk_trials(condition)
        statements = self._compiler.find_candidates(condition)
        return None if statements is None else self._unite(statements)

    def _walk_values(self, one: Comparison) -> RunSet | None:
        comparable = Comparison(one.field, "is comparable")
        if one.operator == "is null":
            return self._invert(self._walk_values(comparable))
        if one.operator == "!=":
            held = self._walk_values(comparable)
            equal = self._walk_values(Comparison(one.field, "=", one.values))
            return None if held is None or equal is None else held & ~equal
        if one.operator == "exists":
            held = self._walk_values(comparable) or NOBODY
            others = self._read_all() & ~held  # that may have it as null
            return held | self._test(one, others) if others else held
        table, keys = "run_attribute", list[int | str | None]([one.field.name])
        if one.field.kind == "config":
            table, keys = "config_value", [find_key(self._connection, one.field.name)]
        if one.operator == "like":
            values = (*keys, *map(pattern_of, map(str, one.values)))
            return self._unite(Fragment(sql.format(table=table), values) for sql in (_LIKE_WORDS, _LIKE_OTHERS))
        if one.operator != "is comparable":
            statements = self._compiler.find_candidates(one)
            return None if statements is None else self._unite(statements)
        if table == "config_value":
            keys = [row[0] for row in self._connection.all(KEY_IDS, {"key": one.field.name})]
        # Null is in neither column, and in an attribute neither is NaN.
        tests = [_RUNS_OF_KEY.format(table=table, test=f"v.{column} IS NOT NULL") for column in ("num", "text")]
        return self._unite(Fragment(sql, (key,)) for key in keys for sql in tests)

    def _walk_metric(self, one: Comparison) -> RunSet | None:
        metric = find_metric(self._connection, one.field.name)
        if one.operator == "is null":
            return self._invert(self._walk_metric(Comparison(one.field, "is comparable")))
        if metric is None:
            return NOBODY
        value = METRIC_VALUES[one.field.statistic]
        match = Fragment("1")
        if one.operator == "is comparable":
            match = Fragment(f"{value} IS NOT NULL")
        elif one.operator != "exists":
            match = match_value(value, one.operator, one.values)
        return self._unite(
            Fragment(_SERIES.format(test=f"{state.format(s='s')} AND {match.sql}"), (metric, *match.values))
            for state in STATES
        )

    def _walk_words(self, one: Comparison) -> RunSet | None:
        words = SETS[one.field.name]
        negated = one.operator in ("is null", "!=")
        match = Fragment("1")
        if one.operator not in ("is null", "exists", "is comparable"):
            match = match_value(words.word, "=" if negated else one.operator, one.values)
        sql = f"SELECT DISTINCT x.run AS run FROM {words.source} WHERE {words.where(match.sql)}"
        if one.field.name == DATA:
            sql = RUNS_OF_MAPS.format(test=match.sql)
        found = self.read(Fragment(sql, match.values))
        return self._invert(found) if negated else found

    def _walk_trials(self, one: Comparison) -> RunSet | None:
        value = TRIAL_COLUMNS[one.field.name]
        match = Fragment(f"{value} IS NOT NULL")
        if one.operator not in ("is null", "exists", "is comparable"):
            match = match_value(value, one.operator, one.values)
        found = self.read(find_by_trial(match))
        return self._invert(found) if one.operator == "is null" else found

    def _walk_statuses(self, one: Comparison) -> RunSet | None:
        if one.operator in ("is null", "exists", "is comparable"):
            return NOBODY if one.operator == "is null" else self._whole
        if one.operator not in ("=", "!=", "in"):
            return None
        found = NOBODY
        for word in one.values:
            found |= self._read_status(str(word))
        return self._invert(found) if one.operator == "!=" else found

    def _read_status(self, word: str) -> RunSet:
        if word == PRUNED:
            return self.read(find_by_trial(Fragment("t.state = ?", (PRUNED,)))) & self._read_status("completed")
        found = self.read(Fragment("SELECT r.id AS run FROM run AS r WHERE r.status = ?", (word,)))
        if word == "interrupted":
            return found | self._dead
        return found & ~self._dead

    def _invert(self, found: RunSet | None) -> RunSet | None:
        return None if found is None else self._whole & ~found


@decoding_rows
def read_runs(connection: Connection, statement: Fragment) -> array[int]:
    """Read the row ids that a statement lists in its column `run`, in its order."""
    return array("q", _read_list(connection, statement))


@decoding_rows
def _read_set(connection: Connection, statement: Fragment, size: int) -> RunSet:
    return pack(_read_list(connection, statement), size)


def _read_list(connection: Connection, statement: Fragment) -> list[int]:
    found = connection.value(_GATHER.format(statement=statement.sql), statement.values)
    runs: list[int] = json.loads(found)
    return runs


def can_use_sets(connection: Connection) -> bool:
    """Return whether the row ids of the runs are such as exptrack gives."""
    first, last = connection.value(FIRST_RUN), connection.value(LAST_RUN)
    return first is not None and first >= 0 and last < MOST_ROW_IDS


def pack(runs: Sequence[int], size: int) -> RunSet:
    """Return the set of runs, given by row ids below `size`. Others are of no run of the file."""
    if runs and (min(runs) < 0 or max(runs) >= size):
        runs = [run for run in runs if 0 <= run < size]
    marks = bytearray(size)
    for run in runs:
        marks[run] = 1
    return int.from_bytes(marks, "little")


def mark(runs: Sequence[int]) -> bytes | None:
    """Return runs of the file as `IS_MEMBER` takes them; None if their row ids are too large."""
    last = max(runs, default=0)
    return None if last >= MOST_ROW_IDS else to_bytes(pack(runs, last + 1))


def to_bytes(found: RunSet) -> bytes:
    """Return a set as `IS_MEMBER` takes it."""
    return found.to_bytes((found.bit_length() + 7) // 8, "little")


def unpack(found: RunSet) -> list[int]:
    """Return the row ids of a set, the least first."""
    return list(compress(count(), to_bytes(found)))
