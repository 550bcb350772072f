"""Turns tables into Parquet, or into CSV where no package for Parquet is installed, and back into columns.

Invariants: every column has a name of its own and as many cells as the others. A column of plain Python values
has one type (whole numbers among floats become floats if that is exact); what does not fit is refused with its
row, counted from 0, and its column. In CSV (RFC 4180) null is an empty field, empty text a quoted one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from exptrack.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from exptrack.media.encoded import Encoded, check_unmasked, comes_from, is_array, is_tensor, tensor_array
from exptrack.validation import INT64_MAX, INT64_MIN, check_name, check_text, short_repr

PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
# Those of numpy's that Arrow has, too.
DATETIME_UNITS = ("D", "s", "ms", "us", "ns")

# A mark of byte order at the very beginning would be taken for one.
_NEEDS_QUOTES = re.compile('[",\r\n\ufeff]')
_FIELD = re.compile(r'(?:"((?:[^"]|"")*+)"|([^",\r\n]*+))(,|\r?\n|\Z)')

# By name: a list of cells, a numpy array or a pandas Series.
_Columns: TypeAlias = dict[str, Any]


def encode_table(table: object, columns: Sequence[str] | None = None) -> Encoded:
    """A table as Parquet, or as CSV without pyarrow. Facts: format, rows, and of each column name and type.

    Takes a list of dicts (columns in order of first appearance, missing keys null); a list of lists or tuples,
    or a numpy 2-D array, which need `columns`; a dict of equally long columns; a numpy structured array; a
    pandas or polars DataFrame or a pyarrow Table. `columns` selects and orders where the table has names.
    Cells are text, numbers, bool, date, datetime or None; typed columns may be all that Parquet holds. Of
    pandas an index other than the default becomes columns, and NaN of a float column stays NaN.

    Raises:
        InvalidTypeError: it is nothing of this, or a cell is of another type.
        InvalidValueError: names are missing, empty, unknown or given twice; rows or columns differ in length;
            a column has cells of different types, or none that Parquet can hold.
    """
    chosen = None if columns is None else _names(columns)
    if _is_a(table, "polars", "DataFrame"):
        return _of_polars(table, chosen)
    if _is_a(table, "pyarrow", "Table"):
        return _of_arrow(table, chosen)
    if _is_a(table, "pandas", "DataFrame"):
        held = _select(_of_pandas(table), chosen)
    elif is_array(table):
        held = _of_array(table, chosen)
    elif isinstance(table, Mapping):
        held = _select({name: _column(name, table[name]) for name in _names(table)}, chosen)
    elif isinstance(table, (list, tuple)):
        held = _of_rows(table, chosen)
    else:
        raise InvalidTypeError(
            "a table is a list of dicts or of lists, a dict of columns, an array or a frame,"
            f" not {type(table).__name__} {short_repr(table)}"
        )
    lengths = {name: len(column) for name, column in held.items()}
    rows = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != rows:
            raise InvalidValueError(f"column {name!r} has {length} cells, the first column {rows}")
    try:
        import pyarrow as pa
    except ImportError:
        return _csv(held, rows)
    return _of_arrow(pa.table({name: _arrow_column(name, column) for name, column in held.items()}), None)


def decode_table(data: bytes, media_type: str) -> dict[str, list[Any]]:
    """The columns of an encoded table by name; of CSV each cell is text or None.

    Raises:
        InvalidValueError: it is neither Parquet nor CSV as `encode_table` writes it.
        MissingPackageError: it is Parquet, and neither pyarrow nor polars is installed.
    """
    if media_type == CSV:
        return _read_csv(data)
    if media_type != PARQUET:
        raise InvalidValueError(f"a table is {PARQUET} or {CSV}, not {short_repr(media_type)}")
    read = _parquet_reader()
    try:
        return read(data)
    except Exception as error:  # whatever the readers raise, the data cannot be read
        raise InvalidValueError(f"the Parquet table cannot be read: {error}") from None


def _parquet_reader() -> Callable[[bytes], dict[str, list[Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        try:
            import polars as pl
        except ImportError:
            raise MissingPackageError("pyarrow", "Parquet tables", "media") from None
        return lambda data: pl.read_parquet(io.BytesIO(data)).to_dict(as_series=False)
    return lambda data: dict(pq.read_table(pa.BufferReader(data)).to_pydict())


def _is_a(value: object, package: str, name: str) -> bool:
    return comes_from(value, package) and any(kind.__name__ == name for kind in type(value).__mro__)


def _names(names: Iterable[object]) -> list[str]:
    if isinstance(names, str):
        raise InvalidTypeError(f"columns is a list of names, not the text {short_repr(names)}")
    checked = [check_name(name, "column name") for name in names]
    if not checked:
        raise InvalidValueError("a table has at least one column")
    if len(set(checked)) < len(checked):
        twice = next(name for i, name in enumerate(checked) if name in checked[:i])
        raise InvalidValueError(f"the column name {twice!r} is given twice")
    return checked


def _check_known(chosen: Sequence[str] | None, names: Iterable[str]) -> None:
    known = set(names)
    for name in chosen or ():
        if name not in known:
            raise InvalidValueError(f"the table has no column {name!r}")


def _select(held: _Columns, chosen: list[str] | None) -> _Columns:
    _check_known(chosen, held)
    return held if chosen is None else {name: held[name] for name in chosen}


def _of_polars(frame: Any, chosen: list[str] | None) -> Encoded:
    _check_known(chosen, _names(frame.columns))
    frame = frame if chosen is None else frame.select(chosen)
    target = io.BytesIO()
    try:
        frame.write_parquet(target)
    except Exception as error:  # a type that Parquet lacks
        raise InvalidValueError(f"the polars frame has no Parquet form: {error}") from None
    types = {name: str(kind) for name, kind in frame.schema.items()}
    return _encoded(target.getvalue(), PARQUET, frame.height, types)


def _of_arrow(table: Any, chosen: list[str] | None) -> Encoded:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_known(chosen, _names(table.column_names))
    table = table if chosen is None else table.select(chosen)
    target = io.BytesIO()
    try:
        pq.write_table(table, target, compression="zstd")
    except pa.ArrowException as error:
        raise InvalidValueError(f"the table has no Parquet form: {error}") from None
    types = {field.name: str(field.type) for field in table.schema}
    return _encoded(target.getvalue(), PARQUET, table.num_rows, types)


def _encoded(data: bytes, media_type: str, rows: int, types: dict[str, str]) -> Encoded:
    described = [{"name": name, "type": kind} for name, kind in types.items()]
    kind = "csv" if media_type == CSV else "parquet"
    return Encoded(data, media_type, media_type == CSV, {"format": kind, "rows": rows, "columns": described})


def _of_pandas(frame: Any) -> _Columns:
    index = frame.index
    default = _is_a(index, "pandas", "RangeIndex") and (index.start, index.step, index.name) == (0, 1, None)
    _names(frame.columns)
    frame = frame if default else frame.reset_index()
    return {name: frame.iloc[:, i] for i, name in enumerate(_names(frame.columns))}


def _of_array(array: Any, chosen: list[str] | None) -> _Columns:
    if array.dtype.names is not None and array.ndim == 1:
        return _select({name: _column(name, array[name]) for name in _names(array.dtype.names)}, chosen)
    if array.ndim != 2:
        raise InvalidValueError(f"a table is a 2-D or a 1-D structured array, not one of shape {array.shape}")
    if chosen is None:
        raise InvalidValueError("the array does not name its columns: give columns=[…]")
    if array.shape[1] != len(chosen):
        raise InvalidValueError(f"the array has {array.shape[1]} columns, but {len(chosen)} names are given")
    return {name: _column(name, array[:, i]) for i, name in enumerate(chosen)}


def _of_rows(rows: Sequence[Any], chosen: list[str] | None) -> _Columns:
    if all(isinstance(row, Mapping) for row in rows) and (rows or chosen is not None):
        names = chosen or _names(dict.fromkeys(key for row in rows for key in row))
        return {name: [row.get(name) for row in rows] for name in names}
    if chosen is None:
        raise InvalidValueError("the rows do not name their columns: give columns=[…], or rows as dicts")
    for number, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            raise InvalidTypeError(
                f"row {number} is no list or tuple, but {type(row).__name__} {short_repr(row)}"
            )
        if len(row) != len(chosen):
            raise InvalidValueError(f"row {number} has {len(row)} cells for {len(chosen)} columns")
    return {name: [row[i] for row in rows] for i, name in enumerate(chosen)}


def _column(name: str, values: Any) -> Any:
    """A column as it was given: an array, a Series, or its cells as a list."""
    values = tensor_array(values) if is_tensor(values) else values
    if _is_a(values, "pandas", "Series"):
        return values
    if not is_array(values):
        if isinstance(values, (str, bytes, bytearray)) or not isinstance(values, Sequence):
            raise InvalidTypeError(
                f"column {name!r} must be a list, an array or a Series,"
                f" not {type(values).__name__} {short_repr(values)}"
            )
        return list(values)
    check_unmasked(values)
    kind, unit = values.dtype.kind, re.search(r"\[(\w+)\]", values.dtype.str)
    if values.ndim != 1 or kind not in "biufMUO" or (kind == "M" and unit and unit[1] not in DATETIME_UNITS):
        raise InvalidTypeError(f"column {name!r} is an array of {values.dtype} with shape {values.shape}")
    return values.tolist() if kind in "UO" else values.astype(values.dtype.newbyteorder("="), order="C")


def _arrow_column(name: str, column: Any) -> Any:
    import pyarrow as pa

    kind: str | None = None
    if isinstance(column, list) or column.dtype == object:
        kind, column = _plain(name, column)
    elif _is_a(column, "pandas", "Series") and _knows_nan(column):
        column = column.to_numpy()  # of a Series Arrow reads NaN as null
    types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "null": pa.null()}
    try:
        return pa.array(column, types.get(kind or ""))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise InvalidValueError(f"column {name!r} has no Parquet form: {error}") from None


def _knows_nan(series: Any) -> bool:
    """Whether NaN in a Series is a number; in every other it means that there is none."""
    return bool(series.dtype.kind == "f" and comes_from(series.dtype, "numpy"))


def _plain(name: str, column: Any) -> tuple[str, list[Any]]:
    """The kind of a column's cells, and the cells as plain Python values."""
    if is_array(column) and column.dtype.kind == "M":
        # As text in ISO form, since Python's own have no nanoseconds.
        return "datetime", [None if cell == "NaT" else cell for cell in column.astype(str).tolist()]
    cells = column if isinstance(column, list) else column.tolist()
    if _is_a(column, "pandas", "Series") and not _knows_nan(column):
        cells = [None if missing else cell for cell, missing in zip(cells, column.isna(), strict=True)]
        if column.dtype.kind == "M":
            return "datetime", [None if cell is None else cell.isoformat() for cell in cells]
    kinds: dict[str, int] = {}
    plain = []
    for row, value in enumerate(cells):
        kind, cell = _cell(value, row, name)
        plain.append(cell)
        if kind is not None:
            kinds.setdefault(kind, row)
    if set(kinds) == {"int", "float"}:
        return "float", [_exact_float(cell, row, name) for row, cell in enumerate(plain)]
    if len(kinds) > 1:
        (first, _), (other, row), *_ = kinds.items()
        raise InvalidTypeError(
            f"column {name!r} holds {first}, but {other} in row {row}: {short_repr(plain[row])}"
        )
    return next(iter(kinds), "null"), plain


