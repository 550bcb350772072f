"""Images, tables, histograms and texts become bytes that real readers give back, or are refused."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from exptrack import InvalidValueError
from exptrack.errors import InvalidTypeError, MissingPackageError
from exptrack.media import (
    Encoded,
    decode_table,
    encode_histogram,
    encode_image,
    encode_table,
    encode_text,
)
from tests.strategies import FLOATS, INT64, NAMES, TEXTS, exactly

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
SVG = b'<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg PUBLIC "x" "y">\n<svg xmlns="http://www.w3.org/2000/svg"/>'


class Tensor:
    """What exptrack asks of a torch tensor, and nothing else of it."""

    def __init__(self, array: np.ndarray[Any, Any], fault: str = "") -> None:
        self._array = array
        self._fault = fault

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray[Any, Any]:
        if self._fault:
            raise TypeError(self._fault)
        return self._array


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the import of packages fail."""

    def remove(*packages: str) -> None:
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)

    return remove


def pixels(encoded: Encoded) -> np.ndarray[Any, Any]:
    assert encoded.media_type == "image/png"
    assert not encoded.is_text
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert encoded.facts == {"width": image.width, "height": image.height, "mode": image.mode}
        return np.asarray(image)


def saved(form: str) -> bytes:
    target = io.BytesIO()
    Image.fromarray(RGB).save(target, form)
    return target.getvalue()


# Images


@pytest.mark.parametrize(
    ("form", "media_type", "mode"),
    [
        ("PNG", "image/png", "RGB"),
        ("JPEG", "image/jpeg", "RGB"),
        ("GIF", "image/gif", "P"),
        ("WEBP", "image/webp", "RGB"),
        ("BMP", "image/bmp", "RGB"),
        ("TIFF", "image/tiff", "RGB"),
    ],
)
def test_an_image_file_is_kept_as_it_is_and_known_by_its_content(
    tmp_path: Path, form: str, media_type: str, mode: str
) -> None:
    data = saved(form)
    path = tmp_path / "picture.txt"
    path.write_bytes(data)
    for given_image in (path, str(path), data, bytearray(data), memoryview(data)):
        encoded = encode_image(given_image)
        assert encoded == (data, media_type, False, {"width": 4, "height": 2, "mode": mode})


@pytest.mark.parametrize(
    "data", [SVG, b"<svg/>", b"\xef\xbb\xbf <svg:svg>", b"<!DOCTYPE svg [<!ENTITY a 'b'>] ><svg >"]
)
def test_svg_is_known_behind_its_preamble(data: bytes) -> None:
    assert encode_image(data) == (data, "image/svg+xml", False, {})


def test_a_file_of_many_comments_is_refused_at_once() -> None:
    with pytest.raises(InvalidValueError, match="not an image"):
        encode_image(b"<!---->" * 9_000 + b"<p>")


def test_a_header_that_promises_a_huge_image_is_only_read(tmp_path: Path) -> None:
    header = bytearray(saved("BMP"))
    header[18:26] = (60_000).to_bytes(4, "little") * 2
    assert encode_image(bytes(header)).facts["width"] == 60_000


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY),
        (GREY[:, ::-1], GREY[:, ::-1]),
        (GREY[:, :, None], GREY),
        (RGB, RGB),
        (RGB.transpose(1, 0, 2), RGB.transpose(1, 0, 2)),
        (np.dstack([RGB, RGB[:, :, :1]]), np.dstack([RGB, RGB[:, :, :1]])),
        (GREY > 2, (GREY > 2) * np.uint8(255)),
        (GREY.astype(np.int64), GREY),
        (GREY.astype(">u2"), GREY),
        (GREY / 255, GREY),
        (GREY.astype(np.float32) / 255, GREY),
        (np.array([[0.0, 0.5, 1.0]], np.float16), [[0, 128, 255]]),
        (np.ma.masked_array(GREY, np.zeros_like(GREY)), GREY),
    ],
)
def test_an_array_becomes_a_png_of_the_same_pixels(array: Any, expected: Any) -> None:
    assert pixels(encode_image(array)).tolist() == np.asarray(expected).tolist()


