"""One sweep in trouble; ``python -m tests.faults --only sweeps`` goes on for as long as asked."""

from __future__ import annotations

from tests.faults.sweeps import try_one


def test_a_sweep_that_is_killed_stopped_and_shared_completes_each_trial_once() -> None:
    assert try_one(1, trials=3, rounds=2, most=2).notes == []
