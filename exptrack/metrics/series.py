"""Read a metric series in bulk, as columns.

Invariants:

- Reading writes nothing, except that points queued in this process's journals are stored first.
- Points come in key order: by step, repetitions of a step in the order of logging.
- No Python object is kept per point.
- NaN is a logged value. Where NaN stands for a missing value, another column says so.
- Step ranges are half open, like ``range``.
- numpy is imported only to return its arrays, or to read a long series faster.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from exptrack.database.connection import Connection, Parameters
from exptrack.database.damage import decoding_rows
from exptrack.errors import MissingPackageError
from exptrack.extras import require
from exptrack.frames import Column, Table, TableMaker
from exptrack.metrics.writer import drain_all
from exptrack.plain import read_names
from exptrack.shown import shown
from exptrack.validation import INT64_MAX, INT64_MIN, check_name, check_step

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from exptrack.markup.notebook import View

    IntArray: TypeAlias = NDArray[numpy.int64]
    FloatArray: TypeAlias = NDArray[numpy.float64]

NUMPY_FROM_POINTS = 20_000  # from here on, importing numpy to read a series costs less than it saves
EXACT_BELOW = 2**53  # a float holds every integer below this exactly

SERIES_OF = """
SELECT s.id, s.count, s.nan_count, s.last_time_ms, s.checksum
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


class Buffer(Protocol):
    """A column of numbers: an ``array.array`` or a numpy array. Both become numpy arrays without a copy."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def tolist(self) -> list[Any]: ...


Buffers: TypeAlias = tuple[Buffer, Buffer, Buffer]  # steps, values, seconds since the run's start


@shown
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series(TableMaker):
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
        return int_array(self._steps)

    @property
    def values(self) -> FloatArray:
        """The values: numpy float64."""
        return float_array(self._values)

    @property
    def times(self) -> FloatArray:
        """The times of logging: numpy float64, seconds since the run's start (`started_at`)."""
        return float_array(self._times)

    def lists(self) -> dict[str, list[Any]]:
        """Return the columns ``step``, ``value`` and ``time_s`` as lists. Works without numpy."""
        return {
            "step": self._steps.tolist(),
            "value": self._values.tolist(),
            "time_s": self._times.tolist(),
        }

    def _make_table(self) -> Table:
        kinds = {"step": "int", "value": "float", "time_s": "float"}
        return {name: Column(kinds[name], cells) for name, cells in self.lists().items()}

    def _view(self) -> View:
        from exptrack.markup.notebook import View, draw_curves, gather_points

        points = gather_points(self.run_id, self._steps.tolist(), self._values.tolist())
        return View(f"{self.name} of run {self.run_id}: {len(self):,} points", draw_curves(self.name, [points]))

    def buffers(self) -> dict[str, memoryview[Any]]:
        """Return the columns of :meth:`lists` as views of int64 and float64: no copy, no numpy."""
        return {
            "step": view_of(self._steps, "q"),
            "value": view_of(self._values, "d"),
            "time_s": view_of(self._times, "d"),
        }


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
    low, high = check_range(start, stop)
    drain_all(connection.file)
    row = connection.one(SERIES_OF, (run, checked))
    buffers: Buffers = (array("q"), array("d"), array("d"))
    if row is not None and low <= high:
        buffers = read_points(connection, row["id"], row["count"], row["last_time_ms"], low, high)
    return Series(run_id, checked, started_at, *buffers)


def check_names(names: object) -> list[str]:
    """Return metric names, each once. A single name need not be in a list."""
    found = read_names(names, "names", like="['loss', 'accuracy']")
    return list(dict.fromkeys(check_name(name, "metric name") for name in found))


def check_range(start: object, stop: object) -> tuple[int, int]:
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


def view_of(column: Any, code: Literal["q", "d"]) -> memoryview[Any]:
    """Return a column as a view of int64 (``"q"``) or float64 (``"d"``) elements, without a copy."""
    return memoryview(column).cast("B").cast(code)


def int_array(column: Buffer) -> IntArray:
    """Return a column as a numpy array of int64."""
    found: IntArray = import_numpy().asarray(column, dtype="int64")
    return found


def float_array(column: Buffer) -> FloatArray:
    """Return a column as a numpy array of float64."""
    found: FloatArray = import_numpy().asarray(column, dtype="float64")
    return found
