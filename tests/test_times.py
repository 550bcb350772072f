"""Lengths of time, in seconds or in words; moments as they are stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import InvalidValueError
from exptrack.times import moment, seconds_of, utc_text


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


@given(when=st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_as_it_was_stored(when: datetime) -> None:
    assert moment(utc_text(when)) == when
    assert moment(utc_text(when)).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31 00:00", "2026-01-31 00:00:00"])
def test_a_moment_that_another_program_wrote_shorter_is_read(text: str) -> None:
    assert moment(text) == datetime(2026, 1, 31, tzinfo=UTC)
