"""A small crowd; ``python -m tests.faults --only crowd`` lets sixteen writers go on for as long as asked."""

from __future__ import annotations

from tests.faults.crowd import try_one


def test_no_call_of_a_crowd_fails_and_nothing_is_lost() -> None:
    assert try_one(1, writers=4, busy_s=1.0).notes == []
