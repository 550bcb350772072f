"""Put series of several runs side by side, by step or by time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from exptrack.errors import InvalidValueError
from exptrack.frames import Column, Frame, Table, TableMaker
from exptrack.metrics.series import Series, import_numpy
from exptrack.plain import short_repr
from exptrack.shown import shown
from exptrack.validation import INT64_MAX, INT64_MIN, check_choice, check_number, check_whole

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from exptrack.markup.notebook import View
    from exptrack.metrics.series import FloatArray

    BoolArray: TypeAlias = NDArray[numpy.bool_]

LEAST_S = 0.001
TOLERANCE_MS = 1e-6  # 0.001 * 1000 need not be 1


@shown
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Alignment(TableMaker):
    """Series of several runs side by side: an `index`, and a column of the same length for each series.

    A column is named ``run_id/metric``, or by the name of the run if that was asked for. Where `logged` of that
    column is false, the run logged nothing and the value is NaN. Where it is true, the value was logged, NaN
    included. :meth:`to_pandas` and :meth:`to_polars` keep the two apart.
    """

    by: str
    index: NDArray[Any]
    columns: dict[str, FloatArray]
    logged: dict[str, BoolArray]

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"<Alignment by {self.by}: {len(self):,} rows of {len(self.columns):,} series>"

    @property
    def _index_name(self) -> str:
        return "step" if self.by == "step" else "time_s"

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the index, named ``step`` or ``time_s``, and all columns."""
        return {self._index_name: self.index, **self.columns}

    def _make_table(self) -> Table:
        return self._cut_table(None)

    def _cut_table(self, most: int | None) -> Table:
        table = {self._index_name: Column("int" if self.by == "step" else "float", self.index[:most].tolist())}
        for name, values in self.columns.items():
            pairs = zip(values[:most].tolist(), self.logged[name][:most].tolist(), strict=True)
            table[name] = Column("float", [value if logged else None for value, logged in pairs])
        return table

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_ROWS, View, draw_rows

        first = Frame(self._cut_table(MOST_ROWS))
        parts = draw_rows(first.to_dicts(), len(self), columns=first.columns)
        return View(f"{len(self.columns):,} series by {self.by}", parts)


def align_series(
    series: Iterable[Series], by: str, every: float | None, labels: Mapping[str, str]
) -> Alignment:
    """Put series side by side; see :meth:`exptrack.Archive.align`. `labels` has the word for each run id."""
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
    kept: dict[tuple[str, str], tuple[Any, Any]] = {}
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
        kept[one.run_id, one.name] = (keys[last], values[last])
    empty = numpy.empty(0, "int64" if by == "step" else "float64")
    index = numpy.unique(numpy.concatenate([empty, *(keys for keys, _ in kept.values())]))
    columns, logged = {}, {}
    for name, (keys, values) in zip(_name_columns(list(kept), labels), kept.values(), strict=True):
        places = numpy.searchsorted(index, keys)
        columns[name] = numpy.full(len(index), math.nan)
        columns[name][places] = values
        logged[name] = numpy.zeros(len(index), bool)
        logged[name][places] = True
    return Alignment(by, index, columns, logged)


def _name_columns(series: Sequence[tuple[str, str]], labels: Mapping[str, str]) -> list[str]:
    """Name the column of each run and metric. Where a slash in a name makes two of them one, ids are taken."""
    names = [f"{labels[run_id]}/{metric}" for run_id, metric in series]
    return names if len(set(names)) == len(names) else [f"{run_id}/{metric}" for run_id, metric in series]


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
