"""A script meddles with the archive's files; ``python -m tests.faults --only files`` tries more."""

from __future__ import annotations

import random
from pathlib import Path

from tests.faults.files import FILES, MOMENTS, WAYS, choose, run


def test_what_was_acknowledged_is_there_once() -> None:
    """Each way, each file and each moment is among these seeds."""
    seeds = range(10)
    chosen = [choose(random.Random(seed), Path("a")) for seed in seeds]
    assert {str(one[0]) for one in chosen} == {f"a{end}" for end in FILES}
    assert {one[2] for one in chosen} == set(WAYS)
    assert {one[3] for one in chosen} == set(MOMENTS)
    tally = run(len(seeds), seeds[0])
    assert (tally.tries, tally.notes) == (len(seeds), [])
