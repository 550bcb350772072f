"""Make dicts and data frames of the runs of a query, and of their points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from exptrack.database.connection import Connection, in_reading
from exptrack.frames import Records, Table, table_to_pandas, table_to_polars, to_dicts
from exptrack.query import frames
from exptrack.runs.ownership import find_dead_runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    import pandas
    import polars

    from exptrack.query.conditions import Field
    from exptrack.query.point_frames import Points


class RunFrames:
    """The part of a query that makes tables of its runs."""

    __slots__ = ()

    _connection: Connection
    _settle: Callable[[], None]

    if TYPE_CHECKING:

        def _check_field(self, field: Field, text: str) -> None: ...
        def _count_newest(self) -> int | None: ...
        def _row_ids(self, dead: Sequence[int]) -> array[int]: ...

    def to_dicts(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> Records:
        """Return a dict for each run, all with the same keys: facts, ``config.KEY`` and ``metrics.NAME``.

        Facts are fields that every run has, such as ``status``.

        `columns` are fields as in filters; the keys are their names as given, in this order. By default they
        are the facts of a summary, then every config key and every metric of these runs. `statistic`
        chooses the values of metrics in the default columns, one or several: ``"last"``, ``"max"``, …

        Values have the types they have in the config. Times are aware datetimes, tags are a sorted list. A
        value that a run lacks is None, and so is a null of its config. A metric whose value is NaN is NaN.

        Raises:
            FilterError: there is no such field, or the name of a key or metric is misspelled.
        """
        return to_dicts(self._table(columns, statistic))

    def to_pandas(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> pandas.DataFrame:
        """Return a pandas frame with a row for each run; the columns are those of :meth:`to_dicts`.

        Columns are nullable: ``Int64``, ``Float64``, ``boolean``, ``string``, times in UTC. A column of lists,
        or of a config key with values of several types, is ``object`` and holds the values unchanged. The types
        are the same where pyarrow is installed. No column is a category: those of two frames do not join.

        Raises:
            FilterError: there is no such field, or the name of a key or metric is misspelled.
            MissingPackageError: pandas is not installed.
        """
        return table_to_pandas(self._table(columns, statistic))

    def to_polars(
        self, columns: Iterable[str] | None = None, *, statistic: str | Iterable[str] = "last"
    ) -> polars.DataFrame:
        """Return a polars frame with a row for each run; the columns are those of :meth:`to_dicts`.

        Lists of one type become ``List``; a config key with values of several types becomes ``Object``.

        Raises:
            FilterError: there is no such field, or the name of a key or metric is misspelled.
            MissingPackageError: polars is not installed.
        """
        return table_to_polars(self._table(columns, statistic))

    def metrics_to_pandas(
        self, names: str | Iterable[str] | None = None, *, label: str = "id"
    ) -> pandas.DataFrame:
        """Return a pandas frame with a row for each point: run_id, name, step, value, time_s.

        With `label` ``"name"`` the first column is ``run``, with the names of runs as in :meth:`Archive.align`.

        `time_s` is seconds since the run's start. `names` chooses metrics; the default is all. Runs come in the
        order of the query, their metrics by name, and points by step; points of one step in the order of
        logging.

        Raises:
            MetricNotFoundError: no run of the archive has logged such a metric.
            MissingPackageError: pandas is not installed.
        """
        from exptrack.query.point_frames import points_to_pandas

        return points_to_pandas(self._points(names, label))

    def metrics_to_polars(
        self, names: str | Iterable[str] | None = None, *, label: str = "id"
    ) -> polars.DataFrame:
        """Return a polars frame with a row for each point, like :meth:`metrics_to_pandas`."""
        from exptrack.query.point_frames import points_to_polars

        return points_to_polars(self._points(names, label))

    @in_reading
    def _table(self, columns: Iterable[str] | None, statistic: str | Iterable[str]) -> Table:
        self._settle()
        with self._connection.snapshot():
            dead = find_dead_runs(self._connection)
            find_runs, check, newest = partial(self._row_ids, dead), self._check_field, self._count_newest()
            return frames.read_table(
                self._connection, find_runs, dead, columns, statistic, check, newest=newest
            )

    @in_reading
    def _points(self, names: str | Iterable[str] | None, label: str) -> Points:
        from exptrack.query.point_frames import read_point_table

        self._settle()
        with self._connection.snapshot():
            runs = self._row_ids(find_dead_runs(self._connection))
            return read_point_table(self._connection, runs, names, label)
