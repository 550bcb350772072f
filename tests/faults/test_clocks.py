"""A few jumps of the clock; ``python -m tests.faults --only clocks`` goes on for as long as asked."""

from __future__ import annotations

from tests.faults.clocks import try_one


def test_a_clock_that_jumps_loses_nothing_and_turns_no_time_round() -> None:
    assert try_one(1, busy_s=1.0).notes == []