@settings(deadline=None)
@given(st.integers(0, 255), st.sampled_from([np.float16, np.float32, np.float64]))
def test_every_step_of_brightness_survives_as_a_float(step: int, kind: Any) -> None:
    assert pixels(encode_image(np.array([[step / 255]], kind))).tolist() == [[step]]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (RGB.transpose(2, 0, 1), RGB),
        (RGB, RGB),
        (GREY[None], GREY),
        (GREY, GREY),
        (RGB.transpose(2, 0, 1) / np.float32(255), RGB),
        (np.arange(36, dtype=np.uint8).reshape(3, 4, 3), np.arange(36).reshape(3, 4, 3).transpose(1, 2, 0)),
    ],
)
def test_a_tensor_has_its_channels_first_unless_it_cannot(array: Any, expected: Any) -> None:
    assert pixels(encode_image(Tensor(array))).tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pil_image_becomes_a_png_of_its_mode(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    encoded = encode_image(image)
    assert (pixels(encoded) == np.asarray(image)).all()
    assert encoded.facts == {"width": 3, "height": 2, "mode": mode}


def test_a_matplotlib_figure_and_what_is_drawn_in_it_become_the_same_png() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    axes = figure.subfigures(1, 2)[0].subplots()
    (line,) = axes.plot([1, 2])
    whole = encode_image(figure)
    assert pixels(whole).shape == (50, 100, 4)
    assert encode_image(axes) == encode_image(line) == whole
    line.remove()
    with pytest.raises(InvalidValueError, match="in no figure"):
        encode_image(line)


NOT_IMAGES: list[tuple[Any, str]] = [
    (None, "an image is a path, bytes, .* not NoneType"),
    ([[1]], "not list"),
    (matplotlib, "not module"),
    ("gone.png", "cannot read the image 'gone.png'"),
    ("a\0b", "cannot read the image"),
    (Path("."), "cannot read the image"),
    (b"", "the bytes, beginning b''"),
    (b"BM is a car", "not an image .PNG, JPEG, GIF"),
    (b"<html><svg/></html>", "not an image .PNG, JPEG, GIF"),
    (saved("PNG")[:20], "begins like image/png, but is damaged"),
    (b"\xff\xd8\xff\xe0", "begins like image/jpeg, but is damaged"),
    (Image.new("CMYK", (1, 1)), r"mode 'CMYK'; convert it with .convert\('RGB'\)"),
    (Image.new("I", (1, 1)), "mode 'I'"),
    (Image.new("F", (1, 1)), "mode 'F'"),
    (Image.new("L", (0, 1)), "no pixels: it is 0×1"),
    (Image.open(io.BytesIO(saved("PNG")[:-30])), "cannot be read or written"),
    (np.zeros((2, 2, 2)), r"not \(2, 2, 2\)"),
    (np.zeros((8, 3, 4, 4)), "log the images of a batch one by one"),
    (np.zeros(3), r"not \(3,\)"),
    (np.float64(1), r"not \(\)"),
    (np.zeros((0, 3)), r"not \(0, 3\)"),
    (np.array([[256]]), r"int64 from 256 to 256; integers must lie in 0..255"),
    (np.array([[-1]], np.int8), "int8 from -1 to -1"),
    (np.array([[0, 65535]], np.uint16), "uint16 from 0 to 65535"),
    (np.array([[0.0, 255.0]]), r"float64 from 0 to 255; floats must lie in 0..1"),
    (np.array([[-0.1]]), "from -0.1"),
    (np.array([[math.inf]]), "to inf"),
    (np.array([[math.nan, 300]]), "holds NaN"),
    (np.array([[1j]]), "not complex128"),
    (np.array([["a"]]), "not <U1"),
    (np.array([[None]]), "not object"),
    (np.ma.masked_array(GREY, GREY > 2), "masked"),
    (Tensor(np.zeros((8, 3, 4, 4))), "one by one"),
    (Tensor(GREY, "unsupported ScalarType BFloat16"), "BFloat16"),
]


@pytest.mark.parametrize(("image", "message"), NOT_IMAGES)
def test_what_is_no_image_is_refused(image: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        encode_image(image)


def test_without_pillow_files_are_kept_and_pixels_are_refused(without: Any) -> None:
    data = saved("PNG")
    without("PIL")
    assert encode_image(data) == (data, "image/png", False, {})
    for image in (GREY, Tensor(GREY)):
        with pytest.raises(
            MissingPackageError, match=r"pillow is needed for images; .*exptrack-archive\[media\]"
        ):
            encode_image(image)


def test_what_pillow_was_built_without_is_kept_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved("WEBP")
    monkeypatch.delitem(Image.OPEN, "WEBP")
    assert encode_image(data) == (data, "image/webp", False, {})


# Tables

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


EXPECTED: dict[str, list[Any]] = {"a": [1, 2], "b": [0.5, math.nan], "c": ["x", ""]}
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
    ([[1]], "a", "columns is a list of names, not the text 'a'"),
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
    ([[1], "a"], ["a"], "row 1 is no list or tuple, but str 'a'"),
    ([{"a": 1}, [1]], ["a"], "row 0 is no list or tuple, but dict"),
    ({"a": [1], "b": [1, 2]}, None, "column 'b' has 2 cells, the first column 1"),
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
    ({"a": [0.5, 2**53 + 1]}, None, "row 1 of column 'a' holds 9007199254740993, which equals no float"),
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
        (b'a\r\n"x', "text/csv", "no CSV at character 3, row 0"),
        (b'a\r\nx"y"', "text/csv", "no CSV at character 3, row 0"),
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


# Histograms


def counted(encoded: Encoded) -> dict[str, Any]:
    assert (encoded.media_type, encoded.is_text) == ("application/json", True)
    data: dict[str, Any] = json.loads(encoded.data)
    total = sum(data["counts"]) + data["nan"] + data["low"] + data["high"]
    assert (encoded.facts["bins"], encoded.facts["count"]) == (len(data["counts"]), total)
    assert [encoded.facts[f"{key}_count"] for key in ("nan", "low", "high")] == [
        data[key] for key in ("nan", "low", "high")
    ]
    assert all(left < right for left, right in pairwise(data["edges"]))
    return data


VALUES = st.lists(FLOATS | st.floats(-10, 10) | st.sampled_from([1.0, 2.0, math.nan, math.inf, -math.inf]))
RANGES = st.none() | st.sampled_from([(0.0, 1.0), (-1e308, 1e308), (-3, 7), (1.0, 2.0)])


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(1, 70), RANGES)
def test_every_value_falls_where_numpy_says(values: list[float], bins: int, limits: Any) -> None:
    encoded = encode_histogram(values, bins, limits)
    data = counted(encoded)
    array = np.array(values)
    finite = array[np.isfinite(array)]
    assert data["counts"] == np.histogram(finite, bins=data["edges"])[0].tolist()
    assert encoded.facts["count"] == len(values)
    assert data["nan"] == np.isnan(array).sum()
    assert (data["low"], data["high"]) == ((array < data["edges"][0]).sum(), (array > data["edges"][-1]).sum())
    extent = (finite.min(), finite.max()) if finite.size else (None, None)
    assert (encoded.facts["min"], encoded.facts["max"]) == extent


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(1, 70), RANGES)
def test_arrays_and_iterables_count_alike(values: list[float], bins: int, limits: Any) -> None:
    expected = encode_histogram(iter(values), bins, limits)
    assert encode_histogram(np.array(values, np.float64), bins, limits) == expected
    assert encode_histogram(Tensor(np.array([values])), bins, limits) == expected
    assert encode_histogram(np.array(values, object), bins, limits) == expected


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50).map(lambda value: value / 8), min_size=1), st.integers(1, 70))
def test_the_edges_are_those_of_numpy(values: list[float], bins: int) -> None:
    counts, edges = np.histogram(values, bins=bins)
    data = counted(encode_histogram(values, bins))
    assert data["edges"] == edges.tolist()
    assert data["counts"] == counts.tolist()


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint64, np.float16, np.float32])
def test_an_array_of_any_kind_of_number_is_counted(kind: Any) -> None:
    array = np.array([[0, 1], [1, 1]], kind)
    assert counted(encode_histogram(array, 2)) == {
        "edges": [0.0, 0.5, 1.0],
        "counts": [1, 3],
        "nan": 0,
        "low": 0,
        "high": 0,
    }


