"""Put series of several runs side by side, by step or by time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.metrics.series import Series, _numpy
from exptrack.validation import check_number, short_repr

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[numpy.int64]
    FloatArray: TypeAlias = NDArray[numpy.float64]
    BoolArray: TypeAlias = NDArray[numpy.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Series of several runs side by side: `index` and, for each series, a column as long.

    A column is named ``run_id/metric``. NaN in it means that the run logged nothing there, unless
    `logged` of that column is true: then NaN was logged. ``pandas.DataFrame(alignment.arrays())`` and
    ``polars.DataFrame(alignment.arrays())`` take it as it is.
    """

    by: str
    index: NDArray[Any]
    columns: dict[str, FloatArray]
    logged: dict[str, BoolArray]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The index, as ``step`` or ``time_s``, and all columns."""
        return {"step" if self.by == "step" else "time_s": self.index, **self.columns}


def align_series(series: Iterable[Series], by: str, every: float | None) -> Alignment:
    """Put series side by side; see :meth:`exptrack.Archive.align`."""
    numpy = _numpy()
    if by not in ("step", "time"):
        raise InvalidValueError(f"by must be 'step' or 'time', not {short_repr(by)}")
    if every is not None and not 0 < check_number(every, "every") < math.inf:
        raise InvalidValueError(f"every must be above 0, not {short_repr(every)}")
    if every is not None and by == "step" and not isinstance(every, int):
        raise InvalidTypeError(f"every counts steps and must be a whole number, not {short_repr(every)}")
    kept: dict[str, tuple[Any, Any]] = {}
    for one in series:
        values = one.values
        keys: NDArray[Any] = one.steps if by == "step" else one.times
        if every is not None:
            keys = keys // every * every
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
