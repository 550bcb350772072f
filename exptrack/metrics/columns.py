"""Points as columns of numbers: take those of each series out of those of many, and pack them to words."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import trunc
from operator import itemgetter

from exptrack.database.row_sums import pack_values
from exptrack.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PointWords(NamedTuple):
    """Columns of points whose bytes enter checksums and sums. NaN has one form, and no value is -0.0."""

    steps: array[int]
    times_ms: array[int]
    values: array[float]


def pack_points(steps: Iterable[int], times_ms: Iterable[int], values: Iterable[float]) -> PointWords:
    """Pack columns of numbers to words."""
    return PointWords(array("q", steps), array("q", times_ms), pack_values(array("d", values)))


def read_slots(slots: bytes) -> Iterator[tuple[int, list[int], list[int], list[float], PointWords]]:
    """Yield the index of each series in these slots of a journal, and its steps, times and values.

    Series with the same steps or times share a list.
    """
    part = _view_words(slots)
    integers, floats = part.cast("q"), part.cast("d")
    indexes, steps = (array("q", integers[field::6].tobytes()) for field in (1, 2))
    times_ms, values = (array("d", floats[field::6].tobytes()) for field in (3, 4))
    step_words, time_floats, time_words = array("q"), array("d"), array("q")
    some_steps: list[int] = []
    some_times: list[int] = []
    for index, take in _split_by_series(indexes):
        # A call that logs many metrics gives all of them the same step and time.
        if step_words != (found := take(steps)):
            step_words, some_steps = found, found.tolist()
        if time_floats != (moments := take(times_ms)):
            time_floats, some_times = moments, list(map(trunc, moments))
            time_words = array("q", some_times)
        chosen = pack_values(take(values))
        yield index, some_steps, some_times, chosen.tolist(), PointWords(step_words, time_words, chosen)


def _split_by_series(whole: array[int]) -> Iterator[tuple[int, Callable[[array[Any]], array[Any]]]]:
    """Yield each series index with a function that takes the elements of that series from a column."""
    # A training loop logs the same metrics in turn. Slices then take a tenth of the time.
    try:
        period = whole.index(whole[0], 1)
    except ValueError:
        period = len(whole)
    turn = whole[:period]
    if len(set(turn)) == period and (turn * (len(whole) // period + 1))[: len(whole)] == whole:
        for begin, index in enumerate(turn):
            yield index, itemgetter(slice(begin, None, period))
        return
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, index in enumerate(whole):
        places[index].append(place)
    for index, found in places.items():
        yield index, partial(_pick, found)


def _view_words(data: bytes) -> memoryview:
    """View little-endian numbers of 8 bytes, such that a cast shows their values on this machine."""
    if sys.byteorder == "little":
        return memoryview(data)
    words = array("q", data)
    words.byteswap()
    return memoryview(words).cast("B")


def _pick(places: list[int], column: array[Any]) -> array[Any]:
    return array(column.typecode, [column[place] for place in places])
