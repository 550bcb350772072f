"""Encode tables as Parquet, or as CSV where no package for Parquet is installed, and decode them into columns.

Invariants:

- Column names are unique, and all columns have the same number of cells.
- A column of plain Python values has one type. Whole numbers among floats become floats if that is exact. Any
  other mixture is refused with its column and its row, counted from 0.
- In CSV (RFC 4180) null is an empty field, and an empty text a quoted one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from exptrack.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from exptrack.media.encoded import Encoded, check_unmasked, comes_from, convert_tensor, is_array, is_tensor
from exptrack.plain import plain, read_elements, read_items, short_repr
from exptrack.validation import INT64_MAX, INT64_MIN, check_name, check_text

PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
# The units of numpy that Arrow has too.
DATETIME_UNITS = ("D", "s", "ms", "us", "ns")

# A text that begins with U+FEFF is quoted, because readers take it for a byte order mark.
_NEEDS_QUOTES = re.compile('[",\r\n\ufeff]')
_FIELD = re.compile(r'(?:"((?:[^"]|"")*+)"|([^",\r\n]*+))(,|\r?\n|\Z)')

# Each column by name: a list of cells, a numpy array or a pandas Series.
_Columns: TypeAlias = dict[str, Any]


def encode_table(table: object, columns: Sequence[str] | None = None) -> Encoded:
    """Encode a table as Parquet, or as CSV without pyarrow. Facts: format, rows, name and type of each column.

    `table` is one of these:

    - a list of dicts: columns come in the order of first appearance, and a missing key is null.
    - a list of lists or tuples, or a 2-D numpy array: `columns` names the columns.
    - a dict of columns of equal length, or a structured numpy array.
    - a pandas or polars DataFrame, or a pyarrow Table. An index of pandas other than the default becomes
      columns, and NaN in a float column stays NaN.

    If the table has names, `columns` selects and orders them. Cells are text, numbers, bool, date, datetime or
    None; a typed column may hold anything that Parquet holds.

    Raises:
        InvalidTypeError: `table` is none of these, a cell has another type, or the cells of a column differ in
            type.
        InvalidValueError: names are missing, empty, unknown or given twice; rows or columns differ in length;
            or Parquet cannot hold the cells of a column.
    """
    chosen = None if columns is None else _check_names(columns)
    if _is_a(table, "polars", "DataFrame"):
        return _encode_polars(table, chosen)
    if _is_a(table, "pyarrow", "Table"):
        return _encode_arrow(table, chosen)
    if _is_a(table, "pandas", "DataFrame"):
        held = _select(_split_pandas(table), chosen)
    elif is_array(table):
        held = _split_array(table, chosen)
    elif isinstance(table, Mapping):
        cells = read_items(table, "the table")
        names = _check_names([name for name, _ in cells])
        columns_by_name = {
            name: _check_column(name, column) for name, (_, column) in zip(names, cells, strict=True)
        }
        held = _select(columns_by_name, chosen)
    elif isinstance(table, (list, tuple)):
        held = _split_rows(table, chosen)
    else:
        raise InvalidTypeError(
            "a table is a list of dicts or of lists, a dict of columns, an array or a frame,"
            f" not {type(table).__name__} {short_repr(table)}"
        )
    lengths = {name: len(column) for name, column in held.items()}
    rows = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != rows:
            raise InvalidValueError(f"column {name!r} has {length} cells, but the first column has {rows}")
    try:
        import pyarrow as pa
    except ImportError:
        return _encode_csv(held, rows)
    return _encode_arrow(
        pa.table({name: _make_arrow_column(name, column) for name, column in held.items()}), None
    )


def decode_table(data: bytes, media_type: str) -> dict[str, list[Any]]:
    """Decode an encoded table into columns by name; from CSV each cell is text or None.

    Raises:
        InvalidValueError: the data is neither Parquet nor CSV as `encode_table` writes it.
        MissingPackageError: the data is Parquet, and neither pyarrow nor polars is installed.
    """
    if media_type == CSV:
        return _read_csv(data)
    if media_type != PARQUET:
        raise InvalidValueError(f"a table is {PARQUET} or {CSV}, not {short_repr(media_type)}")
    read = _choose_parquet_reader()
    try:
        return read(data)
    except Exception as error:  # the readers raise errors of many kinds
        raise InvalidValueError(f"the Parquet table cannot be read: {error}") from None


def _choose_parquet_reader() -> Callable[[bytes], dict[str, list[Any]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        try:
            import polars as pl
        except ImportError:
            raise MissingPackageError("pyarrow", "Parquet tables", "media") from None
        return lambda data: pl.read_parquet(io.BytesIO(data)).to_dict(as_series=False)
    # read_table imports pyarrow.dataset first, which takes longer than all else together.
    return lambda data: dict(pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False).to_pydict())


def _is_a(value: object, package: str, name: str) -> bool:
    return comes_from(value, package) and any(kind.__name__ == name for kind in type(value).__mro__)


def is_frame(value: object) -> bool:
    """Whether a value is a data frame of pandas or polars, or a table of pyarrow."""
    return any(
        _is_a(value, *kind) for kind in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table"))
    )


def _check_names(names: Iterable[object]) -> list[str]:
    checked = [check_name(name, "column name") for name in read_elements(names, "columns", like="['a', 'b']")]
    if not checked:
        raise InvalidValueError("a table has at least one column")
    if len(set(checked)) < len(checked):
        twice = next(name for i, name in enumerate(checked) if name in checked[:i])
        raise InvalidValueError(f"the column name {twice!r} is given twice; rename one")
    return checked


def _check_known(chosen: Sequence[str] | None, names: Iterable[str]) -> None:
    known = set(names)
    for name in chosen or ():
        if name not in known:
            raise InvalidValueError(f"the table has no column {name!r}; check the names in columns")


def _select(held: _Columns, chosen: list[str] | None) -> _Columns:
    _check_known(chosen, held)
    return held if chosen is None else {name: held[name] for name in chosen}


def _encode_polars(frame: Any, chosen: list[str] | None) -> Encoded:
    _check_known(chosen, _check_names(frame.columns))
    frame = frame if chosen is None else frame.select(chosen)
    target = io.BytesIO()
    try:
        frame.write_parquet(target)
    except Exception as error:  # Parquet lacks the type of a column
        raise InvalidValueError(f"the polars frame has no Parquet form: {error}") from None
    types = {name: str(kind) for name, kind in frame.schema.items()}
    return _describe(target.getvalue(), PARQUET, frame.height, types)


def _encode_arrow(table: Any, chosen: list[str] | None) -> Encoded:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_known(chosen, _check_names(table.column_names))
    table = table if chosen is None else table.select(chosen)
    target = io.BytesIO()
    try:
        pq.write_table(table, target, compression="zstd")
    except pa.ArrowException as error:
        raise InvalidValueError(f"the table has no Parquet form: {error}") from None
    types = {field.name: str(field.type) for field in table.schema}
    return _describe(target.getvalue(), PARQUET, table.num_rows, types)


def _describe(data: bytes, media_type: str, rows: int, types: dict[str, str]) -> Encoded:
    described = [{"name": name, "type": kind} for name, kind in types.items()]
    kind = "csv" if media_type == CSV else "parquet"
    return Encoded(data, media_type, media_type == CSV, {"format": kind, "rows": rows, "columns": described})


def _split_pandas(frame: Any) -> _Columns:
    index = frame.index
    default = _is_a(index, "pandas", "RangeIndex") and (index.start, index.step, index.name) == (0, 1, None)
    _check_names(frame.columns)
    frame = frame if default else frame.reset_index()
    return {name: frame.iloc[:, i] for i, name in enumerate(_check_names(frame.columns))}


def _split_array(array: Any, chosen: list[str] | None) -> _Columns:
    if array.dtype.names is not None and array.ndim == 1:
        return _select(
            {name: _check_column(name, array[name]) for name in _check_names(array.dtype.names)}, chosen
        )
    if array.ndim != 2:
        raise InvalidValueError(f"a table is a 2-D or a 1-D structured array, not one of shape {array.shape}")
    if chosen is None:
        raise InvalidValueError("the array does not name its columns: give columns=[…]")
    if array.shape[1] != len(chosen):
        raise InvalidValueError(f"the array has {array.shape[1]} columns, but {len(chosen)} names are given")
    return {name: _check_column(name, array[:, i]) for i, name in enumerate(chosen)}


def _split_rows(rows: Sequence[Any], chosen: list[str] | None) -> _Columns:
    if all(isinstance(row, Mapping) for row in rows) and (rows or chosen is not None):
        plain_rows = [
            {check_name(key, "column name"): cell for key, cell in read_items(row, f"row {number}")}
            for number, row in enumerate(rows)
        ]
        names = chosen or _check_names(dict.fromkeys(key for row in plain_rows for key in row))
        return {name: [row.get(name) for row in plain_rows] for name in names}
    if chosen is None:
        raise InvalidValueError("the rows do not name their columns: give columns=[…], or rows as dicts")
    for number, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            raise InvalidTypeError(
                f"row {number} must be a list or a tuple, not {type(row).__name__} {short_repr(row)}"
            )
        if len(row) != len(chosen):
            raise InvalidValueError(f"row {number} has {len(row)} cells for {len(chosen)} columns")
    return {name: [row[i] for row in rows] for i, name in enumerate(chosen)}


def _check_column(name: str, values: Any) -> Any:
    """Check a column and return it as an array, a Series or a list of its cells."""
    values = convert_tensor(values) if is_tensor(values) else values
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
        raise InvalidTypeError(
            f"column {name!r} is an array of {values.dtype} with shape {values.shape};"
            " give a list, or a 1-D array of another type"
        )
    return values.tolist() if kind in "UO" else values.astype(values.dtype.newbyteorder("="), order="C")


def _make_arrow_column(name: str, column: Any) -> Any:
    import pyarrow as pa

    kind: str | None = None
    if isinstance(column, list) or column.dtype == object:
        kind, column = _make_plain(name, column)
    elif _is_a(column, "pandas", "Series") and _knows_nan(column):
        column = column.to_numpy()  # Arrow takes NaN in a Series for null
    types = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "null": pa.null()}
    try:
        return pa.array(column, types.get(kind or ""))
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise InvalidValueError(f"column {name!r} has no Parquet form: {error}") from None


def _knows_nan(series: Any) -> bool:
    """Whether NaN in the Series is a number; in a Series of another type it stands for a missing value."""
    return bool(series.dtype.kind == "f" and comes_from(series.dtype, "numpy"))


def _make_plain(name: str, column: Any) -> tuple[str, list[Any]]:
    """Return the kind of a column's cells, and the cells as plain Python values."""
    if is_array(column) and column.dtype.kind == "M":
        # As ISO text, because Python's datetime has no nanoseconds.
        return "datetime", [None if cell == "NaT" else cell for cell in column.astype(str).tolist()]
    cells = column if isinstance(column, list) else column.tolist()
    if _is_a(column, "pandas", "Series") and not _knows_nan(column):
        cells = [None if missing else cell for cell, missing in zip(cells, column.isna(), strict=True)]
        if column.dtype.kind == "M":
            return "datetime", [None if cell is None else cell.isoformat() for cell in cells]
    kinds: dict[str, int] = {}
    plain = []
    for row, value in enumerate(cells):
        kind, cell = _classify_cell(value, row, name)
        plain.append(cell)
        if kind is not None:
            kinds.setdefault(kind, row)
    if set(kinds) == {"int", "float"}:
        return "float", [_convert_exactly(cell, row, name) for row, cell in enumerate(plain)]
    if len(kinds) > 1:
        (first, _), (other, row), *_ = kinds.items()
        raise InvalidTypeError(
            f"column {name!r} holds {first}, but {other} in row {row}: {short_repr(plain[row])}"
        )
    return next(iter(kinds), "null"), plain


