"""Real SIGINTs in calls; ``python -m tests.faults --only signals`` goes on for as long as asked."""

from __future__ import annotations

from tests.faults.signals import run


def test_interrupted_calls_leave_nothing_half_done() -> None:
    tally = run(2, 1)
    assert (tally.tries, tally.notes) == (2, [])
