"""A record of the journal for several metrics, packed once and filled in by each call of ``log``."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from exptrack.metrics.writer_users import LoggedSeries


class RecordTemplate:
    """A journal record for one tuple of metric names, packed once and filled in by each call.

    `flat` holds the six fields of each slot in turn, without the last check; `pack` turns them into bytes. A
    template is valid for one epoch of the journal: the next epoch has to define its series again.
    """

    __slots__ = ("epoch", "flat", "pack", "series", "slots")

    def __init__(self, series: list[LoggedSeries], epoch: int) -> None:
        count = len(series)
        self.series = series
        self.epoch = epoch
        self.slots = count
        self.pack = _compile_pack(count)
        self.flat: list[Any] = [field for one in series for field in (0, one.index, 0, 0.0, 0.0, 0)][:-1]
        if count > 1:
            self.flat[5] = count << 32  # the upper half of the first slot's check counts the record's slots


@cache
def _compile_pack(slots: int) -> Callable[..., bytes]:
    """Return the function that packs a record of this many slots: all its bytes but the check at its end."""
    return struct.Struct("<" + "QQqddQ" * (slots - 1) + "QQqdd").pack
