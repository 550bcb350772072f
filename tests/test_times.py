"""Lengths of time: in seconds or in words."""

from __future__ import annotations

import math

import pytest

from exptrack import InvalidValueError
from exptrack.times import seconds_of


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (90, 90.0),
        (0.5, 0.5),
        ("90s", 90.0),
        ("10min", 600.0),
        ("10 min", 600.0),
        ("5m", 300.0),
        ("2h 30m", 9000.0),
        ("1h30m5s", 5405.0),
        ("1.5d", 129_600.0),
        (" 1w ", 604_800.0),
    ],
)
def test_a_time_limit_is_seconds_or_words(time: object, seconds: float) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize(
    "time",
    ["", "2", "h", "2x", "2h,3m", "2 hours", "-1h", "0s", 0, -1, True, None, math.inf, math.nan, 10**400],
)
def test_another_time_limit_is_refused(time: object) -> None:
    with pytest.raises(InvalidValueError, match="like 90s, 10min or 2h 30m"):
        seconds_of(time)
