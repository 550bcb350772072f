"""Counts numbers into bins.

Invariants: every value is counted once: in a bin, below or above the range, or as NaN. Bin i holds
``edges[i] <= value < edges[i + 1]``, the last one its right edge too, as with ``numpy.histogram``; the edges
strictly increase and do not depend on whether numpy is there.
"""

from __future__ import annotations

import json
import math
import operator
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, SupportsIndex

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.media.encoded import Encoded, Fact, check_unmasked, is_array, is_tensor, tensor_array
from exptrack.validation import INT64_MAX, check_number, short_repr

MAX_BINS = 65_536
# Values are converted to float64 this many at a time, so that a large array is not copied whole.
BLOCK_VALUES = 1 << 20


def encode_histogram(
    values: object = None,
    bins: int = 64,
    range: tuple[float, float] | None = None,  # noqa: A002
    *,
    counts: object = None,
    edges: object = None,
) -> Encoded:
    """A histogram as JSON: ``{"edges", "counts", "nan", "low", "high"}``, one edge more than counts.

    Takes numbers as any iterable, or an array or tensor of any shape; `range` is that of the finite values
    unless given, and 0 to 1 if there are none: an empty histogram is one like any other. -inf counts as below
    the range (low), inf as above (high). Equal values get a range of 1 around them, or the least that floats
    can divide. Takes a ready histogram instead as `counts` and `edges`. Facts: bins, count (of all values),
    nan_count, low_count, high_count; of values also min and max of the finite ones.

    Raises:
        InvalidTypeError: something is not a number.
        InvalidValueError: `bins` is not 1 to 65,536, `range` does not run upwards or is too narrow for the
            bins, counts and edges do not fit together, or both values and counts are given, or neither.
    """
    if (values is None) == (counts is None) or (counts is None) != (edges is None):
        raise InvalidValueError("a histogram is made of values, or of counts and edges together")
    if counts is not None:
        return _encoded(*_ready(counts, edges), nan=0, low=0, high=0)
    if isinstance(bins, bool) or not isinstance(bins, SupportsIndex):
        raise InvalidTypeError(f"the number of bins is whole, not {type(bins).__name__} {short_repr(bins)}")
    bins = operator.index(bins)
    if not 1 <= bins <= MAX_BINS:
        raise InvalidValueError(f"a histogram has 1 to {MAX_BINS:,} bins, not {short_repr(bins)}")
    chosen = None if range is None else _chosen_edges(range, bins)
    numbers: Any = tensor_array(values) if is_tensor(values) else values
    if is_array(numbers) and numbers.dtype.kind in "buif":
        return _count_array(numbers, bins, chosen)
    if is_array(numbers):
        numbers = numbers.ravel().tolist()
    return _count_items(numbers, bins, chosen)


def _encoded(edges: list[float], counts: list[int], *, nan: int, low: int, high: int, **more: Fact) -> Encoded:
    data = {"edges": edges, "counts": counts, "nan": nan, "low": low, "high": high}
    total = sum(counts) + nan + low + high
    facts: dict[str, Fact] = {"bins": len(counts), "count": total}
    facts |= {"nan_count": nan, "low_count": low, "high_count": high, **more}
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Encoded(text.encode("utf-8"), "application/json", True, facts)


def _ready(counts: object, edges: object) -> tuple[list[float], list[int]]:
    heights = [check_number(count, "a count") for count in _items(counts, "counts")]
    wrong = next((count for count in heights if not (0 <= count <= INT64_MAX and count.is_integer())), None)
    if wrong is not None:
        raise InvalidValueError(f"the counts of a histogram are whole numbers from 0, not {wrong!r}")
    limits = [check_number(edge, "an edge") for edge in _items(edges, "edges")]
    if not heights or len(limits) != len(heights) + 1 or len(heights) > MAX_BINS:
        raise InvalidValueError(
            f"a histogram has 1 to {MAX_BINS:,} counts and one edge more,"
            f" not {len(heights):,} counts and {len(limits):,} edges"
        )
    if not all(map(math.isfinite, limits)) or not _increase(limits):
        raise InvalidValueError("the edges of a histogram are finite and each is above the one before")
    return limits, [int(count) for count in heights]


def _items(values: object, what: str) -> Iterator[object]:
    if isinstance(values, (str, bytes, bytearray)) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{what} must be numbers, not {type(values).__name__} {short_repr(values)}")
    return iter(values)


def _increase(edges: list[float]) -> bool:
    return all(left < right for left, right in pairwise(edges))


def _spread(low: float, high: float, bins: int) -> list[float]:
    """The edges of equal bins, the same floats that ``numpy.linspace`` gives."""
    step = (high - low) / bins
    if math.isinf(high - low):
        return [low * (1 - i / bins) + high * (i / bins) for i in range(bins + 1)]
    return [*(low + i * step for i in range(bins)), high]


def _chosen_edges(limits: tuple[float, float], bins: int) -> list[float]:
    given = [check_number(limit, "a limit of the range") for limit in _items(limits, "a range")]
    if len(given) != 2:
        raise InvalidValueError(f"a range is two numbers, not {short_repr(limits)}")
    low, high = given
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidValueError(f"a range runs from a finite number up to another, not {short_repr(limits)}")
    edges = _spread(low, high, bins)
    if not _increase(edges):
        raise InvalidValueError(f"the range {short_repr(limits)} is too narrow for {bins} bins")
    return edges


def _fitting_edges(low: float, high: float, bins: int) -> list[float]:
    """The edges from the least to the greatest value, or a little beyond where floats are too coarse."""
    if low > high:
        low, high = 0.0, 1.0
    if low == high:
        low, high = low - 0.5, high + 0.5
    low, high = low + 0.0, high + 0.0  # of 0.0 and -0.0 either may be found to be the least
    edges = _spread(low, high, bins)
    if _increase(edges):
        return edges
    margin = 2 * bins * max(math.ulp(low), math.ulp(high))
    most = sys.float_info.max
    return _spread(max(low - margin, -most), min(high + margin, most), bins)


def _count_items(values: object, bins: int, chosen: list[float] | None) -> Encoded:
    numbers = [check_number(value, "a value of a histogram") for value in _items(values, "values")]
    finite = [number for number in numbers if math.isfinite(number)]
    least, most = min(finite, default=math.inf), max(finite, default=-math.inf)
    edges = chosen or _fitting_edges(least, most, bins)
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
    return _encoded(edges, counts, nan=nan, low=low, high=high, **_extent(least, most))


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
    edges = chosen or _fitting_edges(least, most, bins)
    counts = np.zeros(bins, np.int64)
    nan = low = high = 0
    for block in blocks():
        nan += int(np.count_nonzero(np.isnan(block)))
        low += int(np.count_nonzero(block < edges[0]))
        high += int(np.count_nonzero(block > edges[-1]))
        inside = block[(block >= edges[0]) & (block <= edges[-1])]
        counts += np.histogram(inside, bins=np.array(edges))[0]
    return _encoded(edges, counts.tolist(), nan=nan, low=low, high=high, **_extent(least, most))


def _extent(least: float, most: float) -> dict[str, Fact]:
    return {"min": None, "max": None} if least > most else {"min": least + 0.0, "max": most + 0.0}
