"""Count numbers into bins and encode the histogram as JSON.

Invariants:

- Every value is counted once: in a bin, below or above the range, or as NaN.
- Bin i holds ``edges[i] <= value < edges[i + 1]``; the last bin holds its right edge too, as in
  ``numpy.histogram``.
- The edges strictly increase, and are the same with and without numpy.
"""

from __future__ import annotations

import json
import math
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.media.encoded import Encoded, Fact, check_unmasked, convert_tensor, is_array, is_tensor
from exptrack.plain import read_elements, short_repr
from exptrack.validation import INT64_MAX, check_number, check_whole, iter_elements

MAX_BINS = 65_536
# An array is converted to float64 in blocks of this size, so that a large one is not copied as a whole.
BLOCK_VALUES = 1 << 20


def encode_histogram(
    values: object = None,
    bins: int = 64,
    range: tuple[float, float] | None = None,  # noqa: A002
    *,
    counts: object = None,
    edges: object = None,
) -> Encoded:
    """Encode a histogram as JSON: ``{"edges", "counts", "nan", "low", "high"}``, one edge more than counts.

    `values` is an iterable of numbers, or an array or tensor of any shape. `range` is by default that of the
    finite values, or 0 to 1 if there are none. -inf counts as below the range (low), inf as above it (high).
    Equal values get a range of width 1 around them, or the least width that floats can divide.

    A ready histogram is given as `counts` and `edges` instead. Facts: bins, count (of all values), nan_count,
    low_count and high_count; for values also the min and max of the finite ones.

    Raises:
        InvalidTypeError: a value, count, edge or limit is not a number.
        InvalidValueError: `bins` is not 1 to 65,536; `range` does not increase or is too narrow for the bins;
            counts and edges do not fit together; or both values and counts are given, or neither.
    """
    if (values is None) == (counts is None) or (counts is None) != (edges is None):
        raise InvalidValueError(
            "a histogram is made of values, or of counts and edges together; give one or the other"
        )
    if counts is not None:
        return _encode(*_check_ready(counts, edges), nan=0, low=0, high=0)
    bins = check_whole(bins, "the number of bins", 1, MAX_BINS)
    chosen = None if range is None else _divide_range(range, bins)
    numbers: Any = convert_tensor(values) if is_tensor(values) else values
    if is_array(numbers) and numbers.dtype.kind in "buif":
        return _count_array(numbers, bins, chosen)
    if is_array(numbers):
        numbers = numbers.ravel().tolist()
    return _count_items(numbers, bins, chosen)


def _encode(edges: list[float], counts: list[int], *, nan: int, low: int, high: int, **more: Fact) -> Encoded:
    data = {"edges": edges, "counts": counts, "nan": nan, "low": low, "high": high}
    total = sum(counts) + nan + low + high
    facts: dict[str, Fact] = {"bins": len(counts), "count": total}
    facts |= {"nan_count": nan, "low_count": low, "high_count": high, **more}
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Encoded(text.encode("utf-8"), "application/json", True, facts)


def _check_ready(counts: object, edges: object) -> tuple[list[float], list[int]]:
    heights = [check_number(count, "a count") for count in _iter_items(counts, "counts")]
    wrong = next((count for count in heights if not (0 <= count <= INT64_MAX and count.is_integer())), None)
    if wrong is not None:
        raise InvalidValueError(f"the counts of a histogram are whole numbers from 0, not {wrong!r}")
    limits = [check_number(edge, "an edge") for edge in _iter_items(edges, "edges")]
    if not heights or len(limits) != len(heights) + 1 or len(heights) > MAX_BINS:
        raise InvalidValueError(
            f"a histogram has 1 to {MAX_BINS:,} counts and one edge more,"
            f" not {len(heights):,} counts and {len(limits):,} edges"
        )
    if not all(map(math.isfinite, limits)) or not _are_increasing(limits):
        raise InvalidValueError("the edges of a histogram must be finite, and each above the one before")
    return limits, [int(count) for count in heights]


