"""Put series of several runs side by side, by step or by time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import InvalidValueError
from exptrack.metrics.series import Series, import_numpy
from exptrack.plain import short_repr
from exptrack.validation import check_choice, check_number, check_whole

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from exptrack.metrics.series import FloatArray

    BoolArray: TypeAlias = NDArray[numpy.bool_]


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
