"""Histograms: every value is counted once, where numpy counts it."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exptrack import InvalidValueError
from exptrack.media import (
    Encoded,
    encode_histogram,
)
from tests.effort import tries
from tests.media.values import Tensor
from tests.strategies import FLOATS


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


@settings(max_examples=tries(300), deadline=None)
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


@settings(max_examples=tries(300), deadline=None)
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
    ({"counts": [1, 1], "edges": [0, 0, 1]}, "each above the one before"),
    ({"counts": [1], "edges": [0, math.inf]}, "finite"),
    ({"counts": "1", "edges": [0, 1]}, "counts must be a list or an array, not str '1'"),
    ({"values": 3}, "values must be a list or an array, not int 3"),
    ({"values": "12"}, "values must be a list or an array, not str '12'"),
    ({"values": ["1"]}, "must be a number, not str '1'"),
    ({"values": [[1, 2]]}, "must be a number, not list"),
    ({"values": [None]}, "must be a number, not NoneType"),
    ({"values": [10**400]}, "too large for a float"),
    ({"values": np.array(["1"])}, "must be a number, not str '1'"),
    ({"values": np.array([1j])}, "must be a number, not complex"),
    ({"values": np.ma.masked_array([1, 2], [0, 1])}, "masked"),
    ({"values": [1], "bins": 0}, "from 1 to 65,536, not 0"),
    ({"values": [1], "bins": 65_537}, "from 1 to 65,536, not 65537"),
    ({"values": [1], "bins": True}, "the number of bins must be a whole number, not bool True"),
    ({"values": [1], "bins": 2.0}, "the number of bins must be a whole number, not float"),
    ({"values": [1], "range": (1, 1)}, r"must be a finite number and a greater one, not \(1, 1\)"),
    ({"values": [1], "range": (0, math.inf)}, "must be a finite number and a greater one"),
    ({"values": [1], "range": (0, 1, 2)}, "a range must be two numbers"),
    ({"values": [1], "range": 3}, "a range must be a list, not int 3"),
    ({"values": [1], "range": (1, 1.0000000000000002)}, "too narrow for 64 bins"),
]


@pytest.mark.parametrize(("arguments", "message"), NOT_HISTOGRAMS)
def test_what_is_no_histogram_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        encode_histogram(**arguments)
