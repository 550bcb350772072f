"""Keep downsampled curves as they are sent, so that a look at the same runs reads only what has grown.

A curve is kept by its series, the number of its points, the range and the width of the buckets. Points are only
ever added, so a curve with the same number of points is the same curve.

Invariant: all threads share the cache, and each of its methods holds the lock for one step.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

CACHE_BYTES = 32 * 1024 * 1024
KEY_BYTES = 500  # that a key and an entry take besides the curve, roughly
MAX_WIDTHS = 1_000


class PackedCurve(NamedTuple):
    """A curve as it is sent: its number of buckets, and its columns."""

    size: int
    content: bytes


class CurveCache:
    """The curves that were sent last, up to a number of bytes."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._curves: OrderedDict[Hashable, PackedCurve] = OrderedDict()
        self._widths: OrderedDict[Hashable, float] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> PackedCurve | None:
        """Return a curve; None if it is not kept."""
        with self._lock:
            found = self._curves.get(key)
            if found is not None:
                self._curves.move_to_end(key)
            return found

    def put(self, key: Hashable, curve: PackedCurve) -> None:
        """Keep a curve, and let go of those that were asked for least recently."""
        with self._lock:
            self._drop(key)
            self._curves[key] = curve
            self._bytes += len(curve.content) + KEY_BYTES
            while self._bytes > self._limit_bytes:
                self._drop(next(iter(self._curves)))

    def get_width(self, grid: Hashable) -> float | None:
        """Return the width of the buckets that were made for a question; None if it is not kept."""
        with self._lock:
            return self._widths.get(grid)

    def put_width(self, grid: Hashable, width: float) -> None:
        """Keep the width of the buckets of a question."""
        with self._lock:
            self._widths[grid] = width
            while len(self._widths) > MAX_WIDTHS:
                self._widths.popitem(last=False)

    def _drop(self, key: Hashable) -> None:
        dropped = self._curves.pop(key, None)
        if dropped is not None:
            self._bytes -= len(dropped.content) + KEY_BYTES
