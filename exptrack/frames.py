"""Hold a table in memory, and make dicts, pandas or polars frames of it, with the same types in each.

Invariants: the type of a column does not depend on what else is installed, such as pyarrow. Values keep their
types: whole numbers stay whole beside missing cells, and a column that holds several types holds its values
unchanged. Only in pandas and polars, ints beside floats become the floats that equal them. NaN is a value, and
stays apart from what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat

from exptrack.named_tuples import NamedTuple
from exptrack.shown import shown
from exptrack.validation import check_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    import pandas
    import polars

    from exptrack.markup.notebook import View

KIND_OF_TYPE = {str: "text", int: "int", float: "float", bool: "bool", list: "list", datetime: "time"}
POLARS_TYPES = {"text": "String", "int": "Int64", "float": "Float64", "number": "Float64", "bool": "Boolean"}


class Column(NamedTuple):
    """Cells of one kind, or None: text, int, float, bool, time, list, or object for everything else.

    A number is an int or a float that a column of floats holds exactly.
    """

    kind: str
    cells: list[Any]


Table: TypeAlias = dict[str, Column]
Records: TypeAlias = "list[dict[str, Any]]"


class TableMaker:
    """What makes a table of itself, and with it dicts, pandas or polars frames."""

    __slots__ = ()

    def _make_table(self) -> Table:
        raise NotImplementedError

    def to_dicts(self) -> Records:
        """Return a dict for each row, all with the same keys."""
        return to_dicts(self._make_table())

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas frame with nullable columns, like :meth:`exptrack.RunQuery.to_pandas`.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return table_to_pandas(self._make_table())

    def to_polars(self) -> polars.DataFrame:
        """Return a polars frame, like :meth:`exptrack.RunQuery.to_polars`.

        Raises:
            MissingPackageError: polars is not installed.
        """
        return table_to_polars(self._make_table())


@shown
class Frame(TableMaker):
    """A table in memory, with named, typed columns, that becomes dicts, pandas or polars.

    >>> frame = Frame({"number": Column("int", [0, 1]), "value": Column("float", [0.5, None])})
    >>> frame.columns, len(frame), frame["value"]
    (['number', 'value'], 2, [0.5, None])
    >>> frame.to_dicts()
    [{'number': 0, 'value': 0.5}, {'number': 1, 'value': None}]
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self._table)

    def __len__(self) -> int:
        return len(next(iter(self._table.values())).cells) if self._table else 0

    def __getitem__(self, column: str) -> list[Any]:
        return list(self._table[check_text(column, "column")].cells)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_dicts())

    def __repr__(self) -> str:
        return f"<Frame of {len(self):,} rows: {', '.join(self._table)}>"

    def _make_table(self) -> Table:
        return self._table

    def _view(self) -> View:
        from exptrack.markup.notebook import MOST_ROWS, View, draw_rows

        first = {name: column.cells[:MOST_ROWS] for name, column in self._table.items()}
        rows = [dict(zip(first, cells, strict=True)) for cells in zip(*first.values(), strict=True)]
        return View(f"Frame of {len(self):,} rows", draw_rows(rows, len(self), columns=self.columns))


def infer_column(cells: list[Any]) -> Column:
    """Make a column of the type that all cells have.

    Ints and floats make a column of numbers, if a float equals each int. Other mixtures, and lists of lists,
    make a column of objects.
    """
    types = {type(cell) for cell in cells} - {type(None)}
    if types == {int, float} and all(cell is None or float(cell) == cell for cell in cells):
        return Column("number", cells)
    return Column(KIND_OF_TYPE.get(types.pop(), "object") if len(types) == 1 else "object", cells)


# Making frames


def to_dicts(table: Table) -> Records:
    """Make a dict for each row."""
    rows = zip(*(column.cells for column in table.values()), strict=True)
    return list(map(dict, map(zip, repeat(tuple(table)), rows)))


def table_to_pandas(table: Table) -> pandas.DataFrame:
    """Make a pandas frame of nullable columns."""
    pd = import_pandas()
    columns = {name: _make_pandas_column(pd, column) for name, column in table.items()}
    frame: pandas.DataFrame = pd.DataFrame(columns, copy=False)
    return frame


def _make_pandas_column(pd: Any, column: Column) -> Any:
    kind, cells = column
    if kind == "text":
        return make_text_array(pd, cells)
    if kind == "time":
        return pd.array(cells, dtype="datetime64[us, UTC]")
    if kind in ("list", "object"):
        return pd.Series(cells, dtype=object)
    import numpy

    # A mask of its own keeps missing cells apart from NaN.
    missing = numpy.fromiter((cell is None for cell in cells), bool, len(cells))
    of, empty, dtype = {
        "int": (pd.arrays.IntegerArray, 0, "int64"),
        **dict.fromkeys(("float", "number"), (pd.arrays.FloatingArray, 0.0, "float64")),
        "bool": (pd.arrays.BooleanArray, False, "bool"),
    }[kind]
    return of(numpy.array([empty if cell is None else cell for cell in cells], dtype), missing)


def make_text_array(pd: Any, cells: Sequence[str | None]) -> Any:
    """Make a column of Python's own strings. pandas would take pyarrow for them where it is installed."""
    return pd.array(cells, dtype=pd.StringDtype("python"))


def table_to_polars(table: Table) -> polars.DataFrame:
    """Make a polars frame."""
    pl = import_polars()
    frame: polars.DataFrame = pl.DataFrame([_make_polars_column(pl, *pair) for pair in table.items()])
    return frame


def _make_polars_column(pl: Any, name: str, column: Column) -> Any:
    kind, cells = column
    if kind in POLARS_TYPES:
        dtype = getattr(pl, POLARS_TYPES[kind])
    elif kind == "time":
        dtype = pl.Datetime("us", "UTC")
    elif kind == "list" and (inner := _find_inner_type(cells)) is not None:
        dtype = pl.List(getattr(pl, inner))
    else:
        dtype = pl.Null if all(cell is None for cell in cells) else pl.Object
    return pl.Series(name, cells, dtype=dtype)


def _find_inner_type(lists: Sequence[list[Any] | None]) -> str | None:
    """Return the polars type of the items of lists, or None if they have several types or are lists."""
    types = {type(item) for one in lists if one is not None for item in one} - {type(None)}
    if not types:
        return "String"
    return POLARS_TYPES.get(KIND_OF_TYPE.get(types.pop(), "")) if len(types) == 1 else None


def import_pandas() -> Any:
    """Return pandas; raise MissingPackageError where it is not installed."""
    from exptrack.extras import require

    return require("pandas", "pandas frames", "pandas")


def import_polars() -> Any:
    """Return polars; raise MissingPackageError where it is not installed."""
    from exptrack.extras import require

    return require("polars", "polars frames", "polars")
