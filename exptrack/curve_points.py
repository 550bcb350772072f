"""Compute what is drawn of a downsampled curve: the mean of each bucket, smooth if asked for.

Invariant: what is drawn depends neither on the number of buckets nor on the range that is seen, so far as the
buckets allow. The page smooths by the same rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

AXES = {"step": ("first_step", "last_step"), "time": ("first_time_s", "last_time_s")}


def read_means(columns: Mapping[str, Sequence[Any]]) -> list[float | None]:
    """Return the mean of each bucket; None if it has an infinity, or nothing but NaN.

    `columns` are those of `Buckets.lists`.
    """
    names = ("min", "max", "sum", "count", "nan_count")
    return [_mean(*bucket) for bucket in zip(*(columns[name] for name in names), strict=True)]


def _mean(least: float, greatest: float, total: float, count: int, nan_count: int) -> float | None:
    if not math.isfinite(least) or not math.isfinite(greatest):
        return None
    # The sum of finite values can be beyond the greatest float.
    return total / (count - nan_count) if math.isfinite(total) else least / 2 + greatest / 2


def read_places(columns: Mapping[str, Sequence[Any]], by: str) -> list[float]:
    """Return the middle of the points of each bucket along ``"step"`` or ``"time"``."""
    first, last = AXES[by]
    return [low / 2 + high / 2 for low, high in zip(columns[first], columns[last], strict=True)]


def smooth_means(columns: Mapping[str, Sequence[Any]], length: float, by: str) -> list[float | None]:
    """Return the mean of each bucket and of those before it, weighted by count and by exp(-distance / length).

    `length` is in steps or seconds. 0 returns the means as they are. Nothing is carried across a bucket without
    a mean, nor into or across one with a NaN.

    >>> columns = dict.fromkeys(("min", "max", "sum"), [0.0, 1.0])
    >>> columns |= {"count": [1, 1], "nan_count": [0, 0], "first_step": [0, 1], "last_step": [0, 1]}
    >>> [round(mean, 3) for mean in smooth_means(columns, 10, "step")]
    [0.0, 0.525]
    """
    means = read_means(columns)
    if not length > 0:
        return means
    places = read_places(columns, by)
    smoothed: list[float | None] = []
    mean = weight = 0.0
    for place, value in enumerate(means):
        if value is None:
            weight = 0.0
            smoothed.append(None)
            continue
        nan_count = columns["nan_count"][place]
        points = columns["count"][place] - nan_count
        is_fresh = weight == 0 or nan_count > 0
        kept = 0.0 if is_fresh else weight * math.exp((places[place - 1] - places[place]) / length)
        weight = kept + points
        share = points / weight
        if kept == 0:
            mean = value
        elif mean != value:  # equal values stay the same to the last bit
            mean = mean * (1 - share) + value * share  # the difference of two floats can be beyond the greatest
        smoothed.append(mean)
    return smoothed
