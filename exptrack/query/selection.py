"""Find the runs that a filter admits, in the order asked for, through an index.

How a selection is read: SQLite keeps no statistics of these tables, so the rows that each condition leads to
through an index are counted here, up to a bound. The most selective one drives the query and the others are
tested run by run; unless what is wanted is so frequent that the index of the order finds it sooner, where
``LIMIT`` stops the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.query.compiler import (
    FEW,
    INDEXED_VALUES,
    METRIC_ID,
    METRIC_VALUES,
    MOST,
    STATES,
    Compiler,
    Fragment,
    _union,
    order_value,
)
from exptrack.query.conditions import PRUNED, And, Comparison, Condition, Field, Or

COUNTED_FOR_COUNTING = 100_000
LAST_RUN = "SELECT max(id) FROM run"


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
