"""A flipped bit that changes what a reader gets is told; the long run has more of them."""

from __future__ import annotations

from tests.effort import tries
from tests.faults.bit_flips import run, subject


def test_every_flip_that_changes_what_a_reader_gets_is_told() -> None:
    before = subject().changed
    number = tries(40)
    tally = run(number, seed=1)
    assert tally.notes == []
    assert (tally.tries, tally.failures) == (number, 0)
    assert subject().changed > before + number // 8