def _cell(value: Any, row: int, name: str) -> tuple[str | None, Any]:
    """The kind of a cell, None if it is null, and its value as a plain one."""
    if type(value).__module__ != "builtins":  # most cells are plain, and these look-ups take microseconds
        if comes_from(value, "numpy") and getattr(value, "ndim", None) == 0 and value.dtype.kind in "biufU":
            value = value.item()
        elif comes_from(value, "pandas") and type(value).__name__ in ("NAType", "NaTType"):
            value = None
    if value is None:
        return None, None
    if isinstance(value, datetime) and not getattr(value, "nanosecond", 0):
        return "datetime" if value.utcoffset() is None else "datetime with a time zone", value
    if isinstance(value, bool) or type(value) is date:
        return type(value).__name__, value
    if isinstance(value, str):
        return "text", check_text(str.__str__(value), f"row {row} of column {name!r}")
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidValueError(
                f"{short_repr(value)} in row {row} of column {name!r} does not fit into 64 bits"
            )
        return "int", int(value)
    if isinstance(value, float):
        return "float", float(value)
    raise InvalidTypeError(
        f"row {row} of column {name!r} holds {type(value).__name__} {short_repr(value)}, which no cell can;"
        " give it as text or as a number"
    )


def _exact_float(cell: int | float | None, row: int, name: str) -> float | None:
    if cell is None or float(cell) == cell or cell != cell:
        return None if cell is None else float(cell)
    raise InvalidValueError(
        f"row {row} of column {name!r} holds {cell}, which equals no float, as the others are"
    )


