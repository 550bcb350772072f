"""A question about runs that is put together step by step and asked when its answer is needed.

Invariants: a query never changes; each step makes a new one. Nothing is read before it is iterated, counted or
turned into records. Iterating reads a page at a time, each behind the last run of the one before, so that
memory stays bounded and runs that come or go meanwhile neither shift nor repeat others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from exptrack.database.connection import Connection
from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.query import frames
from exptrack.query.compiler import check_names_exist
from exptrack.query.conditions import EVERYTHING, And, Comparison, Condition, Field, Or
from exptrack.query.details import runs_in_order
from exptrack.query.fields import read_column, run_numbers
from exptrack.query.parser import parse_columns, parse_filter, parse_order
from exptrack.query.run_filter import RunFilter, check_asked_status
from exptrack.query.selection import NEWEST_FIRST, Found, Order, Selection
from exptrack.records import RunSummary
from exptrack.runs.lookup import summaries
from exptrack.runs.ownership import dead_runs
from exptrack.validation import check_name, short_repr

if TYPE_CHECKING:
    import pandas
    import polars

PAGE_RUNS = 500


class Page(NamedTuple):
    """Some runs of a query; `after` leads to the next ones, and is None where there are none."""

    runs: list[RunSummary]
    after: Found | None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Runs that satisfy conditions, in an order; from :meth:`exptrack.Archive.runs`.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive:
    ...     for lr in (0.1, 0.01, 0.001):
    ...         with archive.start_run({"lr": lr}, ["sweep"]) as run:
    ...             run.log({"acc": 1 - lr})
    ...     query = archive.runs().where("config.lr < 0.05").tagged("sweep").order_by("-metrics.acc")
    ...     query.count(), [round(run.metrics["acc"], 3) for run in query]
    (2, [0.999, 0.99])
    """

    _connection: Connection
    _settle: Callable[[], None]
    _condition: Condition = EVERYTHING
    _order: tuple[Order, ...] = NEWEST_FIRST
    _limit: int | None = None

    # Steps

    def where(self, text: str, *parameters: object) -> RunQuery:
        """Only runs that satisfy a filter, in the words of ``docs/filters.md``; `parameters` are its ``?``.

        Raises:
            FilterError: it is wrong, or asks for a misspelled key or metric.
        """
        condition = parse_filter(text, parameters)
        check_names_exist(self._connection, condition, text)
        return self._and(condition)

    def tagged(self, *tags: str) -> RunQuery:
        """Only runs that carry all these tags."""
        return self._and(*(_equal("tag", check_name(tag, "tag")) for tag in tags))

    def with_status(self, *statuses: str) -> RunQuery:
        """Only runs of one of these statuses; ``"pruned"``: completed runs whose trial was given up early."""
        return self._and(Or(tuple(_equal("status", check_asked_status(one)) for one in statuses)))

    def in_group(self, group: str) -> RunQuery:
        """Only runs of a group."""
        return self._and(_equal("group", check_name(group, "group")))

    def matching(self, run_filter: RunFilter) -> RunQuery:
        """Only runs that a RunFilter admits."""
        if not isinstance(run_filter, RunFilter):
            raise InvalidTypeError(f"matching takes a RunFilter, not {short_repr(run_filter)}")
        return self._and(run_filter.condition())

    def started(self, after: datetime | str | None = None, before: datetime | str | None = None) -> RunQuery:
        """Only runs started at or after `after` and before `before`."""
        return self.matching(RunFilter.all(after, before))

    def order_by(self, *fields: str) -> RunQuery:
        """In the order of these fields, like ``"-metrics.acc.max"``; a minus sign means descending.

        Runs that lack a value come last; of equal ones the newer comes first.

        Raises:
            FilterError: there is no such field.
        """
        order = tuple(Order(*one) for field in fields for one in parse_order(field))
        for one in order:
            asked = Comparison(one.field, "is comparable")
            check_names_exist(self._connection, asked, ", ".join(map(str, fields)))
        return replace(self, _order=order or NEWEST_FIRST)

    def limit(self, count: int) -> RunQuery:
        """At most so many."""
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**62:
            raise InvalidValueError(f"limit must be a whole number from 0, not {short_repr(count)}")
        return replace(self, _limit=count if self._limit is None else min(count, self._limit))

    def _and(self, *conditions: Condition) -> RunQuery:
        mine = self._condition.conditions if isinstance(self._condition, And) else (self._condition,)
        added = [part for one in conditions for part in (one.conditions if isinstance(one, And) else (one,))]
        return replace(self, _condition=And((*mine, *added)))

    # Answers

    def count(self) -> int:
        """How many runs there are."""
        self._settle()
        dead = dead_runs(self._connection)
        found = Selection(self._connection, self._condition, self._order, dead).count()
        return found if self._limit is None else min(found, self._limit)

    def first(self) -> RunSummary | None:
        """The first run, or None."""
        return next(iter(self.limit(1)), None)

    def list(self) -> list[RunSummary]:
        """All of them."""
        return list(self)

    def __iter__(self) -> Iterator[RunSummary]:
        """The runs, read a page at a time."""
        for page in self._pages():
            yield from page.runs

    def _pages(self) -> Iterator[Page]:
        left, after = self._limit, None
        while left is None or left > 0:
            page = self.page(PAGE_RUNS if left is None else min(left, PAGE_RUNS), after)
            yield page
            after = page.after
            if after is None:
                return
            if left is not None:
                left -= len(page.runs)

    def values(self, *fields: str) -> Iterator[tuple[RunSummary, dict[str, Any]]]:
        """Each run with its values of some fields, by their names as given; read a page at a time.

        A text may name several fields, separated by commas.

        A value is text, int, float, bool or list as it was stored; a moment for times, seconds for durations, a
        tuple of words for tags, notes and artifacts; and None where the run has none.

        Raises:
            FilterError: there is no such field, or the key or metric is misspelled.
        """
        wanted: dict[str, Field] = {}
        for field_texts in fields:
            wanted |= parse_columns(field_texts)
        for text, field in wanted.items():
            check_names_exist(self._connection, Comparison(field, "is comparable"), text)
        return self._values(wanted)

    def _values(self, wanted: dict[str, Field]) -> Iterator[tuple[RunSummary, dict[str, Any]]]:
        for page in self._pages():
            numbers = run_numbers(self._connection, [run.run_id for run in page.runs])
            dead = dead_runs(self._connection)
            columns = [read_column(self._connection, numbers, field, dead) for field in wanted.values()]
            for place, run in enumerate(page.runs):
                found = (column[place] for column in columns)
                yield run, dict(zip(wanted, found, strict=True))

    def page(self, size: int = 100, after: Found | None = None) -> Page:
        """The first runs, or those behind the page whose `after` is given. A limit counts for each page."""
        wanted = self.limit(size)._limit
        assert wanted is not None
        self._settle()
        dead = dead_runs(self._connection)
        found = Selection(self._connection, self._condition, self._order, dead).rows(wanted, after)
        runs = summaries(self._connection, runs_in_order(self._connection, found), dead)
        return Page(runs, found[-1] if found and len(found) == wanted else None)

    # Frames

    def to_dicts(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> frames.Records:
        """A dict for each run, all with the same keys: attributes, ``config.KEY`` and ``metrics.NAME``.

        `columns` are fields as in filters, in their order, named as they were given; by default all attributes
        of a summary, then every config key and every metric of these runs. `statistic` says by what value, or
        by which several, metrics stand there by default: ``"last"``, ``"max"``, …

        Values have the types they have in the config; times are aware, tags a sorted list. What a run lacks is
        None, as is a null of its config. A metric that is NaN is NaN.

        Raises:
            FilterError: there is no such field, or the name of a key or metric is misspelled.
        """
        return frames.to_dicts(self._table(columns, statistic))

    def to_pandas(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> pandas.DataFrame:
        """A pandas frame with a row for each run; the columns are those of :meth:`to_dicts`.

        Columns are nullable: ``Int64``, ``Float64``, ``boolean``, ``string``, times in UTC. Where a config key
        holds values of several types, and for lists, they are ``object`` and the values as they are.

        Raises:
            FilterError: as there.
            MissingPackageError: pandas is not installed.
        """
        return frames.table_to_pandas(self._table(columns, statistic))

    def to_polars(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> polars.DataFrame:
        """A polars frame with a row for each run; the columns are those of :meth:`to_dicts`.

        Lists of one type are ``List``; where a config key holds values of several types, they are ``Object``.

        Raises:
            FilterError: as there.
            MissingPackageError: polars is not installed.
        """
        return frames.table_to_polars(self._table(columns, statistic))

    def metrics_to_pandas(self, names: str | Iterable[str] | None = None) -> pandas.DataFrame:
        """A pandas frame with a row for each point: run_id, name, step, value, time_s (since the run's start).

        Of all metrics, or of these `names`. Runs in the order of the query, metrics by name, points by step,
        repetitions of a step in the order of logging.

        Raises:
            MetricNotFoundError: no run of the archive has logged such a metric.
            MissingPackageError: pandas is not installed.
        """
        return frames.points_to_pandas(self._points(names))

    def metrics_to_polars(self, names: str | Iterable[str] | None = None) -> polars.DataFrame:
        """A polars frame with a row for each point, as :meth:`metrics_to_pandas`."""
        return frames.points_to_polars(self._points(names))

    def _table(self, columns: Iterable[str] | None, statistic: str | Iterable[str]) -> frames.Table:
        self._settle()
        with self._connection.snapshot():
            dead = dead_runs(self._connection)
            return frames.read_table(self._connection, self._numbers(dead), dead, columns, statistic)

    def _points(self, names: str | Iterable[str] | None) -> frames.Points:
        self._settle()
        with self._connection.snapshot():
            numbers = self._numbers(dead_runs(self._connection))
            return frames.read_points(self._connection, numbers, names)

    def _numbers(self, dead: Sequence[int]) -> Sequence[int]:
        selection = Selection(self._connection, self._condition, self._order, dead)
        return [one.run for one in selection.rows(self._limit)]


def _equal(attribute: str, value: str) -> Comparison:
    return Comparison(Field("attribute", attribute), "=", (value,))
