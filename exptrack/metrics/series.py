"""Read a metric series in bulk: as columns, or downsampled to buckets.

Invariants:

- Reading writes nothing, except that points queued in this process's journals are stored first.
- Points come in key order: by step, repetitions of a step in the order of logging.
- No Python object is kept per point.
- NaN is a logged value. Where NaN stands for a missing value, another column says so.
- Step ranges are half open, like ``range``.
- numpy is imported only to return its arrays, or to read a long series faster.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from exptrack.database.connection import Connection, Parameters, Row, in_reading
from exptrack.database.damage import decoding_rows
from exptrack.database.functions import unpack_extremes, unpack_points
from exptrack.errors import MissingPackageError
from exptrack.extras import require
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_names
from exptrack.validation import INT64_MAX, INT64_MIN, check_name, check_step, check_whole

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[numpy.int64]
    FloatArray: TypeAlias = NDArray[numpy.float64]

MAX_BUCKETS = 100_000
NUMPY_FROM_POINTS = 20_000  # from here on, importing numpy to read a series costs less than it saves
EXACT_BELOW = 2**53  # a float holds every integer below this exactly

SERIES_OF = """
SELECT s.id, s.count, s.nan_count, s.last_time_ms
FROM metric_series AS s JOIN metric_name AS n ON n.id = s.metric
WHERE s.run = ? AND n.name = ?
"""
POINTS = """
SELECT step, time_ms, value FROM metric_point
WHERE series = :series AND step BETWEEN :low AND :high ORDER BY step, seq
"""
# Step and time packed into one float: a row of two floats takes 20 % less time than one of two integers and a
# float. A time that does not fit becomes NULL.
POINTS_PACKED = """
SELECT CASE WHEN time_ms BETWEEN 0 AND :span - 1 THEN CAST((step - :low) * :span + time_ms AS REAL) END, value
FROM metric_point WHERE series = :series AND step BETWEEN :low AND :high ORDER BY step, seq
"""
STEP_BOUNDS = """
SELECT (SELECT min(step) FROM metric_point WHERE series = :series AND step BETWEEN :low AND :high),
       (SELECT max(step) FROM metric_point WHERE series = :series AND step BETWEEN :low AND :high)
"""
# One correlated subquery per bucket reads its range from the key. Grouping would sort every point, and window
# functions would copy every point. A subquery returns one value, so several are packed into it.
# The width of a bucket can exceed one or two integers of SQLite, so it comes as the sum of three.
_BUCKET = """FROM metric_point
        WHERE series = :series AND step BETWEEN e.value AND min(e.value + :reach + :more + :rest, :high)"""
_BUCKETS = f"""
SELECT e.value,
       (SELECT pack_extremes(min(value), max(value), {{missing}}) {_BUCKET}),
       (SELECT pack_point(step, time_ms, value) {_BUCKET} ORDER BY step, seq LIMIT 1),
       (SELECT pack_point(step, time_ms, value) {_BUCKET} ORDER BY step DESC, seq DESC LIMIT 1)
FROM json_each(:edges) AS e
"""
BUCKETS = _BUCKETS.format(missing="0")
BUCKETS_WITH_NAN = _BUCKETS.format(missing="count(*) - count(value)")
BUCKETS_FINITE = f"""
SELECT e.value,
       (SELECT pack_extremes(min(value), max(value), 0) {_BUCKET}
        AND value BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308)
FROM json_each(:edges) AS e
"""


class Buffer(Protocol):
    """A column of numbers: an ``array.array`` or a numpy array. Both become numpy arrays without a copy."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def tolist(self) -> list[Any]: ...


