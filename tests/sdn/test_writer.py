"""Writing SDN: one profile, refusals with their path, and everything reads back."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import sdn
from exptrack.errors import ConfigError, InvalidTypeError
from tests.sdn.values import TEXTS, same


class Colour(str, enum.Enum):  # noqa: UP042 (prints as "Colour.RED" in an f-string)
    RED = "red"
    TWO = "two words"


class Level(enum.IntEnum):
    LOW = 1


class Loud(float):
    def __repr__(self) -> str:
        return f"Loud({float(self)})"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, ""),
        ({"a": None, "b": True, "c": False}, "a: null\nb: true\nc: false\n"),
        (
            {"a": 3, "b": 3.0, "c": 1e-5, "d": -0.0, "e": 1e16},
            "a: 3\nb: 3.0\nc: 1e-05\nd: -0.0\ne: 1e+16\n",
        ),
        ({"a": {"b": {"c": 1}}, "d": {}}, "a:\n    b:\n        c: 1\nd: {}\n"),
        ({"a": [1, [], {"b": {"c": "x y"}}, {}]}, 'a: [1, [], {b: {c: "x y"}}, {}]\n'),
        ({"a": (1, ("b",))}, "a: [1, [b]]\n"),
        ({"z": 1, "a": 2}, "z: 1\na: 2\n"),
        ({"a.b/c-d": "x.y/z-1", "_": "_"}, "a.b/c-d: x.y/z-1\n_: _\n"),
        (
            {"my key": 1, "10": 2, "": 3, "é": 4, "a#": 5},
            '"my key": 1\n"10": 2\n"": 3\n"é": 4\n"a#": 5\n',
        ),
        (
            {"true": "true", "table": "table", "nil": "nil"},
            '"true": "true"\n"table": "table"\n"nil": "nil"\n',
        ),
        ({"a": "", "b": "42", "c": "é", "d": " x"}, 'a: ""\nb: "42"\nc: "é"\nd: " x"\n'),
        ({"a": '\\n\n\t\r"\x00'}, 'a: "\\\\n\\n\\t\\r\\"\x00"\n'),
        ({"a": "x\n"}, 'a: "x\\n"\n'),
        (
            {"a": Colour.RED, "b": Colour.TWO, "c": Level.LOW, "d": Loud(0.5)},
            'a: red\nb: "two words"\nc: 1\nd: 0.5\n',
        ),
        (OrderedDict(a=MappingProxyType({"b": 1})), "a:\n    b: 1\n"),
    ],
)
def test_the_writer_has_one_profile(value: dict[str, Any], text: str) -> None:
    assert sdn.dumps(value) == text


@pytest.mark.parametrize(
    ("value", "error", "path"),
    [
        ({"a": {"b": [1, math.nan]}}, ConfigError, "a.b[1]"),
        ({"a": math.inf}, ConfigError, "a"),
        ({"a": [{"b": -math.inf}]}, ConfigError, "a[0].b"),
        ({"a": ["\ud800"]}, ConfigError, "a[0]"),
        ({"a": {"\udfff": 1}}, ConfigError, "a.'\\udfff'"),
        ({"a": 10**4000}, ConfigError, "a"),
        ({"a": {1, 2}}, InvalidTypeError, "a is set"),
        ({"a": {"b c": b"x"}}, InvalidTypeError, "a.'b c' is bytes"),
        ({"a": [Path("x")]}, InvalidTypeError, "a[0]"),
        ({"a": {1: 2}}, InvalidTypeError, "a.(int)"),
        ({"a": [{10**5000: 2}]}, InvalidTypeError, "a[0].(int)"),
        ({None: 2}, InvalidTypeError, "(NoneType)"),
        ([1], InvalidTypeError, "list"),
    ],
)
def test_the_writer_refuses_what_has_no_form(value: Any, error: type[Exception], path: str) -> None:
    with pytest.raises(error) as caught:
        sdn.dumps(value)
    assert path in str(caught.value)
    if isinstance(caught.value, ConfigError):
        assert caught.value.key == path


def test_strict_keys_refuses_what_only_this_dialect_reads() -> None:
    assert sdn.dumps({"a": [{"b": "x y"}]}, strict_keys=True) == 'a: [{b: "x y"}]\n'
    for value in ({"a b": 1}, {"a": {"": 1}}, {"a": [{"true": 1}]}):
        with pytest.raises(ConfigError):
            sdn.dumps(value, strict_keys=True)


@pytest.mark.parametrize("kind", ["dict", "list", "mixed"])
def test_the_writer_refuses_more_than_50_levels(kind: str) -> None:
    def nest(levels: int) -> dict[str, Any]:
        value: Any = {} if kind == "dict" else []
        for level in range(levels - 2):
            value = {"a": value} if kind == "dict" or (kind == "mixed" and level % 2) else [value]
        return {"a": value}

    assert sdn.loads(sdn.dumps(nest(50))) == nest(50)
    for levels in (51, 5000):
        with pytest.raises(ConfigError, match="deeper than 50"):
            sdn.dumps(nest(levels))
    circle: dict[str, Any] = {}
    circle["a"] = circle
    with pytest.raises(ConfigError, match="deeper than 50"):
        sdn.dumps(circle)


SCALAR_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(10**60), max_value=10**60),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)


VALUES = st.recursive(
    SCALAR_VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_written_reads_back_with_its_types(values: dict[str, Any]) -> None:
    text = sdn.dumps(values)
    assert same(sdn.loads(text), values)
    assert same(sdn.loads(text.encode()), values)
    assert same(sdn.loads("\ufeff" + text.replace("\n", " # c\r\n\r\n")), values)
    assert sdn.dumps(sdn.loads(text)) == text


@given(TEXTS)
def test_text_in_quotes_is_an_override_that_stays_text(text: str) -> None:
    assert sdn.parse_value(sdn.dumps({"a": [text]}).removeprefix("a: ")) == [text]
