"""Tables: Parquet and CSV give the cells back; what has no exact form is refused."""

from __future__ import annotations

import csv
import io
import math
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import InvalidValueError
from exptrack.errors import MissingPackageError
from exptrack.media import (
    decode_table,
    encode_table,
)
from tests.media.values import EXPECTED, Tensor
from tests.strategies import FLOATS, INT64, NAMES, TEXTS, exactly

# No format knows which of two hours is meant that a clock shows twice.
MOMENTS = st.datetimes().map(lambda moment: moment.replace(fold=0))


CELLS = {
    "text": TEXTS,
    "int": INT64,
    "float": FLOATS | st.sampled_from([math.nan, math.inf, -math.inf]),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": MOMENTS,
    "null": st.none(),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[Any]]:
    names = draw(st.lists(NAMES | st.just("\ufeff"), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(0, 5))
    kinds = [CELLS[draw(st.sampled_from(list(CELLS)))] for _ in names]
    return {
        name: draw(st.lists(st.none() | kind, min_size=rows, max_size=rows))
        for name, kind in zip(names, kinds, strict=True)
    }


def in_csv(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None else str(value)


@settings(deadline=None)
@given(tables())
def test_parquet_gives_the_cells_back(table: dict[str, list[Any]]) -> None:
    encoded = encode_table(table)
    assert (encoded.media_type, encoded.is_text) == ("application/vnd.apache.parquet", False)
    assert exactly(decode_table(encoded.data, encoded.media_type)) == exactly(table)
    assert [column["name"] for column in encoded.facts["columns"]] == list(table)  # type: ignore[index, union-attr]


@settings(deadline=None)
@given(tables())
def test_csv_gives_the_cells_back_as_text_and_tells_null_from_empty(table: dict[str, list[Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        encoded = encode_table(table)
    assert (encoded.media_type, encoded.is_text, encoded.facts["format"]) == ("text/csv", True, "csv")
    expected = {name: [in_csv(cell) for cell in cells] for name, cells in table.items()}
    assert decode_table(encoded.data, encoded.media_type) == expected


@settings(deadline=None)
@given(tables())
def test_csv_is_what_other_readers_read(table: dict[str, list[Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        encoded = encode_table({**table, "last": list(range(len(next(iter(table.values())))))})
    rows = list(csv.reader(io.StringIO(encoded.data.decode(), newline=""), strict=True))
    assert rows[0] == [*table, "last"]
    cells = zip(*table.values(), strict=True)
    assert rows[1:] == [[*(in_csv(cell) or "" for cell in row), str(i)] for i, row in enumerate(cells)]


SAME_TABLE: list[Any] = [
    EXPECTED,
    [{"a": 1, "b": 0.5, "c": "x"}, {"a": 2, "b": math.nan, "c": ""}],
    {"a": np.array([1, 2]), "b": Tensor(np.array([0.5, math.nan])), "c": pd.Series(["x", ""])},
    {"a": range(1, 3), "b": (np.float64(0.5), math.nan), "c": np.array(["x", ""], object)},
    np.array([(1, 0.5, "x"), (2, math.nan, "")], [("a", ">i8"), ("b", "f8"), ("c", "U1")]),
    pd.DataFrame(EXPECTED),
    pl.DataFrame(EXPECTED),
    pa.table(EXPECTED),
]


@pytest.mark.parametrize("table", SAME_TABLE, ids=lambda table: type(table).__module__)
def test_every_way_to_hold_a_table_gives_the_same_columns(table: Any) -> None:
    encoded = encode_table(table)
    assert exactly(decode_table(encoded.data, encoded.media_type)) == exactly(EXPECTED)
    assert (encoded.facts["format"], encoded.facts["rows"]) == ("parquet", 2)
    some = encode_table(table, columns=["c", "a"])
    assert exactly(decode_table(some.data, some.media_type)) == exactly({"c": ["x", ""], "a": [1, 2]})


@pytest.mark.parametrize("table", [*SAME_TABLE[:6], [[1, 0.5, "x"], (2, math.nan, "")]])
def test_every_way_to_hold_a_table_gives_the_same_csv(without: Any, table: Any) -> None:
    without("pyarrow")
    encoded = encode_table(table, columns=["a", "b", "c"])
    assert encoded.data == b'a,b,c\r\n1,0.5,x\r\n2,nan,""\r\n'
    described = [{"name": "a", "type": "int"}, {"name": "b", "type": "float"}, {"name": "c", "type": "text"}]
    assert encoded.facts == {"format": "csv", "rows": 2, "columns": described}


def test_rows_and_arrays_take_their_names_from_columns() -> None:
    for table in (
        [[1, 2], [3, 4]],
        ((1, 2), (3, 4)),
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], "f4"),
    ):
        encoded = encode_table(table, ["a", "b"])
        assert decode_table(encoded.data, encoded.media_type) == {"a": [1, 3], "b": [2, 4]}
    for empty in ([], ()):
        encoded = encode_table(empty, ["a"])
        assert encoded.facts == {"format": "parquet", "rows": 0, "columns": [{"name": "a", "type": "null"}]}


def test_keys_come_in_order_of_appearance_and_missing_ones_are_null() -> None:
    encoded = encode_table([{"b": 1}, {"a": 2, "b": None}, {}])
    assert list(decode_table(encoded.data, encoded.media_type).items()) == [
        ("b", [1, None, None]),
        ("a", [None, 2, None]),
    ]


def test_the_numbers_of_a_column_become_floats_where_that_is_exact() -> None:
    encoded = encode_table({"a": [1, 0.5, None, math.nan], "b": [np.int8(1), np.float32(0.5), None, 2**60]})
    expected = {"a": [1.0, 0.5, None, math.nan], "b": [1.0, 0.5, None, float(2**60)]}
    assert exactly(decode_table(encoded.data, encoded.media_type)) == exactly(expected)


def test_typed_columns_keep_their_types() -> None:
    frame = pd.DataFrame(
        {"a": np.array([1], np.int8), "b": pd.Categorical(["u"]), "c": pd.array([None], "Int64")}
    )
    frame["d"] = pd.to_datetime(["2020-01-01T00:00:00.000000001Z"])
    frame["e"] = pd.array([pd.NA], "Float64")
    encoded = encode_table(frame)
    again = pd.read_parquet(io.BytesIO(encoded.data))
    assert again["d"][0] == frame["d"][0]
    assert str(again["b"].dtype) == "category"
    assert pq.read_schema(io.BytesIO(encoded.data)).field("a").type == pa.int8()
    assert decode_table(encoded.data, encoded.media_type)["c"] == [None]
    assert decode_table(encoded.data, encoded.media_type)["e"] == [None]
    array = np.array([1.5, math.nan], np.float32)
    assert encode_table({"a": array}).facts["columns"] == [{"name": "a", "type": "float"}]


def test_only_an_index_that_says_something_becomes_columns() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]})

    def columns(table: Any) -> dict[str, list[Any]]:
        encoded = encode_table(table)
        return decode_table(encoded.data, encoded.media_type)

    assert columns(frame) == {"a": [1, 2, 3]}
    assert columns(frame[1:]) == {"index": [1, 2], "a": [2, 3]}
    assert columns(frame.set_index(pd.Index(["x", "y", "z"], name="k"))) == {
        "k": ["x", "y", "z"],
        "a": [1, 2, 3],
    }
    assert columns(frame.rename_axis("k")) == {"k": [0, 1, 2], "a": [1, 2, 3]}


def test_what_pandas_misses_is_null_in_csv_but_nan_is_nan(without: Any) -> None:
    frame = pd.DataFrame({"f": [math.nan, 1.0], "s": ["", None], "o": pd.Series([None, 7], dtype=object)})
    frame["t"] = pd.to_datetime(["2020-01-01T00:00:00.000000001", None])
    frame["i"] = pd.array([None, 1], "Int64")
    cells = {"f": pd.Series([pd.NA, pd.NaT], dtype=object)}
    frame["s"].tolist()  # pandas itself imports parts of pyarrow at the first use
    without("pyarrow")
    assert encode_table(frame).data == (b'f,s,o,t,i\r\nnan,"",,2020-01-01T00:00:00.000000001,\r\n1.0,,7,,1\r\n')
    assert encode_table(cells).data == b"f\r\n\r\n\r\n"


def test_times_are_written_in_iso_form(without: Any) -> None:
    moment = datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    table = {
        "a": [moment, None],
        "b": [date(2020, 1, 2), None],
        "c": np.array(["2020-01-02T03:04:05.000000006", "NaT"], "M8[ns]"),
    }
    encoded = encode_table(table)
    found = pq.read_table(io.BytesIO(encoded.data))
    assert found["a"].to_pylist() == [moment, None]
    assert found["c"].cast(pa.int64()).to_pylist() == [table["c"][0].astype(int), None]  # type: ignore[union-attr]
    without("pyarrow")
    assert encode_table(table).data == (
        b"a,b,c\r\n2020-01-02T03:04:05.000006+00:00,2020-01-02,2020-01-02T03:04:05.000000006\r\n,,\r\n"
    )


def test_a_polars_frame_is_parquet_without_pyarrow_and_read_by_either(without: Any) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": [[1], [2, 3]]})
    without("pyarrow")
    encoded = encode_table(frame)
    assert encoded.facts["columns"] == [{"name": "a", "type": "Int64"}, {"name": "b", "type": "List(Int64)"}]
    assert decode_table(encoded.data, encoded.media_type) == {"a": [1, None], "b": [[1], [2, 3]]}
    without("polars")
    with pytest.raises(MissingPackageError, match="pyarrow is needed for Parquet tables"):
        decode_table(encoded.data, encoded.media_type)


NO_FORM = "column 'a' has no Parquet form"


NOT_TABLES: list[tuple[Any, Any, str]] = [
    (None, None, "a table is a list of dicts .* not NoneType"),
    ("a,b", None, "not str"),
    ((row for row in []), None, "not generator"),
    (pl.LazyFrame({"a": [1]}), None, "not LazyFrame"),
    ([], None, "do not name their columns"),
    ([[1]], None, "do not name their columns"),
    ({}, None, "at least one column"),
    ([{}], None, "at least one column"),
    (pd.DataFrame(), None, "at least one column"),
    (pl.DataFrame(), None, "at least one column"),
    (pa.table({}), None, "at least one column"),
    ([[1]], [], "at least one column"),
    ([[1]], "a", "columns must be a list, like .*, not str 'a'"),
    ([[1, 2]], ["a", "a"], "column name 'a' is given twice"),
    (pa.table([[1], [2]], ["a", "a"]), None, "column name 'a' is given twice"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, "column name 'a' is given twice"),
    ([{"": 1}], None, "column name is empty"),
    (pl.DataFrame({"": [1]}), None, "column name is empty"),
    ([{"a\n": 1}], None, "control character"),
    ([{1: 1}], None, "column name must be text, not int 1"),
    (pd.DataFrame([[1]]), None, "column name must be text"),
    ({"a": [1]}, ["b"], "no column 'b'"),
    (pd.DataFrame({"a": [1]}), ["b"], "no column 'b'"),
    (pl.DataFrame({"a": [1]}), ["b"], "no column 'b'"),
    (pa.table({"a": [1]}), ["b"], "no column 'b'"),
    ([[1, 2], [1]], ["a", "b"], "row 1 has 1 cells for 2 columns"),
    ([[1], "a"], ["a"], "row 1 must be a list or a tuple, not str 'a'"),
    ([{"a": 1}, [1]], ["a"], "row 0 must be a list or a tuple, not dict"),
    ({"a": [1], "b": [1, 2]}, None, "column 'b' has 2 cells, but the first column has 1"),
    ({"a": "text"}, None, "column 'a' must be a list, an array or a Series, not str 'text'"),
    ({"a": 1}, None, "not int 1"),
    ({"a": np.zeros((2, 2))}, None, r"column 'a' is an array of float64 with shape \(2, 2\)"),
    ({"a": np.array([1j])}, None, "array of complex128"),
    ({"a": np.array([b"x"])}, None, r"array of \|S1"),
    ({"a": np.array(["2020"], "M8[Y]")}, None, r"array of datetime64\[Y\]"),
    ({"a": np.ma.masked_array([1, 2], [0, 1])}, None, "masked"),
    (np.ma.masked_array([[1, 2]], [[0, 1]]), ["a", "b"], "masked"),
    (np.zeros((1, 2)), None, "does not name its columns"),
    (np.zeros((1, 2)), ["a"], "has 2 columns, but 1 names"),
    (np.zeros(2), ["a"], r"not one of shape \(2,\)"),
    ({"a": [1, "x"]}, None, "column 'a' holds int, but text in row 1: 'x'"),
    ({"a": [None, True, 1]}, None, "column 'a' holds bool, but int in row 2: 1"),
    ({"a": [date(2020, 1, 1), datetime(2020, 1, 1)]}, None, "holds date, but datetime in row 1"),
    (
        {"a": [datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)]},
        None,
        "datetime with a time zone in row 1",
    ),
    ({"a": [0.5, 2**53 + 1]}, None, "row 1 of column 'a' holds 9007199254740993 among floats"),
    ({"a": [2**63]}, None, "in row 0 of column 'a' does not fit into 64 bits"),
    ({"a": ["", "\ud800"]}, None, "row 1 of column 'a' .* lone surrogate"),
    ({"a": [None, b"x"]}, None, "row 1 of column 'a' holds bytes b'x'"),
    ({"a": [Decimal(1)]}, None, "row 0 of column 'a' holds Decimal"),
    ({"a": [timedelta(1)]}, None, "holds timedelta"),
    ({"a": [[1]]}, None, r"holds list \[1\]"),
    ({"a": [Tensor(np.array(1.0))]}, None, "holds Tensor"),
    ({"a": [pd.Timestamp("2020-01-01T00:00:00.000000001")]}, None, "holds Timestamp"),
    (pd.DataFrame({"a": [1, "x"]}, dtype=object), None, "column 'a' holds int, but text in row 1: 'x'"),
    (pl.DataFrame({"a": [object()]}), None, "the polars frame has no Parquet form"),
    (pd.DataFrame({"a": pd.array([0, 1], pd.SparseDtype(int))}), None, NO_FORM),
    (pa.table({"a": pa.array([], pa.struct([]))}), None, "the table has no Parquet form"),
]


NOT_PLAIN_TABLES = [case for case in NOT_TABLES if not isinstance(case[0], pa.Table) and case[2] != NO_FORM]


@pytest.mark.parametrize(("table", "columns", "message"), NOT_TABLES)
def test_what_is_no_table_is_refused(table: Any, columns: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        encode_table(table, columns)


@pytest.mark.parametrize(("table", "columns", "message"), NOT_PLAIN_TABLES)
def test_what_is_no_table_is_no_csv_either(without: Any, table: Any, columns: Any, message: str) -> None:
    without("pyarrow")
    with pytest.raises(InvalidValueError, match=message):
        encode_table(table, columns)


@pytest.mark.parametrize(
    ("data", "media_type", "message"),
    [
        (b"", "text/plain", "a table is application/vnd.apache.parquet or text/csv, not 'text/plain'"),
        (b"PAR1", "application/vnd.apache.parquet", "cannot be read"),
        (b"", "text/csv", "at least one column"),
        (b"\xff", "text/csv", "not UTF-8"),
        (b'a\r\n"x', "text/csv", "not CSV from character 3 on, row 0"),
        (b'a\r\nx"y"', "text/csv", "not CSV from character 3 on, row 0"),
        (b"a,b\r\n1,2\r\n1", "text/csv", "CSV row 1 has 1 cells for 2 columns"),
        (b"a,\r\n1,2", "text/csv", "column name is empty"),
    ],
)
def test_what_is_no_encoded_table_is_refused(data: bytes, media_type: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        decode_table(data, media_type)


@pytest.mark.parametrize("data", [b"a,b\n1,\n", b"a,b\r\n1,", b'\xef\xbb\xbfa,"b"\r\n"1",\r\n'])
def test_csv_of_other_writers_is_read_too(data: bytes) -> None:
    assert decode_table(data, "text/csv") == {"a": ["1"], "b": [None]}
