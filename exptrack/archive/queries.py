"""The part of an archive that reads runs: lists, rankings, comparisons, SQL and its views.

Invariant: before a call reads runs, it stores the points logged in this process. If the archive is writable, it
also marks runs whose process died as interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from exptrack.archive.series import ArchiveSeries, _list_ids
from exptrack.database.connection import Connection, Parameters, in_reading
from exptrack.errors import InvalidTypeError, InvalidValueError, QueryError
from exptrack.listed import listed
from exptrack.metrics.writer import drain_all
from exptrack.plain import is_mapping, read_elements, read_items, read_names
from exptrack.records import RunSummary
from exptrack.runs import lookup
from exptrack.runs.ownership import find_dead_runs
from exptrack.tracking.recovery import read_settled, settle
from exptrack.validation import (
    check_flag,
    check_name,
    check_number,
    check_sql_value,
    check_text,
    check_whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from exptrack.analysis.records import Group, Importance, RunChanges, RunComparison, RunsLeftOut
    from exptrack.analysis.run_diff import RunDiff
    from exptrack.archive.records import SqlResult
    from exptrack.query.details import RunDetail
    from exptrack.query.run_filter import RunFilter
    from exptrack.query.run_query import RunQuery
    from exptrack.query.views import UserView

    _T = TypeVar("_T")

SQL_MAX_ROWS = 10_000
SQL_TIMEOUT_S = 30.0


class ArchiveQueries(ArchiveSeries):
    """The calls of an archive that read its runs."""

    _connection: Connection
    _writable: bool

    def _settle(self) -> None:
        """Store the points logged in this process, and mark dead runs if the archive is writable.

        Waits for a second at most, and raises nothing: what is in the file can be read all the same.
        """
        drain_all(self._connection.file)
        if self._writable:
            settle(self._connection)

    def _read_settled(self, read: Callable[[], _T]) -> _T:
        """Return what a call reads, after what :meth:`_settle` does."""
        drain_all(self._connection.file)
        return read_settled(self._connection, read) if self._writable else read()

    # Runs

    def runs(self) -> RunQuery:
        """Return a query over all runs, to be narrowed, ordered and read; see :class:`exptrack.RunQuery`."""
        from exptrack.query.run_query import RunQuery

        return RunQuery(self._connection, self._settle)

    @listed
    def list_runs(self, run_filter: RunFilter | None = None, *, limit: int | None = None) -> list[RunSummary]:
        """List the runs that a filter admits (by default all), newest first."""
        from exptrack.query import run_lists

        return self._read_settled(partial(run_lists.list_runs, self._connection, run_filter, limit))

    def find_run(self, *, external_id: str) -> RunSummary:
        """Return the run that was started with this external id. Every call that takes a run takes the result.

        Raises:
            RunNotFoundError: no run has this external id.
        """
        self._settle()
        return self._find_run(external_id)

    @in_reading
    def _find_run(self, external_id: str) -> RunSummary:
        row = lookup.find_by_external_id(self._connection, external_id)
        return lookup.summarize_runs(self._connection, [row], find_dead_runs(self._connection))[0]

    def show_run(self, run_id: object) -> RunDetail:
        """Return everything about one run.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.query import details

        self._settle()
        return details.show_run(self._connection, run_id)

    def best_run(self, metric: str, direction: str, *, by: str = "last") -> RunSummary | None:
        """Return the completed run with the best value of a metric, or None if no run qualifies.

        `direction` is ``"minimize"`` or ``"maximize"``, or short ``"min"`` or ``"max"``. `by` chooses the value
        of a run that counts: ``"last"``, ``"min"`` or ``"max"``. `metric` may say it too, as ``"loss.min"`` or
        ``"metrics.loss.min"``. NaN and the infinities never win. Pruned trials never win either: their values
        are those of a partial run. Of runs that tie, the one stored first wins.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            InvalidValueError: `metric` and `by` say different values.
        """
        from exptrack.query import ranking

        found = self._read_settled(partial(ranking.best_runs, self._connection, metric, direction, by=by))
        return found[0][0] if found else None

    @listed
    def best_runs(
        self,
        metric: str,
        direction: str,
        *,
        by: str = "last",
        limit: int = 10,
        where: str | Iterable[str] | None = None,
    ) -> list[tuple[RunSummary, float]]:
        """Rank completed runs by a metric, best first, each with the value that counts; see :meth:`best_run`.

        `where` is a filter as in :meth:`RunQuery.where`, or several: only runs that satisfy them all are
        ranked. Pruned trials are ranked only if a filter mentions ``trial.state`` or ``status = pruned``.

        :meth:`count_left_out` says how many runs are left out.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            FilterError: the filter is wrong.
        """
        from exptrack.query import ranking

        limit = check_whole(limit, "limit", 0)
        filters = _list_filters(where)
        return self._read_settled(
            partial(ranking.best_runs, self._connection, metric, direction, by=by, limit=limit, where=filters)
        )

    def count_left_out(
        self, metric: str, *, where: str | Iterable[str] = (), statistic: str = "last"
    ) -> RunsLeftOut:
        """Count the runs that :meth:`best_runs`, :meth:`group_by` and :meth:`importance` leave out, by reason.

        Only runs that logged the metric count, and with `where` only those that satisfy the filter, or all of
        several. `statistic` is the value that must be finite; in rankings it is called `by`.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     for loss in (0.5, float("nan")):
        ...         with archive.start_run() as run:
        ...             run.log({"loss": loss})
        ...     str(archive.count_left_out("loss"))
        '1 NaN or infinite'

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            FilterError: the filter is wrong.
        """
        from exptrack.analysis import left_out

        self._settle()
        return left_out.count_left_out(self._connection, metric, where, statistic)

    # Comparisons

    def diff_runs(self, run_a: object, run_b: object) -> RunDiff:
        """Compare two runs: the config keys that differ, and the metrics of both.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
        """
        from exptrack.analysis import difference

        return self._read_settled(partial(difference.diff_runs, self._connection, run_a, run_b))

    def compare(self, run_ids: object, *, all_keys: bool = False) -> RunComparison:
        """Compare runs side by side: the config keys that differ (or all), what set each, and all metrics.

        `run_ids` are ids or records. A run given twice counts once. Config values are compared with their
        types.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
            InvalidValueError: `run_ids` is empty.
        """
        wanted, show_all = _list_ids(self._connection, run_ids), check_flag(all_keys, "all_keys")
        self._settle()
        return self._compare(wanted, show_all)

    @in_reading
    def _compare(self, run_ids: list[object] | RunQuery, all_keys: bool) -> RunComparison:
        from exptrack.analysis import comparison

        rows = self._resolve_each(run_ids)
        if not rows:
            raise InvalidValueError("there is no run to compare; give at least one run id")
        return comparison.compare(self._connection, rows, all_keys)

    def what_changed(self, run_id: object) -> RunChanges | None:
        """Compare a run with the run before it: config, code, data, environment, metrics.

        The run before it is the newest earlier run, of any status, with the same script (its path in the
        repository). If there is none, it is the newest earlier run of the same name, else of the same group.
        Returns None if there is none of these.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        from exptrack.analysis import comparison

        self._settle()
        return comparison.what_changed(self._connection, run_id)

    @listed
    def group_by(
        self,
        keys: str | Iterable[str],
        metric: str,
        *,
        where: str | Iterable[str] | None = None,
        statistic: str = "last",
    ) -> list[Group]:
        """Group the completed runs that logged a metric by config keys; give the metric's mean and spread.

        `keys` is one dotted path or several. Runs that lack a key form a group of their own, apart from runs
        where it is null; 1 and 1.0 are different groups. `where` is a filter, or several that must all match.
        `statistic` chooses the value of a run that counts, as in filters. Groups are sorted by their values.
        NaN and infinities are counted separately. Pruned trials are left out, as in :meth:`best_runs`;
        `left_out` of a group counts them.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            InvalidValueError: no run has such a key, or there is no such statistic.
            FilterError: the filter is wrong.
        """
        from exptrack.analysis import grouping

        names = read_names(keys, "keys", like="['optimizer.lr']")
        filters = _list_filters(where)
        self._settle()
        return grouping.group_by(self._connection, names, metric, filters, statistic)

    @listed
    def importance(
        self,
        metric: str,
        *,
        where: str | Iterable[str] | None = None,
        statistic: str = "last",
        method: str = "groups",
        sample: int | None = None,
    ) -> list[Importance]:
        """Rank config keys by how much of a metric they explain over completed runs, most important first.

        ``"groups"`` looks at each key alone, and finds an optimum in between. Numbers are cut into up to 8
        groups of about as many runs; up to 8 different numbers that each occur twice stay apart. It is the
        share of the variance of the metric's ranks that lies between the groups, adjusted for their number,
        so a key of chance scores about 0. :meth:`StudyResults.importances` uses it too.

        ``"spearman"`` also looks at each key alone. For a key of numbers it is the square of Spearman's rank
        correlation, over the runs that have one. For any other key it is the correlation ratio (eta squared) of
        the metric's ranks: each value is a group, and so are the runs without the key. Numbers count only as
        far as the metric rises or falls with them, and texts of many values score too high. Keys that do not
        vary are left out, and so are keys of text that differ in every run.

        ``"forest"`` is permutation importance (5 folds, fixed seeds). scikit-learn's random forest is fitted to
        the ranks; the score of a key is how much the R² on unseen runs falls when that key is shuffled. It
        also finds bends and interactions, and is slow: ten seconds or more for 1000 runs of 20 keys.

        `where` is a filter, or several that must all match. NaN, infinities and, as in :meth:`best_runs`,
        pruned trials are left out. With `sample`, at most that many runs count: the same archive draws the same
        ones. 2,000 of 100,000 take about half a second. A warning is logged where fewer than 20 runs count, or
        more are left out than count.

        Raises:
            MetricNotFoundError: no run has logged such a metric.
            InvalidValueError: fewer than 3 runs (forest: 10) are left.
            FilterError: the filter is wrong.
            MissingPackageError: the forest needs scikit-learn.
        """
        from exptrack.analysis import importance

        filters = _list_filters(where)
        self._settle()
        return importance.importance(self._connection, metric, filters, statistic, method, sample)

    # SQL

    def sql(
        self,
        sql: str,
        parameters: Parameters = (),
        *,
        max_rows: int = SQL_MAX_ROWS,
        timeout_s: float = SQL_TIMEOUT_S,
    ) -> SqlResult:
        """Run one SELECT over the documented views and return its rows.

        It can only read and cannot change anything. It stops at `max_rows` rows and after `timeout_s` seconds.
        A statement with a value of more than 20,000 bytes runs in a process of its own, with 512 MiB of memory.
        So does one that has a WITH table, names a table or view that exptrack did not make, or is long.
        Pragmas that describe the schema, such as ``PRAGMA table_info(run)``, are allowed too.

        Raises:
            QueryError: the statement is wrong, is not a SELECT, or needs too much memory.
            QueryStoppedError: it took too long.
        """
        from exptrack.archive.records import SqlResult
        from exptrack.database.guarded_sql import run_guarded

        try:
            text, values = check_text(sql, "the text of the statement"), _read_parameters(parameters)
            most, seconds = check_whole(max_rows, "max_rows", 1), check_number(timeout_s, "timeout_s")
        except InvalidTypeError:
            raise
        except InvalidValueError as error:
            raise QueryError(str(error)) from error.__cause__
        self._settle()
        columns, rows, more = run_guarded(self._connection, text, values, max_rows=most, timeout_s=seconds)
        return SqlResult(tuple(columns), tuple(rows), more)

    def create_view(self, name: str, fields: Iterable[str]) -> UserView:
        """Add a wide SQL view: a row for each run, a column for each field. Commits.

        The first columns are run_id, name, status and started_at. Fields are those of filters: ``"config.lr"``
        becomes the column lr, ``"metrics.acc.max"`` the column acc.max. If two columns would get the same name,
        the later one gets its whole name. Ints, floats and text keep their type. Bools become 1 and 0, lists
        become JSON; NaN and missing values become NULL.

        Raises:
            InvalidValueError: the name is not allowed for a view.
            ConflictError: the file already has a table or view of this name.
            FilterError: there is no such field, or no run has such a key or metric.
        """
        from exptrack.query import views

        return views.create_view(self._connection, name, fields)

    @listed
    def list_views(self) -> list[UserView]:
        """List the views that were added to the file, by name."""
        from exptrack.query import views

        return views.list_views(self._connection)

    def drop_view(self, name: str) -> None:
        """Remove a view that was added to the file. Commits.

        Raises:
            NotFoundError: no view of this name was added; the documented views cannot be removed.
        """
        from exptrack.query import views

        views.drop_view(self._connection, name)


def _list_filters(where: object) -> list[Any]:
    """Return filters as a list, before anything is read inside a section; a single one need not be in one."""
    return [] if where is None else read_names(where, "filters", like="['config.lr > 0.1']")


def _read_parameters(parameters: object) -> Parameters:
    """Return the values for a statement's question marks or names, as SQLite takes them."""
    if is_mapping(parameters):
        pairs = read_items(parameters, "the parameters")
        return {check_name(name, "the name of a parameter"): check_sql_value(value) for name, value in pairs}
    elements = read_elements(parameters, "the parameters", like="[0.1, 'adam']")
    return tuple(check_sql_value(value) for value in elements)
