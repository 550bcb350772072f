"""The part of an archive that reads metrics in bulk: series, curves, what is new, and series side by side.

Invariant: before a call reads metrics, it stores the points logged in this process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from exptrack.database.connection import Connection, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.errors import InvalidValueError
from exptrack.metrics.writer import drain_all
from exptrack.plain import is_iterable, is_text, read_elements
from exptrack.runs import lookup
from exptrack.runs.lookup import id_of
from exptrack.times import moment
from exptrack.validation import check_flag, check_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import overload

    from exptrack.metrics.alignment import Alignment
    from exptrack.metrics.buckets import Buckets
    from exptrack.metrics.curves import Curves, Scale
    from exptrack.metrics.series import Series
    from exptrack.metrics.tail import Tail
    from exptrack.query.run_query import RunQuery


class ArchiveSeries:
    """The calls of an archive that read metrics of its runs."""

    _connection: Connection

    if TYPE_CHECKING:

        @overload
        def series(
            self, run_id: object, name: str, *, start: int | None = None, stop: int | None = None
        ) -> Series: ...
        @overload
        def series(
            self, run_id: object, name: str, *, start: int | None = None, stop: int | None = None, buckets: int
        ) -> Buckets: ...

    def series(
        self,
        run_id: object,
        name: str,
        *,
        start: int | None = None,
        stop: int | None = None,
        buckets: int | None = None,
    ) -> Series | Buckets:
        """Return a metric of a run as numpy arrays, or downsampled; see :meth:`exptrack.Run.series`.

        Raises:
            RunNotFoundError: no run has this id.
            AmbiguousRunError: it means several runs.
        """
        drain_all(self._connection.file)
        return self._read_series(run_id, name, start, stop, buckets)

    @in_reading
    def _read_series(
        self, run_id: object, name: str, start: int | None, stop: int | None, buckets: int | None
    ) -> Series | Buckets:
        from exptrack.metrics.buckets import read_buckets
        from exptrack.metrics.series import read_series

        address = _series_address(self._connection, lookup.resolve_run(self._connection, run_id))
        if buckets is None:
            return read_series(self._connection, *address, name, start=start, stop=stop)
        return read_buckets(self._connection, *address, name, buckets, start=start, stop=stop)

    def curves(
        self,
        run_ids: object,
        names: str | Iterable[str],
        *,
        buckets: int = 400,
        width: float | None = None,
        by: str = "step",
        start: float | None = None,
        stop: float | None = None,
    ) -> Curves:
        """Read metrics of many runs at one moment, downsampled to buckets of one width.

        Every bucket begins at a multiple of that width, in every curve. So buckets of several runs lie above
        one another, and so do those of a later read with the same `width`. By default the width is the least
        that covers the points of all curves by `buckets`, or by one more; along steps and times, the least
        power of two, in milliseconds. Buckets without points are left out.

        `by` is the axis: ``"step"``; ``"time"``, seconds since the start of the run; or the name of another
        metric. A point then lies where that metric was: at its last finite value up to the step of the point.
        Points before its first value are left out. A metric that is called step or time is ``"metrics.step"``
        or ``"metrics.time"``. `start`, `stop` and `width` are in the unit of the axis. The range is half open.

        By step it reads only the points from `start` to below `stop`; otherwise it looks at all points. Long
        metrics of ended runs have stored levels along steps and times, which answer in place of all points.

        >>> from exptrack import Archive
        >>> with Archive(tmp_path / "lab.db") as archive:
        ...     for lr in (0.1, 0.2):
        ...         with archive.start_run() as run:
        ...             for step in range(100):
        ...                 run.log({"loss": lr * step}, step)
        ...     curves = archive.curves(archive.runs(), "loss", buckets=4)
        ...     curves.width, [curve.lists()["start"] for curve in curves]
        (32, [[0, 32, 64, 96], [0, 32, 64, 96]])

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
            InvalidValueError: `width` makes more than 100,000 buckets.
        """
        from exptrack.metrics.buckets import MAX_BUCKETS
        from exptrack.metrics.curves import check_scale
        from exptrack.metrics.series import check_names

        wanted, metrics = _list_ids(self._connection, run_ids), check_names(names)
        scale = check_scale(by, width, start, stop)
        count = check_whole(buckets, "buckets", 1, MAX_BUCKETS)
        drain_all(self._connection.file)
        return self._read_curves(wanted, metrics, scale, count)

    @in_reading
    def _read_curves(
        self, run_ids: list[object] | RunQuery, names: Sequence[str], scale: Scale, buckets: int
    ) -> Curves:
        from exptrack.metrics.curves import RunAddress, read_curves

        rows = self._resolve_each(run_ids)
        addresses = [RunAddress(*_series_address(self._connection, row)) for row in rows]
        return read_curves(self._connection, addresses, names, scale, buckets)

    def tail(
        self,
        run_ids: object,
        names: str | Iterable[str] | None = None,
        *,
        from_now: bool = False,
        cursor: str | None = None,
    ) -> Tail:
        """Follow metrics of one or several runs: each :meth:`Tail.read` returns the new points.

        Without `names` it follows all metrics, also those that appear later. Made for live charts, in the
        process that logs or in another.

        The first read returns all points, unless `from_now` is true: it then returns those stored after this
        call. With `cursor`, the :attr:`Tail.cursor` of an earlier tail, it goes on where that one was.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
            InvalidValueError: the cursor is not that of a tail, or is given with `from_now`.
        """
        from exptrack.metrics.series import check_names
        from exptrack.metrics.tail import Tail

        run_texts = [row["run_id"] for row in self._resolve_each(_list_ids(self._connection, run_ids))]
        tail = Tail(self._connection, run_texts, None if names is None else check_names(names))
        if cursor is not None:
            if from_now:
                raise InvalidValueError("a cursor says where to begin; leave out from_now")
            tail.go_to(cursor)
        elif check_flag(from_now, "from_now"):
            tail.skip()
        return tail

    def align(
        self,
        run_ids: object,
        names: str | Iterable[str],
        *,
        by: str = "step",
        every: float | None = None,
        start: int | None = None,
        stop: int | None = None,
        label: str = "id",
    ) -> Alignment:
        """Join metrics of runs into columns named ``run_id/metric``, for pandas or polars.

        With `label` ``"name"`` a column is named by the name of its run. Runs that share a name get the end of
        their id with it, and a run without a name keeps its id.

        It is an outer join. With `by` ``"step"`` the index holds every step at which one of the metrics was
        logged; with ``"time"``, every second since the start of its run, to the millisecond. `every` rounds
        the index down to multiples of that number of steps or of seconds, 0.001 at least. If a series has
        several points at one index, the last wins: the latest repetition of a step, or the latest time. Where a
        run logged nothing the value is NaN; `Alignment.logged` tells it from a logged NaN. Needs numpy.

        Raises:
            RunNotFoundError: no run has one of the ids.
            AmbiguousRunError: one of them means several runs.
            MissingPackageError: numpy is not installed.
        """
        from exptrack.labels import check_label, label_runs
        from exptrack.metrics.alignment import align_series
        from exptrack.metrics.series import check_names

        called = check_label(label)
        drain_all(self._connection.file)
        wanted = _list_ids(self._connection, run_ids)
        run_names, series = self._read_each(wanted, check_names(names), start, stop)
        return align_series(series, by, every, label_runs(run_names, called))

    @in_reading
    def _read_each(
        self, run_ids: list[object] | RunQuery, names: Sequence[str], start: int | None, stop: int | None
    ) -> tuple[dict[str, str | None], list[Series]]:
        from exptrack.metrics.series import read_series

        rows = self._resolve_each(run_ids)
        return {row["run_id"]: row["name"] for row in rows}, [
            read_series(self._connection, *_series_address(self._connection, row), name, start=start, stop=stop)
            for row in rows
            for name in names
        ]

    @in_reading
    def _resolve_each(self, run_ids: list[object] | RunQuery) -> list[Row]:
        """Find the row of each run, once. A query is asked at the moment at which its runs are read."""
        if not isinstance(run_ids, list):
            return list(run_ids._read_run_rows())
        rows = (lookup.resolve_run(self._connection, run_id) for run_id in run_ids)
        return list({row["id"]: row for row in rows}.values())


def _list_ids(connection: Connection, run_ids: object) -> list[object] | RunQuery:
    """Return run ids as a list; a single run need not be in one. A query of this archive is not asked yet."""
    if is_text(run_ids) or id_of(run_ids) is not run_ids or not is_iterable(run_ids):
        return [run_ids]
    if type(run_ids) not in (list, tuple):
        from exptrack.query.run_query import RunQuery

        if type(run_ids) is RunQuery and run_ids._connection is connection:
            return run_ids
    return read_elements(run_ids, "run ids")


@decoding_rows
def _series_address(_connection: Connection, row: Row) -> tuple[int, str, datetime]:
    """Return the row id, run id and start by which series are read."""
    return row["id"], row["run_id"], moment(row["started_at"])
