"""What records of sweeps say in words."""

from __future__ import annotations

from exptrack.sweeps.records import describe_unseen


def test_the_advice_on_unseen_trials_can_be_pasted_into_a_shell() -> None:
    assert "`exptrack sweep resume 'two words' --retry --take-over`" in describe_unseen("two words", [0])
    assert "`exptrack sweep resume digits --retry --take-over`" in describe_unseen("digits", [0, 1])
