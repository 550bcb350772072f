"""Read and write times: wall-clock times of the archive, milliseconds since a start, durations.

Invariant: the archive stores a moment as UTC text with microseconds, so texts sort as the moments do.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from exptrack.errors import InvalidValueError
from exptrack.plain import plain, reading, short_repr
from exptrack.validation import check_number

# Seconds since 1970: a datetime can hold the years 1 to 9999 only.
EARLIEST_S, LATEST_S = -62_135_596_800, 253_402_300_800
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(
    rf"\s*([0-9]+(?:\.[0-9]+)?)\s*({'|'.join(sorted(SECONDS, key=len, reverse=True))})(?![a-z])"
)


def moment(text: str) -> datetime:
    """Read a wall-clock time that the archive stores, as an aware UTC datetime."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def utc_text(when: datetime | None = None) -> str:
    """Write a moment (by default the present one) as the archive stores it: UTC, microseconds, no zone."""
    when = datetime.now(UTC) if when is None else when.astimezone(UTC)
    return when.replace(tzinfo=None).isoformat(" ", "microseconds")


def milliseconds_since(started_at: datetime, when: object) -> int:
    """Return the milliseconds from a run's start to `when`: a datetime or seconds since 1970.

    A datetime without a time zone is taken as UTC.

    Raises:
        InvalidTypeError: `when` is neither a datetime nor a number.
        InvalidValueError: it is outside the years 1 to 9999.
    """
    if isinstance(when, datetime):
        with reading("time"):
            when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
            offset = (when - started_at) / timedelta(milliseconds=1)
    else:
        offset = (check_number(when, "time") - started_at.timestamp()) * 1000
    if not EARLIEST_S < offset / 1000 + started_at.timestamp() < LATEST_S:
        raise InvalidValueError(
            f"time {short_repr(when)} is outside the years 1 to 9999; give seconds since 1970 or a datetime"
        )
    return round(offset)


def seconds_of(time: object) -> float:
    """Return a duration in seconds: a number of seconds, or a text like ``90s`` or ``2h 30m``.

    >>> seconds_of("2h 30m"), seconds_of(0.5)
    (9000.0, 0.5)

    Raises:
        InvalidValueError: it is neither, or it is not above 0.
    """
    seconds = 0.0
    time = plain(time)
    if type(time) in (int, float):
        seconds = _float_or_infinite(time)
    elif isinstance(time, str):
        text = time.strip()
        parts = list(_DURATION.finditer(text))
        if "".join(part[0] for part in parts) == text:
            seconds = sum(float(part[1]) * SECONDS[part[2]] for part in parts)
    if not 0 < seconds < math.inf:
        raise InvalidValueError(
            f"a time limit is in seconds, or like 90s, 10min or 2h 30m, not {short_repr(time)}"
        )
    return seconds


def _float_or_infinite(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