def _iter_items(values: object, what: str) -> Iterator[object]:
    if isinstance(values, Mapping):
        raise InvalidTypeError(f"{what} must be numbers, not {type(values).__name__} {short_repr(values)}")
    return iter_elements(values, what)


def _are_increasing(edges: list[float]) -> bool:
    return all(left < right for left, right in pairwise(edges))


def _spread(low: float, high: float, bins: int) -> list[float]:
    """Return the edges of equal bins: the same floats as ``numpy.linspace``."""
    step = (high - low) / bins
    if math.isinf(high - low):
        return [low * (1 - i / bins) + high * (i / bins) for i in range(bins + 1)]
    return [*(low + i * step for i in range(bins)), high]


def _divide_range(limits: tuple[float, float], bins: int) -> list[float]:
    given = [check_number(limit, "a limit of the range") for limit in read_elements(limits, "a range", most=3)]
    if len(given) != 2:
        raise InvalidValueError(f"a range must be two numbers, not {short_repr(limits)}")
    low, high = given
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidValueError(f"a range must be a finite number and a greater one, not {short_repr(limits)}")
    edges = _spread(low, high, bins)
    if not _are_increasing(edges):
        raise InvalidValueError(f"the range {short_repr(limits)} is too narrow for {bins} bins; widen it")
    return edges


def _fit_edges(low: float, high: float, bins: int) -> list[float]:
    """Return edges from the least to the greatest value, or a little beyond where floats are too coarse."""
    if low > high:
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    low, high = low + 0.0, high + 0.0  # turns -0.0 into 0.0, since min() may return either
    edges = _spread(low, high, bins)
    if _are_increasing(edges):
        return edges
    margin = 2 * bins * max(math.ulp(low), math.ulp(high))
    most = sys.float_info.max
    return _spread(max(low - margin, -most), min(high + margin, most), bins)


def _count_items(values: object, bins: int, chosen: list[float] | None) -> Encoded:
    numbers = [check_number(value, "a value of a histogram") for value in _iter_items(values, "values")]
    finite = [number for number in numbers if math.isfinite(number)]
    least, most = min(finite, default=math.inf), max(finite, default=-math.inf)
    edges = chosen or _fit_edges(least, most, bins)
    counts = [0] * bins
    nan = low = high = 0
    for number in numbers:
        if math.isnan(number):
            nan += 1
        elif number < edges[0]:
            low += 1
        elif number > edges[-1]:
            high += 1
        else:
            counts[min(bisect_right(edges, number) - 1, bins - 1)] += 1
    return _encode(edges, counts, nan=nan, low=low, high=high, **_describe_extent(least, most))


def _count_array(array: Any, bins: int, chosen: list[float] | None) -> Encoded:
    import numpy as np

    check_unmasked(array)
    flat = np.asarray(array).reshape(-1)

    def blocks() -> Iterator[Any]:
        for begin in range(0, flat.size, BLOCK_VALUES):
            yield flat[begin : begin + BLOCK_VALUES].astype(np.float64, copy=False)

    least, most = math.inf, -math.inf
    for block in blocks():
        finite = block[np.isfinite(block)]
        if finite.size:
            least, most = min(least, finite.min().item()), max(most, finite.max().item())
    edges = chosen or _fit_edges(least, most, bins)
    counts = np.zeros(bins, np.int64)
    nan = low = high = 0
    for block in blocks():
        nan += int(np.count_nonzero(np.isnan(block)))
        low += int(np.count_nonzero(block < edges[0]))
        high += int(np.count_nonzero(block > edges[-1]))
        inside = block[(block >= edges[0]) & (block <= edges[-1])]
        counts += np.histogram(inside, bins=np.array(edges))[0]
    return _encode(edges, counts.tolist(), nan=nan, low=low, high=high, **_describe_extent(least, most))


def _describe_extent(least: float, most: float) -> dict[str, Fact]:
    return {"min": None, "max": None} if least > most else {"min": least + 0.0, "max": most + 0.0}
