"""Tell a command that cannot work from params that do not: by how the first trials of a sweep fail.

Invariants: once a trial brought a value, was pruned or ran for a while, the command works, and no failure
counts any more. A trial that diverged or was cut short tells nothing. Failures are the same if their reasons
are, apart from numbers and the values of params.
"""

from __future__ import annotations

import re
from collections import Counter

from exptrack.records import TrialState
from exptrack.sweeps.records import TrialRecord

ENOUGH = 3
EARLY_S = 30.0  # a script that imports a large framework from a slow disk fails no sooner

_NUMBER = re.compile(r"[-+]?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+)?")


class EarlyFailures:
    """The failures of trials soon after their start, as long as no trial worked."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._works = False

    def are_enough_with(self, trial: TrialRecord, lasted_s: float | None) -> bool:
        """Count a trial that has ended; return whether it is the third that fails in the same way.

        `lasted_s` is None if the trial was cut short from outside, or diverged.
        """
        if trial.state != TrialState.FAIL or (lasted_s is not None and lasted_s > EARLY_S):
            self._works = True
        if self._works or lasted_s is None:
            return False
        kind = _describe_kind(trial)
        self._counts[kind] += 1
        return self._counts[kind] == ENOUGH


def _describe_kind(trial: TrialRecord) -> str:
    """Return the reason of a failure without what differs from trial to trial."""
    words = trial.reason or ""
    for value in trial.params.values():
        if isinstance(value, str) and value:
            words = words.replace(value, "…")
    return _NUMBER.sub("0", words)
