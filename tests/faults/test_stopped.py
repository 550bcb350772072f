"""A process stopped for a second; ``python -m tests.faults --only stopped`` goes on for as long as asked."""

from __future__ import annotations

from tests.faults.stopped import PARTS, try_one


def test_a_process_that_stops_in_a_transaction_harms_nobody() -> None:
    assert try_one(PARTS.index("transaction"), longest_s=1.0, times=1).notes == []