Buffers: TypeAlias = tuple[Buffer, Buffer, Buffer]  # steps, values, seconds since the run's start


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series:
    """The points of one metric of one run as columns of equal length, ordered by step.

    Repetitions of a step are in the order of logging. NaN among the values was logged as NaN.

    >>> from exptrack import Archive
    >>> with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
    ...     for step in range(4):
    ...         run.log({"loss": 1 / (step + 1)}, step)
    ...     series = run.series("loss")
    ...     series.steps.dtype.name, float(series.values.max()), series.lists()["step"]
    ('int64', 1.0, [0, 1, 2, 3])
    """

    run_id: str
    name: str
    started_at: datetime
    _steps: Buffer
    _values: Buffer
    _times: Buffer

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return f"<Series {self.name!r} of run {self.run_id}: {len(self):,} points>"

    @property
    def steps(self) -> IntArray:
        """The steps: numpy int64."""
        return _int_array(self._steps)

    @property
    def values(self) -> FloatArray:
        """The values: numpy float64."""
        return _float_array(self._values)

    @property
    def times(self) -> FloatArray:
        """The times of logging: numpy float64, seconds since the run's start (`started_at`)."""
        return _float_array(self._times)

    def lists(self) -> dict[str, list[Any]]:
        """Return the columns ``step``, ``value`` and ``time_s`` as lists. Works without numpy."""
        return {
            "step": self._steps.tolist(),
            "value": self._values.tolist(),
            "time_s": self._times.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Buckets:
    """A downsampled series: the first, last, least and greatest value of each bucket of steps.

    Buckets are equally wide in steps; buckets without points are left out. `minimum` and `maximum` ignore NaN
    but include the infinities; they are NaN where every value is NaN. `finite_minimum` and `finite_maximum`
    ignore the infinities too. `nan_counts` says how many points of each bucket are NaN.
    """

    run_id: str
    name: str
    started_at: datetime
    width: int
    _columns: dict[str, Buffer]

    def __len__(self) -> int:
        return len(self._columns["first_step"])

    def __repr__(self) -> str:
        return f"<Buckets {self.name!r} of run {self.run_id}: {len(self):,} of {self.width:,} steps>"

    @property
    def first_steps(self) -> IntArray:
        """The step of each bucket's first point."""
        return _int_array(self._columns["first_step"])

    @property
    def last_steps(self) -> IntArray:
        """The step of each bucket's last point."""
        return _int_array(self._columns["last_step"])

    @property
    def first_times(self) -> FloatArray:
        """The time of each bucket's first point, in seconds since the run's start."""
        return _float_array(self._columns["first_time_s"])

    @property
    def last_times(self) -> FloatArray:
        """The time of each bucket's last point, in seconds since the run's start."""
        return _float_array(self._columns["last_time_s"])

    @property
    def first(self) -> FloatArray:
        """The value of each bucket's first point."""
        return _float_array(self._columns["first"])

    @property
    def last(self) -> FloatArray:
        """The value of each bucket's last point. If its step repeats, the one logged last."""
        return _float_array(self._columns["last"])

    @property
    def minimum(self) -> FloatArray:
        """The least value of each bucket."""
        return _float_array(self._columns["min"])

    @property
    def maximum(self) -> FloatArray:
        """The greatest value of each bucket."""
        return _float_array(self._columns["max"])

    @property
    def finite_minimum(self) -> FloatArray:
        """The least finite value of each bucket."""
        return _float_array(self._columns["finite_min"])

    @property
    def finite_maximum(self) -> FloatArray:
        """The greatest finite value of each bucket."""
        return _float_array(self._columns["finite_max"])

    @property
    def nan_counts(self) -> IntArray:
        """The number of points in each bucket that are NaN."""
        return _int_array(self._columns["nan_count"])

    def lists(self) -> dict[str, list[Any]]:
        """Return every column as a list. Works without numpy."""
        return {name: column.tolist() for name, column in self._columns.items()}


# Reading


def read_series(
    connection: Connection,
    run: int,
    run_id: str,
    started_at: datetime,
    name: object,
    *,
    start: int | None = None,
    stop: int | None = None,
) -> Series:
    """Read one metric of one run as columns; see :meth:`exptrack.Run.series`."""
    checked = check_name(name, "metric name")
    low, high = _check_range(start, stop)
    drain_all(connection.path)
    row = connection.one(SERIES_OF, (run, checked))
    buffers: Buffers = (array("q"), array("d"), array("d"))
    if row is not None and low <= high:
        buffers = read_points(connection, row["id"], row["count"], row["last_time_ms"], low, high)
    return Series(run_id, checked, started_at, *buffers)


@in_reading
def read_buckets(
    connection: Connection,
    run: int,
    run_id: str,
    started_at: datetime,
    name: object,
    buckets: object,
    *,
    start: int | None = None,
    stop: int | None = None,
) -> Buckets:
    """Read one metric of one run, downsampled; see :meth:`exptrack.Run.series`."""
    checked = check_name(name, "metric name")
    count = check_whole(buckets, "buckets", 1, MAX_BUCKETS)
    low, high = _check_range(start, stop)
    drain_all(connection.path)
    width, columns = 1, _unpack_buckets([])
    # One snapshot, so that the summary, which is read first, describes the same points.
    with connection.snapshot():
        row = connection.one(SERIES_OF, (run, checked))
        if row is not None and low <= high:
            found = connection.one(STEP_BOUNDS, {"series": row["id"], "low": low, "high": high})
            if found is not None and found[0] is not None:
                low, high = found
                width = -((low - high - 1) // count)
                columns = _read_bucket_columns(connection, row, low, high, width)
    return Buckets(run_id, checked, started_at, width, columns)


def check_names(names: object) -> list[str]:
    """Return metric names, each once. A single name need not be in a list."""
    found = read_names(names, "names", like="['loss', 'accuracy']")
    return list(dict.fromkeys(check_name(name, "metric name") for name in found))


def _check_range(start: object, stop: object) -> tuple[int, int]:
    """Return the first and the last step of a half-open range."""
    low = INT64_MIN if start is None else check_step(start)
    high = INT64_MAX if stop is None else check_step(stop) - 1
    return low, high


# Points into buffers


@decoding_rows
def read_points(connection: Connection, series: int, count: int, last_ms: int, low: int, high: int) -> Buffers:
    """Read the points of a series in a range of steps; both ends are included."""
    bounds = {"series": series, "low": low, "high": high}
    if count < NUMPY_FROM_POINTS or not _has_numpy():
        return connection.fold(POINTS, bounds, collect_in_python)
    first, last = connection.one(STEP_BOUNDS, bounds) or (None, None)
    if first is not None:
        span = EXACT_BELOW // (last - first + 1)
        if 0 <= last_ms < span:
            packed = {"series": series, "low": first, "high": last, "span": span}
            flat = connection.fold(POINTS_PACKED, packed, _collect_floats)
            keys, values = flat[0::2], flat[1::2].copy()
            if not import_numpy().isnan(keys).any():
                keys = keys.astype("int64")
                return keys // span + first, values, keys % span / 1000
    return connection.fold(POINTS, bounds, _collect_in_numpy)


@decoding_rows
def read_in_bulk(connection: Connection, sql: str, parameters: Parameters) -> Buffers:
    """Read a query's rows of step, milliseconds and value; with numpy where it is installed."""
    return connection.fold(sql, parameters, _collect_in_numpy if _has_numpy() else collect_in_python)


def collect_in_python(rows: Iterator[tuple[Any, ...]]) -> Buffers:
    """Collect rows of step, milliseconds and value without numpy."""
    steps, values, times = array("q"), array("d"), array("d")
    for step, time_ms, value in rows:
        steps.append(step)
        times.append(time_ms / 1000)
        values.append(math.nan if value is None else value)
    return steps, values, times


def _collect_in_numpy(rows: Iterator[tuple[Any, ...]]) -> Buffers:
    numpy = import_numpy()
    points = numpy.fromiter(rows, [("step", "i8"), ("time_ms", "i8"), ("value", "f8")])  # None becomes NaN
    return points["step"].copy(), points["value"].copy(), points["time_ms"] / 1000


def _collect_floats(rows: Iterator[tuple[Any, ...]]) -> FloatArray:
    found: FloatArray = import_numpy().fromiter(chain.from_iterable(rows), "float64")
    return found


# Buckets into columns


@decoding_rows
def _read_bucket_columns(
    connection: Connection, row: Row, low: int, high: int, width: int
) -> dict[str, Buffer]:
    reach = min(width - 1, INT64_MAX)
    more = min(width - 1 - reach, INT64_MAX)
    bounds = {
        "series": row["id"],
        "high": high,
        "reach": reach,
        "more": more,
        "rest": width - 1 - reach - more,
        "edges": json.dumps(list(range(low, high + 1, width))),
    }
    sql = BUCKETS_WITH_NAN if row["nan_count"] else BUCKETS
    rows = sorted(row for row in connection.fold(sql, bounds, list) if row[2] is not None)
    columns = _unpack_buckets(rows)
    if any(map(math.isinf, columns["min"])) or any(map(math.isinf, columns["max"])):
        finite = dict(connection.fold(BUCKETS_FINITE, bounds, list))
        least, greatest, _ = unpack_extremes(b"".join(finite[row[0]] for row in rows))
        columns |= {"finite_min": least, "finite_max": greatest}
    return columns


def _unpack_buckets(rows: Sequence[tuple[Any, ...]]) -> dict[str, Buffer]:
    least, greatest, missing = unpack_extremes(b"".join([row[1] for row in rows]))
    first_steps, first_ms, first = unpack_points(b"".join([row[2] for row in rows]))
    last_steps, last_ms, last = unpack_points(b"".join([row[3] for row in rows]))
    return {
        "first_step": first_steps,
        "last_step": last_steps,
        "first_time_s": array("d", [ms / 1000 for ms in first_ms]),
        "last_time_s": array("d", [ms / 1000 for ms in last_ms]),
        "first": first,
        "last": last,
        "min": least,
        "max": greatest,
        "finite_min": least,
        "finite_max": greatest,
        "nan_count": missing,
    }


# numpy, where it is installed


def import_numpy() -> ModuleType:
    """Return numpy.

    Raises:
        MissingPackageError: numpy is not installed.
    """
    return require("numpy", "arrays (lists() works without)", "numpy")


def _has_numpy() -> bool:
    try:
        import_numpy()
    except MissingPackageError:
        return False
    return True


def _int_array(column: Buffer) -> IntArray:
    found: IntArray = import_numpy().asarray(column, dtype="int64")
    return found


def _float_array(column: Buffer) -> FloatArray:
    found: FloatArray = import_numpy().asarray(column, dtype="float64")
    return found
