"""A flipped bit that changes what a reader gets is told; the long run has more of them."""

from __future__ import annotations

from tests.faults.bit_flips import run


def test_every_flip_that_changes_what_a_reader_gets_is_told() -> None:
    outcome = run(150, seed=1)
    assert outcome.wrong == ()
    assert (outcome.lost, outcome.doubled, outcome.unreported, outcome.hung) == (0, 0, 0, 0)
    assert outcome.changed > 30
