"""Read and write times: wall-clock times of the archive, milliseconds since a start, durations.

Invariants: the archive stores a moment as UTC text with microseconds, so texts sort as the moments do. A time
between two moments of one process is measured by `steady_s` or ``time.monotonic``, never by the time of day.
"""

from __future__ import annotations

import math
import operator
import re
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from exptrack.errors import InvalidTypeError, InvalidValueError
from exptrack.plain import attribute, is_whole, plain, reading, short_repr
from exptrack.validation import INT64_MIN, check_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND, _MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)
_STORED_CHARS = len("2026-01-31 12:00:00.000000")  # of a moment as `utc_text` writes it
_LAST = datetime.max.replace(tzinfo=UTC)
# A datetime can hold the years 1 to 9999 only.
_FIRST_US, _LAST_US = (
    (edge.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND for edge in (datetime.min, datetime.max)
)
# Seconds since 1970 that are safely within these years.
EARLIEST_S, LATEST_S = _FIRST_US / 1e6 + 1, _LAST_US / 1e6 - 1
# Of numpy's units: microseconds in one, and how many make up a microsecond.
_MULTIPLES = {"us": 1, "ms": 10**3} | {
    unit: seconds * 10**6 for unit, seconds in {"s": 1, "m": 60, "h": 3600, "D": 86_400, "W": 604_800}.items()
}
_FRACTIONS = {"ns": 10**3, "ps": 10**6, "fs": 10**9, "as": 10**12}
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = rf"\s*([0-9]+(?:\.[0-9]+)?)\s*({'|'.join(sorted(SECONDS, key=len, reverse=True))})(?![a-z])"


# `read_clock(CLOCK)` is `steady_s()` for the logging calls, which it saves 30 ns. time.monotonic() stands still
# while Linux or macOS sleeps; on Windows it goes on.
read_clock: Callable[[Any], float]
CLOCK: Any
if sys.platform == "linux":
    read_clock, CLOCK = time.clock_gettime, time.CLOCK_BOOTTIME
elif sys.platform == "darwin":
    read_clock, CLOCK = time.clock_gettime, time.CLOCK_MONOTONIC
else:
    read_clock, CLOCK = operator.call, time.monotonic


def steady_s() -> float:
    """Return the seconds of a clock that goes on while the machine sleeps.

    Setting the time of day does not move it. Only differences of two readings mean anything.
    """
    return read_clock(CLOCK)


def time_after(at: str, before: str | None) -> str:
    """Return the time of a change as text: `at`, or just after the time of the change that it replaces.

    A clock that was set back would else let an older value look newer, to whoever compares two copies. No time
    is after the last one there is, which another file may have brought.
    """
    if before is None or at > before:
        return at
    last = moment(before)
    return utc_text(last if last == _LAST else last + _MICROSECOND)


def moment(text: str) -> datetime:
    """Read a wall-clock time that the archive stores, as an aware UTC datetime."""
    if len(text) == _STORED_CHARS:
        # With the zone in the text, this takes a fifth of the time of replacing it.
        return datetime.fromisoformat(f"{text}+00:00")
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(texts: Iterable[str | None]) -> list[Any]:
    """Read many wall-clock times as :func:`moment` does, each None as None."""
    read = datetime.fromisoformat
    return [
        None if text is None else read(f"{text}+00:00") if len(text) == _STORED_CHARS else moment(text)
        for text in texts
    ]


def utc_text(when: datetime | None = None) -> str:
    """Write a moment (by default the present one) as the archive stores it: UTC, microseconds, no zone."""
    when = datetime.now(UTC) if when is None else when.astimezone(UTC)
    return when.replace(tzinfo=None).isoformat(" ", "microseconds")


def is_moment(value: object) -> bool:
    """Whether `value` is a datetime, or a datetime64 of numpy."""
    return issubclass(type(value), datetime) or _is_datetime64(value)


def _is_datetime64(value: object) -> bool:
    kind = attribute(attribute(value, "dtype"), "kind")
    return type(kind) is str and kind == "M"


def read_moment(value: object, what: str) -> datetime:
    """Return a datetime or a datetime64 as an aware UTC datetime.

    A datetime without a time zone is local time. Those of numpy and pandas are UTC, as these libraries have it.

    Raises:
        InvalidTypeError: it is something else.
        InvalidValueError: it is NaT, or outside the years 1 to 9999.
    """
    if not is_moment(value):
        raise InvalidTypeError(f"{what} must be a datetime, not {type(value).__name__} {short_repr(value)}")
    return EPOCH + _count_microseconds(value, what) * _MICROSECOND


def read_time(value: object, what: str) -> datetime:
    """Return seconds since 1970, or a time as :func:`read_moment` takes it, as an aware UTC datetime.

    Raises:
        InvalidTypeError: it is no time and no number.
        InvalidValueError: it is NaT, or outside the years 1 to 9999.
    """
    return EPOCH + _count_microseconds(value, what) * _MICROSECOND


def milliseconds_since(started_at: datetime, when: object) -> int:
    """Return the milliseconds from a run's start to `when`: seconds since 1970, or as :func:`read_moment`.

    Raises:
        InvalidTypeError: `when` is no time and no number.
        InvalidValueError: it is NaT, or outside the years 1 to 9999.
    """
    start = (started_at - EPOCH) // _MICROSECOND
    milliseconds = round((_count_microseconds(when, "time") - start) / 1000)
    # Rounded, a time at the edge may be one that no datetime can hold.
    if start + milliseconds * 1000 < _FIRST_US:
        return milliseconds + 1
    return milliseconds - (start + milliseconds * 1000 > _LAST_US)


def _count_microseconds(when: Any, what: str) -> int:
    """Count the microseconds from 1970 to a time."""
    with reading(what):
        if attribute(when, "to_datetime64") is not None:  # pandas
            when = when.to_datetime64()
        if issubclass(type(when), datetime):
            found = _count_to_datetime(when)
        elif _is_datetime64(when):
            found = _count_to_datetime64(when, what)
        else:
            found = _count_seconds(when, what)
    if found is None or not _FIRST_US <= found <= _LAST_US:
        raise InvalidValueError(
            f"{what} {short_repr(when)} is outside the years 1 to 9999; give seconds since 1970 or a datetime"
        )
    return found


def _count_to_datetime(when: datetime) -> int | None:
    try:
        if when.utcoffset() is None:
            when = when.astimezone(UTC)
        return (when - EPOCH) // _MICROSECOND
    except (OverflowError, ValueError, OSError):  # a local time that this machine cannot convert
        return None


def _count_to_datetime64(when: Any, what: str) -> int | None:
    """Count in ints of Python, because those of numpy overflow without an error."""
    unit: str
    each: int
    unit, each = sys.modules["numpy"].datetime_data(when.dtype)
    if getattr(when, "ndim", 0) or unit == "generic" or (ticks := int(when.astype("int64"))) == INT64_MIN:
        raise InvalidValueError(f"{what} must be one time, not {short_repr(when)}")
    ticks *= each
    if unit in ("Y", "M"):
        year, month = divmod(ticks * 12 if unit == "Y" else ticks, 12)
        if not 1 <= 1970 + year <= 9999:
            return None
        return (datetime(1970 + year, 1 + month, 1, tzinfo=UTC) - EPOCH) // _MICROSECOND
    return ticks // _FRACTIONS[unit] if unit in _FRACTIONS else ticks * _MULTIPLES[unit]


def _count_seconds(when: object, what: str) -> int | None:
    if is_whole(when):
        return int.__int__(when) * 1_000_000
    try:
        seconds = check_number(when, what)
    except InvalidTypeError:
        raise InvalidTypeError(
            f"{what} must be a datetime or seconds since 1970, not {type(when).__name__} {short_repr(when)}"
        ) from None
    return round(seconds * 1e6) if math.isfinite(seconds * 1e6) else None


def seconds_of(time: object, what: str = "a time limit") -> float:
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
    elif type(time) is str:
        text = time.strip()
        parts = list(re.finditer(_DURATION, text))
        if "".join(part[0] for part in parts) == text:
            seconds = sum(float(part[1]) * SECONDS[part[2]] for part in parts)
    if not 0 < seconds < math.inf:
        raise InvalidValueError(f"{what} is in seconds, or like 90s, 10min or 2h 30m, not {short_repr(time)}")
    return seconds


def _float_or_infinite(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf
