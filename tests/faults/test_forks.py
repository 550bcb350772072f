"""A small storm of forks; ``python -m tests.faults --only forks`` goes on for as long as asked."""

from __future__ import annotations

from tests.faults.forks import copies_of, try_one

SEED = 5


def test_children_forked_in_a_storm_lose_nothing_and_none_hangs() -> None:
    assert copies_of(SEED) == "outside"
    assert try_one(SEED, busy_s=2.0).notes == []
