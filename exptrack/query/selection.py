"""Find the runs that satisfy conditions, in an order, through an index.

SQLite keeps no statistics of these tables. So this file counts the rows to which each condition leads through
an index, up to a bound. The condition with the fewest rows drives the statement; the others are tested run by
run. One exception: if matching runs are frequent and there is a limit, walking the index of the order finds
enough of them sooner.

Where each condition leads to many runs, all conditions are evaluated as sets (`run_sets`). A statement then
tests whether a run is in the set of those that satisfy them.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any

from exptrack.database.connection import Connection
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import read_elements, short_repr
from exptrack.query.asked import Order, SelectedRun
from exptrack.query.compiler import ALWAYS, FEW, MOST, Compiler, Fragment, Test, express_field, unite
from exptrack.query.conditions import PRUNED, And, Comparison, Condition, Field, Or
from exptrack.query.run_sets import (
    IS_MEMBER,
    LAST_RUN,
    SCAN_SHARE,
    RunSet,
    RunSets,
    can_use_sets,
    read_runs,
    to_bytes,
    unpack,
)
from exptrack.query.walks import Walk, has_walks, list_walks
from exptrack.validation import check_sql_value, check_step

# A statement that only counts has no order to walk along, so more candidates are worth a look.
MOST_WHEN_COUNTING = 100_000
# Up to this many candidates are tested one by one rather than found as a set.
FEW_FOR_SETS = 2_000
# Looking up a value to sort by takes as long as passing this many entries of an index.
LOOKUP_STEPS = 10
ALL = -1  # as a LIMIT of SQLite


def check_place(after: object) -> SelectedRun:
    """Return the place of a page, made of plain values.

    Raises:
        InvalidTypeError: it is not the `after` of a page.
    """
    if not isinstance(after, SelectedRun):
        raise InvalidTypeError(f"after must be the `after` of a page, not {short_repr(after)}")
    values = read_elements(after.values, "the values of a place")
    return SelectedRun(check_step(after.run), tuple(check_sql_value(value) for value in values))


class Selection:
    """The runs that satisfy a condition, in an order.

    `dead` are runs that are marked running although their process is gone.
    """

    def __init__(
        self, connection: Connection, condition: Condition, order: Sequence[Order], dead: Sequence[int] = ()
    ) -> None:
        self._connection = connection
        self._dead = dead
        self._compiler = Compiler(connection, dead)
        self._condition = condition if isinstance(condition, And) else And((condition,))
        self._order = order
        self._members: RunSet | None = None  # found once, if sets pay
        self._test_of_members: Test | None = None
        self._has_looked = False

    def count(self) -> int:
        """Count the runs."""
        if self._members is None and not self._has_one_walk():
            self.use_sets()
        if self._members is not None:
            return self._members.bit_count()
        return int(self._connection.value(*self.compile_count()))

    def compile_count(self) -> Fragment:
        """Return the statement that counts the runs."""
        return self._compile_set("count(*)", "count(*)")

    def compile_members(self) -> Fragment:
        """Return the statement that lists the row ids of the runs, in any order."""
        return self._compile_set("r.id AS run", "d.run AS run")

    def _compile_set(self, of_run: str, of_driver: str) -> Fragment:
        driver, test = self._choose_driver(None)
        if driver is None:
            return Fragment(f"SELECT {of_run} FROM run AS r WHERE {test.sql.format(id='r.id')}", test.values)
        run = " CROSS JOIN run AS r ON r.id = d.run" if test.reads_run else ""
        sql = f"SELECT {of_driver} FROM ({driver.sql}) AS d{run} WHERE {test.sql.format(id='d.run')}"
        return Fragment(sql, driver.values + test.values)

    def find_members(self) -> Sequence[int]:
        """Return the row ids of the runs, in any order."""
        self.use_sets()
        if self._members is None:
            return read_runs(self._connection, self.compile_members())
        return unpack(self._members)

    def use_sets(self) -> None:
        """Find the runs as a set, unless a condition leads to few of them.

        A count and whole orders do so by themselves. For some rows along an index a set costs more than tests
        do, unless it is wanted anyway.
        """
        if self._has_looked:
            return
        self._has_looked = True
        conditions = self._condition.conditions
        if not conditions or int(self._connection.value(LAST_RUN) or 0) <= FEW_FOR_SETS:
            return
        if not can_use_sets(self._connection):
            return
        for one in conditions:
            found = self._compiler.find_candidates(one)
            if found is not None and self._compiler.count(found, FEW_FOR_SETS) <= FEW_FOR_SETS:
                return
        sets = RunSets(self._connection, self._compiler, self._dead)
        self._members = sets.find(self._condition)
        self._test_of_members = Test(IS_MEMBER, (to_bytes(self._members),))

    def _has_one_walk(self) -> bool:
        """Whether the condition is only one, which an index counts."""
        only = self._condition.conditions[0] if len(self._condition.conditions) == 1 else None
        if not isinstance(only, Comparison) or not _is_exact(only):
            return False
        return self._compiler.find_candidates(only) is not None

    def rows(self, limit: int | None, after: SelectedRun | None = None, skip: int = 0) -> list[SelectedRun]:
        """Read the first `limit` runs, or the first behind `after`, without `skip` of them; None means all."""
        if after is not None and len(after.values) != len(self._order):
            raise InvalidValueError("after is a place in another order; give the one of a page of this query")
        if limit is None or not self._is_indexed():
            self.use_sets()
        if limit is not None and self._walks(limit):
            if after is not None and after.values[0] is None:
                return self._read(self.compile_rest(limit, after.run))
            ranked = self.compile_ranking(limit, after, skip)
            found = [] if ranked is None else self._read(ranked)
            # If the indexes have fewer, runs without the value follow.
            if len(found) == limit:
                return found
            if found or not skip:
                return found + self._read(self.compile_rest(limit - len(found)))
        return self._read(self.compile_list(limit, after, skip))

    def row_ids(self, limit: int | None = None) -> array[int]:
        """Read the row ids of all runs, or of the first `limit`, in order."""
        if limit is not None:
            return array("q", [one.run for one in self.rows(limit)])
        self.use_sets()
        if not self._walks(None):
            return read_runs(self._connection, self.compile_list(None))
        found = array("q")
        for part in self.compile_order():
            found.extend(read_runs(self._connection, part))
        if len(found) < self.count():
            found.extend(sorted(set(self.find_members()).difference(found), reverse=True))
        return found

    def _read(self, statement: Fragment) -> list[SelectedRun]:
        rows = self._connection.all(statement.sql, statement.values)
        return [SelectedRun(row[0], tuple(row)[1:]) for row in rows]

    def compile_list(self, limit: int | None, after: SelectedRun | None = None, skip: int = 0) -> Fragment:
        """Return the statement that lists the runs, whatever fields order them."""
        driver, test = self._choose_driver(limit if self._is_indexed() else None)
        orders = [express_field(self._connection, one.field) for one in self._order]
        columns = "".join(f", {value.sql} AS o{place}" for place, value in enumerate(orders))
        source, values = "run AS r", tuple(v for value in orders for v in value.values)
        if driver is not None:
            source = f"({driver.sql}) AS d CROSS JOIN run AS r ON r.id = d.run"
            values += driver.values
        sql = f"SELECT r.id AS run{columns} FROM {source} WHERE {test.sql.format(id='r.id')}"
        values += test.values
        if after is not None:
            behind = self._test_behind(after, [value.sql for value in orders], orders, "r.id")
            sql, values = f"{sql} AND {behind.sql}", values + behind.values
        terms = [f"o{place}{self._write_direction(one)}" for place, one in enumerate(self._order)]
        sql = f"{sql} ORDER BY {', '.join([*terms, 'r.id DESC'])}"
        if limit is None and not skip:
            return Fragment(sql, values)
        return Fragment(f"{sql} LIMIT ? OFFSET ?", (*values, ALL if limit is None else limit, skip))

    def compile_rest(self, limit: int, below: int | None = None) -> Fragment:
        """Return the statement that lists runs without a value to order them: the newest first.

        `below` is the row id of the run after which they begin.
        """
        test = self._admit(self._condition)
        value = express_field(self._connection, self._order[0].field)
        begin, first = ("", ()) if below is None else (" AND r.id < ?", (below,))
        sql = (
            f"SELECT r.id, NULL FROM run AS r WHERE {test.sql.format(id='r.id')} AND {value.sql} IS NULL{begin}"
            " ORDER BY r.id DESC LIMIT ?"
        )
        return Fragment(sql, (*test.values, *value.values, *first, limit))

    def compile_ranking(
        self, limit: int | None, after: SelectedRun | None = None, skip: int = 0
    ) -> Fragment | None:
        """Return the statement that walks along the indexes of a metric, config key or attribute.

        None if they have not the order, or if that is slower. Runs without a value are left out.
        """
        if not self._walks(limit):
            return None
        field, descending = self._order[0]
        last = None if after is None else after.values[0]
        most = ALL if limit is None else limit + skip
        parts, values = [], list[Any]()
        for walk in list_walks(self._connection, field, descending, last):
            part = self._compile_walk(walk, after)
            parts.append(f"SELECT * FROM ({part.sql} LIMIT ?)")
            values += (*part.values, most)
        if not parts:
            return None
        union = " UNION ALL ".join(parts)
        sql = f"SELECT run, value FROM ({union}) ORDER BY value {self._direction}, run DESC LIMIT ? OFFSET ?"
        return Fragment(sql, (*values, ALL if limit is None else limit, skip))

    def compile_order(self) -> list[Fragment]:
        """Return statements that list all runs with a value, one behind the other, along indexes."""
        field, descending = self._order[0]
        walks = list_walks(self._connection, field, descending, None)
        if field.kind != "metric":
            # All numbers come before all texts.
            return [self._compile_walk(walk, None) for walk in (reversed(walks) if descending else walks)]
        # SQLite merges the walks as they come: each has the order.
        parts = [self._compile_walk(walk, None, is_ordered=False) for walk in walks]
        union = " UNION ALL ".join(part.sql for part in parts)
        values = tuple(value for part in parts for value in part.values)
        return [Fragment(f"{union} ORDER BY value {self._direction}, run DESC", values)]

    def _compile_walk(self, walk: Walk, after: SelectedRun | None, *, is_ordered: bool = True) -> Fragment:
        """Return the statement that lists runs and their values along one index."""
        test = self._admit(self._condition)
        # The row is called m, because tests call theirs otherwise.
        run = " CROSS JOIN run AS r ON r.id = m.run" if test.reads_run else ""
        sql = (
            f"SELECT m.run AS run, {walk.value} AS value FROM {walk.table}{run}"
            f" WHERE {walk.where} AND ({test.sql.format(id='m.run')})"
        )
        values = (*walk.values, *test.values)
        if after is not None:
            behind = self._test_behind(after, [walk.value], [Fragment(walk.value)], "m.run")
            sql, values = f"{sql} AND {behind.sql}", values + behind.values
        if not is_ordered:
            return Fragment(sql, values)
        # Values that are equal as doubles may differ.
        terms = dict.fromkeys((walk.key, walk.value))
        keys = ", ".join(f"{term} {self._direction}" for term in terms if term != f"+{walk.key}")
        return Fragment(f"{sql} ORDER BY {keys}, m.run DESC", values)

    @property
    def _direction(self) -> str:
        return "DESC" if self._order[0].descending else "ASC"

    def _admit(self, conditions: And) -> Test:
        """Return the test of conditions; one look at the set of the members, if that is known."""
        return self._test_of_members or self._compiler.admit(conditions)

    def _is_indexed(self) -> bool:
        """Return whether an index has the order."""
        field = self._order[0].field
        return (field.kind == "fact" and field.name in ("id", "started")) or self._has_walks()

    def _walks(self, limit: int | None) -> bool:
        """Return whether walking along indexes finds the runs sooner than the conditions do."""
        return self._has_walks() and self._choose_driver(limit)[0] is None

    def _has_walks(self) -> bool:
        return len(self._order) == 1 and has_walks(self._order[0].field)

    def _choose_driver(self, limit: int | None) -> tuple[Fragment | None, Test]:
        """Choose the condition that leads to the fewest runs; return it, or None, and a test of the others.

        A `limit` means that an index has the order. Then the condition must lead to fewer runs than the walk
        along that index looks at. That number is estimated as if the conditions were independent.
        """
        if self._members is not None:
            return self._choose_members(self._members, limit)
        most = MOST_WHEN_COUNTING if limit is None else MOST
        if limit is None and len(self._condition.conditions) == 1:
            (only,) = self._condition.conditions
            found = self._compiler.find_candidates(only)
            if found is not None and _is_exact(only):
                return unite(found, _choose_union(only)), self._compiler.admit(And(()))
        best: tuple[int, int, list[Fragment]] | None = None
        share, runs = 1.0, 1 if limit is None else int(self._connection.value(LAST_RUN) or 1)
        for place, one in enumerate(self._condition.conditions):
            found = self._compiler.find_candidates(one)
            if found is None:
                continue
            # The estimate needs each count; without a limit, counting stops at the least so far.
            counted = self._compiler.count(found, most if best is None or limit is not None else best[0])
            share *= min(1.0, max(counted, 0.5) / runs) if counted <= most else 0.5
            if counted <= most and (best is None or counted < best[0]):
                best = (counted, place, found)
        if best is None or (limit is not None and best[0] > max(FEW, limit / share)):
            return None, self._compiler.admit(self._condition)
        _count, place, found = best
        chosen = self._condition.conditions[place]
        # Inexact candidates include runs that fail the condition, so it is tested as well.
        exact = _is_exact(chosen)
        rest = tuple(c for at, c in enumerate(self._condition.conditions) if at != place or not exact)
        return unite(found, _choose_union(chosen)), self._compiler.admit(And(rest))

    def _choose_members(self, members: RunSet, limit: int | None) -> tuple[Fragment | None, Test]:
        """Return the members as a driver if they are few, else a test of membership."""
        assert self._test_of_members is not None
        runs, found = int(self._connection.value(LAST_RUN) or 0), members.bit_count()
        seeks = found * SCAN_SHARE
        if limit is not None:
            # A walk along the index of the order passes runs until it has met enough members.
            seeks = found * LOOKUP_STEPS * found // max(limit, 1)
        if seeks < runs:
            return Fragment("SELECT value AS run FROM json_each(?)", (json.dumps(unpack(members)),)), ALWAYS
        return None, self._test_of_members

    def _write_direction(self, one: Order) -> str:
        # A field that no run lacks is ordered without a word on NULL, so that its index serves.
        is_never_null = one.field.kind == "fact" and one.field.name in ("id", "started", "status")
        return " DESC" if one.descending else "" if is_never_null else " NULLS LAST"

    def _test_behind(
        self, after: SelectedRun, terms: Sequence[str], orders: Sequence[Fragment], run: str
    ) -> Fragment:
        """Test whether a run comes after `after` in the order: keyset pagination."""
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
    """Return whether candidates of the condition are exactly the runs that satisfy it."""
    if isinstance(condition, Or):
        return all(map(_is_exact, condition.conditions))
    # A pruned run must have completed. Its row says so, but candidates do not read it: that costs too much.
    return isinstance(condition, Comparison) and not (
        condition.field == Field("fact", "status") and PRUNED in condition.values
    )


def _choose_union(condition: Condition) -> str:
    """Return how to join candidates: without duplicates if a run can be in several of them."""
    # A run has one value of a key and one series of a metric.
    once = isinstance(condition, Comparison) and condition.operator != "in"
    return "UNION ALL" if once else "UNION"
