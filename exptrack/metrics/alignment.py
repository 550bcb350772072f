"""Put series of several runs side by side, by step or by time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import InvalidValueError
from exptrack.metrics.series import Series, import_numpy
from exptrack.plain import short_repr
from exptrack.validation import INT64_MAX, INT64_MIN, check_choice, check_number, check_whole

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from exptrack.metrics.series import FloatArray

    BoolArray: TypeAlias = NDArray[numpy.bool_]

LEAST_S = 0.001
TOLERANCE_MS = 1e-6  # 0.001 * 1000 need not be 1


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Series of several runs side by side: an `index`, and a column of the same length for each series.

    A column is named ``run_id/metric``. Where `logged` of that column is false, the run logged nothing and the
    value is NaN. Where it is true, the value was logged, NaN included. Pass ``alignment.arrays()`` to
    ``pandas.DataFrame`` or ``polars.DataFrame``.
    """

    by: str
    index: NDArray[Any]
    columns: dict[str, FloatArray]
    logged: dict[str, BoolArray]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the index, named ``step`` or ``time_s``, and all columns."""
        return {"step" if self.by == "step" else "time_s": self.index, **self.columns}


def align_series(series: Iterable[Series], by: str, every: float | None) -> Alignment:
    """Put series side by side; see :meth:`exptrack.Archive.align`."""
    numpy = import_numpy()
    by = check_choice(by, "by", ("step", "time"))
    if every is not None and by == "step":
        every = check_whole(every, "every", 1)
    elif every is not None and not 0 < (every := check_number(every, "every")) < math.inf:
        raise InvalidValueError(f"every must be above 0, not {short_repr(every)}")
    if every is not None and by == "time" and every < LEAST_S:
        raise InvalidValueError(
            f"times are kept to the millisecond; every must be {LEAST_S} s or more, not {every!r}"
        )
    kept: dict[str, tuple[Any, Any]] = {}
    for one in series:
        values = one.values
        keys: NDArray[Any] = one.steps if by == "step" else one.times
        if every is not None:
            keys = _round_steps(keys, every) if by == "step" else _round_times(keys, every)
        if by == "time":
            order = numpy.argsort(one.times, kind="stable")
            keys, values = keys[order], values[order]
        # The last of equal neighbours wins.
        last = numpy.append(keys[1:] != keys[:-1], True)[: len(keys)]
        kept[f"{one.run_id}/{one.name}"] = (keys[last], values[last])
    empty = numpy.empty(0, "int64" if by == "step" else "float64")
    index = numpy.unique(numpy.concatenate([empty, *(keys for keys, _ in kept.values())]))
    columns, logged = {}, {}
    for name, (keys, values) in kept.items():
        places = numpy.searchsorted(index, keys)
        columns[name] = numpy.full(len(index), math.nan)
        columns[name][places] = values
        logged[name] = numpy.zeros(len(index), bool)
        logged[name][places] = True
    return Alignment(by, index, columns, logged)


def _round_steps(steps: NDArray[Any], every: Any) -> NDArray[Any]:
    """Round down to multiples; those below 64 bits become the least step."""
    rest = steps % every
    return import_numpy().maximum(steps, INT64_MIN + rest) - rest  # type: ignore[no-any-return]


def _round_times(times: NDArray[Any], every: Any) -> NDArray[Any]:
    """Round down to multiples, in whole milliseconds where these are: 0.459 // 0.001 is 458."""
    numpy = import_numpy()
    every_ms = every * 1000
    if every_ms >= INT64_MAX or abs(every_ms - round(every_ms)) > TOLERANCE_MS:
        return times // every * every  # type: ignore[no-any-return]
    return _round_steps(numpy.rint(times * 1000).astype("int64"), round(every_ms)) / 1000
