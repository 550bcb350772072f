"""Take the points of each series out of columns that hold those of many, in the order of logging."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def split_by_series(indexes: list[int]) -> Iterator[tuple[int, Callable[[list[Any]], list[Any]]]]:
    """Yield each series index with a function that takes the elements of that series from a column."""
    # A training loop logs the same metrics in turn. Slices then take a tenth of the time.
    period = indexes.index(indexes[0], 1) if indexes.count(indexes[0]) > 1 else len(indexes)
    turn = indexes[:period]
    if len(set(turn)) == period and (turn * (len(indexes) // period + 1))[: len(indexes)] == indexes:
        for begin, index in enumerate(turn):
            yield index, itemgetter(slice(begin, None, period))
        return
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, index in enumerate(indexes):
        places[index].append(place)
    for index, found in places.items():
        yield index, partial(_pick, found)


def view_words(data: bytes) -> memoryview:
    """View little-endian numbers of 8 bytes, such that a cast shows their values on this machine."""
    if sys.byteorder == "little":
        return memoryview(data)
    words = array("q", data)
    words.byteswap()
    return memoryview(words).cast("B")


def _pick(places: list[int], column: list[Any]) -> list[Any]:
    return [column[place] for place in places]