def test_an_array_of_several_blocks_is_counted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).normal(size=1000)
    expected = encode_histogram(array)
    monkeypatch.setattr("exptrack.media.histograms.BLOCK_VALUES", 7)
    assert encode_histogram(array) == expected


@pytest.mark.parametrize("value", [0.0, -3.5, 5e-324, 1e300, -1.7976931348623157e308, 1.7976931348623157e308])
@pytest.mark.parametrize("bins", [1, 64, 65_536])
def test_equal_values_get_bins_around_them(value: float, bins: int) -> None:
    data = counted(encode_histogram([value] * 3, bins))
    assert sum(data["counts"]) == 3
    assert data["edges"][0] <= value <= data["edges"][-1]
    assert abs(value) > 1e6 or data["edges"][-1] - data["edges"][0] == 1


def test_a_histogram_of_nothing_is_empty_and_one_of_nan_says_so() -> None:
    empty = {"edges": [0.0, 0.5, 1.0], "counts": [0, 0], "nan": 0, "low": 0, "high": 0}
    assert counted(encode_histogram([], 2)) == counted(encode_histogram(np.array([]), 2)) == empty
    assert counted(encode_histogram([math.nan, math.inf], 2)) == {**empty, "nan": 1, "high": 1}
    assert counted(encode_histogram([], 2, (2, 4)))["edges"] == [2.0, 3.0, 4.0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_a_ready_histogram_is_kept(counts: list[int]) -> None:
    edges = [i / 2 for i in range(len(counts) + 1)]
    expected = {"edges": edges, "counts": counts, "nan": 0, "low": 0, "high": 0}
    assert counted(encode_histogram(counts=counts, edges=edges)) == expected
    encoded = encode_histogram(counts=np.array(counts, np.float32), edges=np.array(edges))
    assert counted(encoded) == expected
    assert "min" not in encoded.facts


NOT_HISTOGRAMS: list[tuple[dict[str, Any], str]] = [
    ({}, "made of values, or of counts and edges"),
    ({"values": [1], "counts": [1], "edges": [0, 1]}, "made of values, or of counts and edges"),
    ({"counts": [1]}, "made of values, or of counts and edges"),
    ({"values": [1], "edges": [0, 1]}, "made of values, or of counts and edges"),
    ({"counts": [1], "edges": [0]}, "not 1 counts and 1 edges"),
    ({"counts": [], "edges": [0]}, "not 0 counts and 1 edges"),
    ({"counts": [0.5], "edges": [0, 1]}, "whole numbers from 0, not 0.5"),
    ({"counts": [-1], "edges": [0, 1]}, "whole numbers from 0, not -1.0"),
    ({"counts": [math.nan], "edges": [0, 1]}, "whole numbers from 0, not nan"),
    ({"counts": [1, 1], "edges": [0, 0, 1]}, "each is above the one before"),
    ({"counts": [1], "edges": [0, math.inf]}, "finite"),
    ({"counts": "1", "edges": [0, 1]}, "counts must be numbers, not str '1'"),
    ({"values": 3}, "values must be numbers, not int 3"),
    ({"values": "12"}, "values must be numbers, not str '12'"),
    ({"values": ["1"]}, "must be a number, not str '1'"),
    ({"values": [[1, 2]]}, "must be a number, not list"),
    ({"values": [None]}, "must be a number, not NoneType"),
    ({"values": [10**400]}, "too large for a float"),
    ({"values": np.array(["1"])}, "must be a number, not str '1'"),
    ({"values": np.array([1j])}, "must be a number, not complex"),
    ({"values": np.ma.masked_array([1, 2], [0, 1])}, "masked"),
    ({"values": [1], "bins": 0}, "1 to 65,536 bins, not 0"),
    ({"values": [1], "bins": 65_537}, "1 to 65,536 bins, not 65537"),
    ({"values": [1], "bins": True}, "the number of bins is whole, not bool True"),
    ({"values": [1], "bins": 2.0}, "the number of bins is whole, not float"),
    ({"values": [1], "range": (1, 1)}, r"runs from a finite number up to another, not \(1, 1\)"),
    ({"values": [1], "range": (0, math.inf)}, "runs from a finite number"),
    ({"values": [1], "range": (0, 1, 2)}, "a range is two numbers"),
    ({"values": [1], "range": 3}, "a range must be numbers, not int 3"),
    ({"values": [1], "range": (1, 1.0000000000000002)}, "too narrow for 64 bins"),
]


@pytest.mark.parametrize(("arguments", "message"), NOT_HISTOGRAMS)
def test_what_is_no_histogram_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        encode_histogram(**arguments)


# Texts


@settings(deadline=None)
@given(TEXTS)
def test_text_is_kept_in_utf8(text: str) -> None:
    data = text.encode()
    facts = {"characters": len(text), "lines": len(text.splitlines())}
    assert encode_text(text) == (data, "text/plain", True, facts)


def test_text_may_be_of_another_media_type() -> None:
    assert encode_text("# a", "text/markdown").media_type == "text/markdown"
    assert encode_text("{}", "application/vnd.api+json").media_type == "application/vnd.api+json"


@pytest.mark.parametrize(
    "media_type", ["", "text", "text/", "Text/Plain", "text/plain; charset=latin-1", "text/a\n"]
)
def test_a_media_type_that_is_none_is_refused(media_type: str) -> None:
    with pytest.raises(InvalidValueError, match="a media type is written type/subtype"):
        encode_text("a", media_type)


def test_text_without_a_utf8_form_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="lone surrogate"):
        encode_text("\ud800")
    with pytest.raises(InvalidTypeError, match="text must be text, not bytes"):
        encode_text(b"a")  # type: ignore[arg-type]


# All of them


@pytest.mark.parametrize("value", [encode_image(GREY), encode_table(EXPECTED), encode_histogram([1, math.nan])])
def test_the_facts_are_plain_json(value: Encoded) -> None:
    assert json.loads(json.dumps(value.facts, allow_nan=False)) == value.facts


def test_looking_at_values_imports_nothing_heavy() -> None:
    code = (
        "import sys, exptrack.media as media\n"
        "for encode in (media.encode_image, media.encode_table, media.encode_histogram):\n"
        "    try: encode(object())\n"
        "    except TypeError: pass\n"
        "media.encode_histogram([1, 2, 3])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "PIL", "pyarrow", "pandas", "polars", "matplotlib", "torch", "sqlite3"}
    assert set(done.stdout.split()) & heavy == set()