def _csv(held: _Columns, rows: int) -> Encoded:
    plain = {name: _plain(name, column) for name, column in held.items()}
    lines = [",".join(map(_quoted, plain))]
    fields = [[_field(cell, kind) for cell in cells] for kind, cells in plain.values()]
    lines += map(",".join, zip(*fields, strict=True))
    text = "".join(f"{line}\r\n" for line in lines)
    return _encoded(text.encode("utf-8"), CSV, rows, {name: kind for name, (kind, _) in plain.items()})


def _quoted(text: str) -> str:
    return text if text and not _NEEDS_QUOTES.search(text) else '"' + text.replace('"', '""') + '"'


def _field(cell: Any, kind: str) -> str:
    if cell is None:
        return ""
    if kind == "text":
        return _quoted(cell)
    if kind == "bool":
        return "true" if cell else "false"
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _read_csv(data: bytes) -> dict[str, list[Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"the CSV table is not UTF-8: {error}") from None
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    position = 0
    while position < len(text) or row:
        found = _FIELD.match(text, position)
        if found is None:
            raise InvalidValueError(f"the table is no CSV at character {position}, row {len(rows) - 1}")
        quoted, bare, end = found.groups()
        row.append(bare or None if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end != ",":
            rows.append(row)
            row = []
    head, *body = rows or [[]]
    names = _names("" if name is None else name for name in head)
    for number, cells in enumerate(body):
        if len(cells) != len(names):
            raise InvalidValueError(f"CSV row {number} has {len(cells)} cells for {len(names)} columns")
    return {name: [cells[i] for cells in body] for i, name in enumerate(names)}