def _classify_cell(value: Any, row: int, name: str) -> tuple[str | None, Any]:
    """Return the kind of a cell (None for null) and its value as a plain Python value."""
    if (
        type(value).__module__ != "builtins"
    ):  # most cells are builtins, which spares them look-ups of microseconds
        if comes_from(value, "numpy") and getattr(value, "ndim", None) == 0 and value.dtype.kind in "biufU":
            value = value.item()
        elif comes_from(value, "pandas") and type(value).__name__ in ("NAType", "NaTType"):
            value = None
    value = plain(value)
    if value is None:
        return None, None
    if isinstance(value, datetime) and not getattr(value, "nanosecond", 0):
        return "datetime" if value.utcoffset() is None else "datetime with a time zone", value
    if isinstance(value, bool) or type(value) is date:
        return type(value).__name__, value
    if isinstance(value, str):
        return "text", check_text(value, f"row {row} of column {name!r}")
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise InvalidValueError(
                f"{short_repr(value)} in row {row} of column {name!r} does not fit into 64 bits"
            )
        return "int", value
    if isinstance(value, float):
        return "float", value
    raise InvalidTypeError(
        f"row {row} of column {name!r} holds {type(value).__name__} {short_repr(value)}, which no table can"
        " hold; give it as text or as a number"
    )


def _convert_exactly(cell: int | float | None, row: int, name: str) -> float | None:
    if cell is None or float(cell) == cell or cell != cell:
        return None if cell is None else float(cell)
    raise InvalidValueError(
        f"row {row} of column {name!r} holds {cell} among floats, and no float equals it; give text instead"
    )


def _encode_csv(held: _Columns, rows: int) -> Encoded:
    plain = {name: _make_plain(name, column) for name, column in held.items()}
    lines = [",".join(map(_quote, plain))]
    fields = [[_write_field(cell, kind) for cell in cells] for kind, cells in plain.values()]
    lines += map(",".join, zip(*fields, strict=True))
    text = "".join(f"{line}\r\n" for line in lines)
    return _describe(text.encode("utf-8"), CSV, rows, {name: kind for name, (kind, _) in plain.items()})


def _quote(text: str) -> str:
    return text if text and not _NEEDS_QUOTES.search(text) else '"' + text.replace('"', '""') + '"'


def _write_field(cell: Any, kind: str) -> str:
    if cell is None:
        return ""
    if kind == "text":
        return _quote(cell)
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
            raise InvalidValueError(f"the table is not CSV from character {position} on, row {len(rows) - 1}")
        quoted, bare, end = found.groups()
        row.append(bare or None if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end != ",":
            rows.append(row)
            row = []
    head, *body = rows or [[]]
    names = _check_names("" if name is None else name for name in head)
    for number, cells in enumerate(body):
        if len(cells) != len(names):
            raise InvalidValueError(f"CSV row {number} has {len(cells)} cells for {len(names)} columns")
    return {name: [cells[i] for cells in body] for i, name in enumerate(names)}
